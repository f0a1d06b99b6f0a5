"""Nodes of the graph that a forward pass leaves: each turns gradients of outputs into inputs'."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, NoReturn, TypeAlias

from gpuops import versions
from gpuops.errors import NoGradientError
from gpuops.formulas import NO_GRADIENT
from gpuops.registry import Operator, registry
from gpuops.transforms.autograd.context import check_unchanged, raise_freed

__all__ = ["Edge", "Leaf", "Meta", "Missing", "Node", "Pulled", "next_serial"]

Meta: TypeAlias = "tuple[tuple[Any, ...], Any, Any, Any]"
"""Of an output: shape, dtype, type, and the array itself where zeros like it need it.

A plain tuple, because each call makes one.
"""

Edge: TypeAlias = "tuple[Any, Node, int]"
"""From a call to an array it was given: the input (its position or name, and for a list also the
index in it), the node that made the array, and which of that node's outputs it is."""

next_serial = count().__next__
"""Numbers for nodes: a call has a higher one than every call it depends on."""


class Node:
    """A call, as the reverse pass sees it.

    Attributes:
        serial: from `next_serial`.
        operator: what was called; None for an argument of the differentiated function.
        edges: where the gradients that it computes go.
        metas: its array outputs, each as `Meta`; None for one that is a constant.
        stream: the stream that the call was made on, None for the default one. Only set where its
            arrays are on a GPU; see `gpuops.transforms.autograd.streaming`.
    """

    __slots__ = ("edges", "metas", "operator", "serial", "stream")

    stream: Any

    def __init__(self, operator: Operator | None, edges: list[Edge]) -> None:
        self.serial = next_serial()
        self.operator = operator
        self.edges = edges
        self.metas: tuple[Meta | None, ...] = ()

    def pull(self, gradients: list[Any]) -> list[Any]:
        """The gradients of its inputs, one for each edge; None for zero.

        Args:
            gradients: one per output, None where nothing depends on it.
        """
        raise NotImplementedError

    def kept(self) -> Iterator[Any]:
        """What is kept for `pull`: arrays, and anything else."""
        return iter(())

    def free(self) -> None:
        """Let go of what was kept for `pull`."""


class Leaf(Node):
    """An argument of the differentiated function."""

    __slots__ = ()

    def __init__(self, meta: Meta) -> None:
        super().__init__(None, [])
        self.metas = (meta,)


class Constant(Node):
    """What was written over an array: the gradient ends there."""

    __slots__ = ()

    def pull(self, gradients: list[Any]) -> list[Any]:
        """Nothing."""
        return []


class Missing(Node):
    """A call of an operator that has no gradient."""

    __slots__ = ()

    def pull(self, gradients: list[Any]) -> NoReturn:
        """Say what has to be registered.

        Raises:
            NoGradientError: always.
        """
        assert self.operator is not None
        raise_missing(self.operator, [edge[0] for edge in self.edges])


def raise_missing(operator: Operator, inputs: list[Any]) -> NoReturn:
    """Say that an operator has no gradient with respect to some inputs.

    Raises:
        NoGradientError: always.
    """
    names = []
    for name in inputs:
        first, *index = name if isinstance(name, tuple) else (name,)
        if isinstance(first, int):
            first = operator.schema.parameters[first].name
        names.append(repr(first) + "".join(f"[{i}]" for i in index))
    if operator.schema.is_functional:
        how = (
            "Register one with gpuops.register_autograd("
            f"{operator.qualname!r}, backward, setup_context=...)"
        )
    else:
        how = (
            "It writes to an argument or returns a view of one, and such operators can have none: "
            "differentiate a functional operator instead"
        )
    stated = registry.rule(operator, NO_GRADIENT)
    if stated is not None:
        how = f": {stated.value} (stated at {stated.location})"
    else:
        how = f". {how}"
    raise NoGradientError(
        f"{operator.qualname}: no autograd formula was registered for it, so there is no gradient "
        f"with respect to {', '.join(dict.fromkeys(names))}{how}. "
        f"Declared as {operator.declaration}"
    )


class Pulled(Node):
    """A call of an operator with a rule for each input.

    Attributes:
        pulls: for each edge, the rule and what it is given besides the gradient; None where the
            rule of the edge before it, for the same list, has computed the gradient too.
        several: whether rules get the gradients of all outputs.
        time: of `gpuops.versions.clock` at the call.
    """

    __slots__ = ("pulls", "several", "time")

    def __init__(
        self, operator: Operator, edges: list[Edge], pulls: list[Any] | None, several: bool
    ) -> None:
        self.serial = next_serial()
        self.operator = operator
        self.edges = edges
        self.pulls = pulls
        self.several = several
        self.time = versions.clock[0]

    def pull(self, gradients: list[Any]) -> list[Any]:
        """See `Node.pull`."""
        assert self.operator is not None
        pulls = self.pulls
        if pulls is None:
            raise_freed(self.operator)
        if versions.clock[0] != self.time:
            for pull in pulls:
                if pull is not None:
                    check_unchanged(self.operator, pull[1], self.time)
        given = gradients if self.several else gradients[0]
        if len(pulls) == 1:
            rule, kept = pulls[0]
            found = rule(given, *kept)
            return [found[self.edges[0][0][1]] if type(self.edges[0][0]) is tuple else found]
        out = []
        for edge, pull in zip(self.edges, pulls, strict=True):
            if pull is not None:
                found = pull[0](given, *pull[1])
            out.append(found[edge[0][1]] if type(edge[0]) is tuple else found)
        return out

    def kept(self) -> Iterator[Any]:
        """See `Node.kept`."""
        for pull in self.pulls or ():
            if pull is not None:
                yield from pull[1]

    def free(self) -> None:
        """See `Node.free`."""
        self.pulls = None
