"""The reverse pass: nodes in the order of their calls, the last first, without recursion."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any, NoReturn

import numpy as np

from gpuops.convert import wrapper_types
from gpuops.devices import array_kind
from gpuops.errors import GradientError, describe
from gpuops.registry import Operator
from gpuops.symbols import known_equal
from gpuops.transforms.array_methods import xp
from gpuops.transforms.autograd.nodes import Leaf, Meta, Node
from gpuops.transforms.levels import nested_types

__all__ = ["fit", "run_backward"]


def run_backward(roots: Iterable[tuple[Node, int, Any]], *, retain: bool) -> dict[Node, Any]:
    """Carry gradients back to the arguments.

    Args:
        roots: nodes of results, which output, and the gradient with respect to it.
        retain: keep what the calls saved, for another pass.

    Returns:
        The gradient for each `Leaf` that a result depends on.
    """
    # A node is due when all calls that depend on it are done. They have higher serial numbers, and
    # each of them was pushed before it was: the highest in the heap is always due.
    heap: list[tuple[int, Node]] = []
    pending: dict[Node, list[Any]] = {}
    leaves: dict[Node, Any] = {}

    def add(node: Node, index: int, gradient: Any) -> None:
        if type(node) is Leaf:
            present = leaves.get(node)
            leaves[node] = gradient if present is None else xp.add(present, gradient)
            return
        row = pending.get(node)
        if row is None:
            row = pending[node] = [None] * len(node.metas)
            heappush(heap, (-node.serial, node))
        row[index] = gradient if row[index] is None else xp.add(row[index], gradient)

    for node, index, gradient in roots:
        add(node, index, gradient)
    # The next node, where it is the only one: a chain needs no heap.
    following: Node | None = None
    while heap or following is not None:
        node = heappop(heap)[1] if following is None else following
        following = None
        found = node.pull(pending.pop(node))
        # `pull` gives one for each edge; to have it looked at costs a tenth of the pass.
        for (slot, parent, index), gradient in zip(node.edges, found):  # noqa: B905
            if gradient is None:
                continue
            meta = parent.metas[index]
            assert meta is not None
            shape, dtype, cls, _ = meta
            # As for the usual arrays of the usual dtype: `fit` would find nothing to do.
            array: Any = gradient
            if type(array) is not cls or array.dtype is not dtype or array.shape != shape:
                assert node.operator is not None
                array = fit(gradient, meta, node.operator, slot)
            if len(parent.metas) == 1 and parent not in pending and type(parent) is not Leaf:
                # As `add` does, without a call.
                pending[parent] = [array]
                if heap or following is not None:
                    heappush(heap, (-parent.serial, parent))
                else:
                    following = parent
            else:
                add(parent, index, array)
        if heap and following is not None:
            heappush(heap, (-following.serial, following))
            following = None
        if not retain:
            node.free()
            node.edges = []
    return leaves


def fit(gradient: Any, meta: Meta, operator: Operator, slot: Any) -> Any:
    """A gradient with the shape and the dtype of what it is the gradient of.

    Args:
        gradient: summed over axes along which the array was broadcast.
        meta: of the array.
        operator: whose call the gradient came through, for messages.
        slot: which input of the call it is.

    Raises:
        GradientError: its shape is another one, or it is on another device.
    """
    shape, dtype, cls, _ = meta
    if isinstance(gradient, np.generic):
        gradient = np.asarray(gradient)
    if type(gradient) is not cls:
        _check_device(gradient, cls, operator, slot)
    if gradient.dtype.kind not in "fciub":
        _, name = _name(operator, slot)
        raise GradientError(
            f"{operator.qualname}: expected the gradient of {name} to be an array of numbers, "
            f"{dtype} like the input, got {describe(gradient)}. Declared as {operator.declaration}"
        )
    if not _same(gradient.shape, shape):
        gradient = _sum_to(gradient, shape, operator, slot)
    if gradient.dtype != dtype:
        if gradient.dtype.kind == "c" and dtype.kind != "c":
            gradient = xp.real(gradient)
        gradient = xp.astype(gradient, dtype, copy=False)
    return gradient


def _same(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(map(known_equal, left, right))


def _sum_to(gradient: Any, shape: Any, operator: Operator, slot: Any) -> Any:
    extra = len(gradient.shape) - len(shape)
    if extra < 0:
        _fail_shape(gradient, shape, operator, slot)
    sizes = gradient.shape[extra:]
    ones = []
    for axis, (size, wanted) in enumerate(zip(sizes, shape, strict=True)):
        if known_equal(size, wanted):
            continue
        if not known_equal(wanted, 1):
            _fail_shape(gradient, shape, operator, slot)
        ones.append(axis + extra)
    if ones:
        gradient = xp.sum(gradient, axis=tuple(ones), keepdims=True)
    return xp.sum(gradient, axis=tuple(range(extra))) if extra else gradient


def _name(operator: Operator, slot: Any) -> tuple[int, str]:
    """Which input it is, as a number and as a name."""
    key, *index = slot if type(slot) is tuple else (slot,)
    names = [parameter.name for parameter in operator.schema.parameters]
    position = key if type(key) is int else names.index(key)
    return position, repr(names[position]) + "".join(f"[{i}]" for i in index)


def _fail_shape(gradient: Any, shape: Any, operator: Operator, slot: Any) -> NoReturn:
    position, name = _name(operator, slot)
    raise GradientError(
        f"{operator.qualname}: backward returned an invalid gradient at index {position} - got "
        f"{list(gradient.shape)} but expected shape compatible with {list(shape)}, that of the "
        f"input {name}. Declared as {operator.declaration}"
    )


def _check_device(gradient: Any, cls: type, operator: Operator, slot: Any) -> None:
    got, expected = array_kind(type(gradient)), array_kind(cls)
    # Of a real array, a gradient may be that of a transformation around this, but no fake.
    allowed = wrapper_types.keys() if expected is None else nested_types
    if got is None and type(gradient) not in allowed:
        _, name = _name(operator, slot)
        raise GradientError(
            f"{operator.qualname}: expected the gradient of {name} to be an array or None, got "
            f"{describe(gradient)}"
        )
    if got is not None and expected is not None and got.device_type != expected.device_type:
        _, name = _name(operator, slot)
        raise GradientError(
            f"{operator.qualname}: the gradient of {name} is on {got.device_type}, the input on "
            f"{expected.device_type}. Declared as {operator.declaration}"
        )
