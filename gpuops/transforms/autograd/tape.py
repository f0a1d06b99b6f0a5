"""`Tape`: one differentiation. It runs operators and notes what their gradients need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import numpy as np

from gpuops import checks, versions
from gpuops.convert import wrapper_types
from gpuops.devices import array_kind
from gpuops.entries import Entry
from gpuops.errors import GradientError, UsageError, describe
from gpuops.formulas import AUTOGRAD, Formula
from gpuops.registry import Operator, registry
from gpuops.tags import Tag
from gpuops.transforms.autograd.array import DiffArray
from gpuops.transforms.autograd.formula import FormulaNode, apply_formula, run_forward
from gpuops.transforms.autograd.nodes import Constant, Edge, Leaf, Meta, Missing, Node, Pulled
from gpuops.transforms.autograd.rules import Rules, compile_rules
from gpuops.transforms.autograd.streaming import note_stream
from gpuops.transforms.autograd.writes import Checksums
from gpuops.transforms.levels import begin, register_nested
from gpuops.transforms.providers import find_rule

__all__ = ["Tape", "no_grad"]

_ndarray = np.ndarray
new = object.__new__
_silent: ContextVar[int] = ContextVar("gpuops_no_grad", default=0)
"""Differentiations that began before this depth record nothing."""


@contextmanager
def no_grad() -> Iterator[None]:
    """A block whose operator calls are constants to differentiations that began outside of it.

    >>> import numpy as np
    >>> from gpuops import grad
    >>> def f(x):
    ...     with no_grad():
    ...         scale = x * x
    ...     return (scale * x).sum()
    >>> grad(f)(np.array([2.0, 3.0]))
    array([4., 9.])
    """
    token = _silent.set(begin())
    try:
        yield
    finally:
        _silent.reset(token)


class _Plan:
    """What is the same for all calls of an operator.

    Attributes:
        call: the operator's.
        rules: the operator's, as they are now; see `Registry.rule_table`.
        arrays: the positions of the plain (or optional) array parameters.
        lists: the positions of lists of arrays.
        keywords: the names of the keyword-only array parameters, and whether they are lists.
        mutated: the positions or names of what it writes to.
        one: whether it returns exactly one array.
        is_view: whether an output is a view.
        is_plain: whether all arrays are positional and none is in a list.
        all_needed: what `needs_input_grad` is if every array needs one, where `is_plain`.
        inputs: how many parameters there are.
        are_arrays: whether each of them is an array, or a list of arrays.
        has_given: whether a formula's node notes which inputs were left to their defaults, and how
            long lists were.
        entry: the rule in force when `compiled` was made.
        compiled: see `compile_rules`.
        looked_up: whether rules that are loaded at first use have been.
    """

    def __init__(self, operator: Operator) -> None:
        schema = operator.schema
        positional = schema.positional
        self.call = operator.call
        self.rules = registry.rule_table(operator)
        self.arrays = [
            i for i, p in enumerate(positional) if p.type.is_array and not p.type.is_list
        ]
        self.lists = [i for i, p in enumerate(positional) if p.type.is_array and p.type.is_list]
        self.keywords = [(p.name, p.type.is_list) for p in schema.keyword_only if p.type.is_array]
        self.mutated = [
            p.name if p.kwarg_only else i for i, p in enumerate(schema.parameters) if p.is_mutated
        ]
        self.one = len(schema.returns) == 1 and schema.returns[0].type.is_plain_array
        self.one = self.one and not schema.returns_tuple
        self.is_view = any(r.alias is not None for r in schema.returns)
        self.is_plain = not self.lists and not self.keywords
        self.all_needed = tuple(i in self.arrays for i in range(len(positional)))
        self.inputs = len(schema.parameters)
        self.are_arrays = tuple(p.type.is_array for p in schema.parameters)
        self.has_given = not self.is_plain or any(p.has_default for p in schema.parameters)
        self.entry: Any = None
        self.compiled: dict[Any, Any] = {}
        self.looked_up = False


class Tape:
    """One differentiation.

    Attributes:
        depth: see `gpuops.transforms.levels`.
        active: whether the differentiated function still runs.
        sums: in debug mode, of the arrays of all calls.
        streams: the streams that its calls with arrays of a GPU were on, None for the default one.
    """

    def __init__(self) -> None:
        self.depth = begin()
        self.active = True
        self.sums = Checksums() if checks.enabled.get() else None
        self.streams: set[Any] = set()
        # Saved arrays are compared with the times of writes, as long as the graph may be used.
        self._watcher = versions.Watcher()

    def leaf(self, value: Any) -> DiffArray:
        """An array that gradients are computed for."""
        return DiffArray(value, self, Leaf(_meta(value)))

    # -- one call ----------------------------------------------------------------------------------

    def interpret(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operator and note what its gradient needs; see `Transform`."""
        if not self.active:
            _fail_ended(operator)
        plan = operator.memo.get("autograd")
        if plan is None:
            plan = operator.memo["autograd"] = _Plan(operator)
        values = [*args]
        edges: list[Edge] = []
        for position in plan.arrays:
            arg = args[position]
            if type(arg) is DiffArray and arg.transform is self:
                values[position] = arg.value
                edges.append((position, arg.node, arg.index))
        passed = kwargs
        if not plan.is_plain:
            passed = self._unwrap_rest(plan, args, kwargs, values, edges)
        if _silent.get() > self.depth:
            return self._constant(plan, operator, args, kwargs, values, passed)
        if plan.mutated:
            return self._write(plan, operator, args, kwargs, values, passed, edges)
        stack = plan.rules.get(AUTOGRAD)
        entry: Entry | None = None
        formula: Formula | None = None
        if stack:
            entry = stack[-1]
            if type(entry.value) is Formula:
                formula = entry.value
        residuals = None
        if formula is not None and formula.forward is not None:
            out, residuals = run_forward(operator, formula, values, passed)
        else:
            out = plan.call(*values, **passed) if passed else plan.call(*values)
        if self.sums is not None:
            self.sums.look(values, list(passed.values()), out)
        if plan.one:
            if out.dtype.kind not in "fc":
                return out
            node: Node | None
            if formula is not None:
                node = apply_formula(operator, edges, formula, values, passed, out, residuals)
            else:
                node = self._node(plan, operator, entry, values, passed, out, edges)
            if node is None:
                return out
            cls = type(out)
            node.metas = ((out.shape, out.dtype, cls, None),)
            if cls is not _ndarray:
                note_stream(self.streams, node, out)
            if type(node) is FormulaNode:
                node.outputs = node.metas
                if node.ctx is not None and node.ctx._gpuops_constants:
                    _check_constants(operator, node, [out])
                    return out
            # As `DiffArray(out, self, node)` does, in half the time.
            array: DiffArray = new(DiffArray)
            array.value = out
            array.transform = self
            array.node = node
            array.index = 0
            array.shared = False
            if plan.is_view:
                self._share(args, array)
            return array
        return self._several(plan, operator, entry, args, values, passed, out, edges, residuals)

    def _unwrap_rest(
        self,
        plan: _Plan,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        values: list[Any],
        edges: list[Edge],
    ) -> dict[str, Any]:
        """Unwrap lists and keyword-only arguments; the latter are returned."""
        for position in plan.lists:
            if args[position] is not None:
                values[position] = self._unwrap_list(position, args[position], edges)
        if not plan.keywords:
            return kwargs
        passed = dict(kwargs)
        for name, is_list in plan.keywords:
            arg = kwargs[name]
            if is_list and arg is not None:
                passed[name] = self._unwrap_list(name, arg, edges)
            elif type(arg) is DiffArray and arg.transform is self:
                passed[name] = arg.value
                edges.append((name, arg.node, arg.index))
        return passed

    def _unwrap_list(self, slot: int | str, items: list[Any], edges: list[Edge]) -> list[Any]:
        values = list(items)
        for index, item in enumerate(items):
            if type(item) is DiffArray and item.transform is self:
                values[index] = item.value
                edges.append(((slot, index), item.node, item.index))
        return values

    def _node(
        self,
        plan: _Plan,
        operator: Operator,
        entry: Entry | None,
        values: list[Any],
        kwargs: dict[str, Any],
        out: Any,
        edges: list[Edge],
        residuals: Any = None,
    ) -> Node | None:
        """The node of a call; None if its gradient is zero everywhere."""
        if entry is None and not plan.looked_up:
            plan.looked_up = True
            entry = find_rule(operator, AUTOGRAD)
        if entry is None:
            return Missing(operator, edges)
        if type(entry.value) is Formula:
            return apply_formula(operator, edges, entry.value, values, kwargs, out, residuals)
        if plan.entry is not entry:
            rules: Rules = entry.value
            plan.compiled = compile_rules(operator, rules)
            plan.entry = entry
        compiled = plan.compiled
        pulls: list[Any] = []
        kept_edges: list[Edge] = []
        missing: list[Edge] = []
        last = None
        for edge in edges:
            slot = edge[0]
            if type(slot) is tuple:
                slot = slot[0]
                if slot == last:
                    # The rule for the list's first array computes the gradients of all.
                    if compiled.get(slot) is not None:
                        pulls.append(None)
                        kept_edges.append(edge)
                    continue
                last = slot
            if slot not in compiled:
                missing.append(edge)
                continue
            found = compiled[slot]
            if found is not None:
                rule, getters = found
                pulls.append((rule, tuple([get(values, kwargs, out) for get in getters])))
                kept_edges.append(edge)
        if missing:
            return Missing(operator, missing)
        if not pulls:
            return None
        return Pulled(operator, kept_edges, pulls, not (plan.one or plan.mutated))

    def _several(
        self,
        plan: _Plan,
        operator: Operator,
        entry: Entry | None,
        args: Sequence[Any],
        values: list[Any],
        kwargs: dict[str, Any],
        out: Any,
        edges: list[Edge],
        residuals: Any,
    ) -> Any:
        """The result of an operator that returns something else than one array."""
        schema = operator.schema
        returned = out if schema.returns_tuple else (out,) if schema.returns else ()
        flat = [v for value in returned for v in (value if type(value) is list else [value])]
        if not any(_differentiable(value) for value in flat):
            return out
        node = self._node(plan, operator, entry, values, kwargs, out, edges, residuals)
        if node is None:
            return out
        constants: tuple[Any, ...] = ()
        if type(node) is FormulaNode:
            node.outputs = tuple(_meta(v) if _is_array(v) else None for v in flat)
            if any(type(value) is list for value in returned):
                node.lengths = tuple(len(v) if type(v) is list else None for v in returned)
            assert node.ctx is not None
            constants = node.ctx._gpuops_constants
            _check_constants(operator, node, flat)
        metas: list[Meta | None] = []
        wrapped: list[Any] = []
        for value in flat:
            if _differentiable(value) and not any(value is constant for constant in constants):
                array = DiffArray(value, self, node, len(metas))
                metas.append(_meta(value))
                wrapped.append(array)
                if type(value) is not np.ndarray:
                    note_stream(self.streams, node, value)
                if plan.is_view:
                    self._share(args, array)
            else:
                metas.append(None)
                wrapped.append(value)
        node.metas = tuple(metas)
        items = iter(wrapped)
        nested = [[next(items) for _ in v] if type(v) is list else next(items) for v in returned]
        return tuple(nested) if schema.returns_tuple else nested[0]

    def _share(self, args: Sequence[Any], out: DiffArray) -> None:
        out.shared = True
        for arg in args:
            for item in arg if type(arg) is list else (arg,):
                if type(item) is DiffArray and item.transform is self:
                    item.shared = True

    def _constant(
        self,
        plan: _Plan,
        operator: Operator,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        values: list[Any],
        passed: dict[str, Any],
    ) -> Any:
        """Run an operator within `no_grad`."""
        out = operator.call(*values, **passed)
        for slot in plan.mutated:
            if isinstance(slot, int):
                given, value = args[slot], values[slot]
            else:
                given, value = kwargs[slot], passed[slot]
            if out is value:
                return given
        return out

    # -- operators that write ----------------------------------------------------------------------

    def _write(
        self,
        plan: _Plan,
        operator: Operator,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        values: list[Any],
        passed: dict[str, Any],
        edges: list[Edge],
    ) -> Any:
        """Run an operator that mutates arguments: what it wrote to depends on all its inputs."""
        if Tag.out in operator.tags:
            raise GradientError(
                f"{operator.qualname}: functions with out= arguments don't support automatic "
                "differentiation, but one of the arguments requires grad. Call the functional "
                f"operator, or write in a block of gpuops.no_grad(). Declared as "
                f"{operator.declaration}"
            )
        written: list[DiffArray] = []
        for slot in plan.mutated:
            arg = args[slot] if isinstance(slot, int) else kwargs[slot]
            for item in arg if type(arg) is list else (arg,):
                if type(item) is DiffArray and item.transform is self:
                    self.check_may_change(item, operator.qualname)
                    written.append(item)
                elif item is not None and _differentiable(item):
                    raise GradientError(
                        f"{operator.qualname}: writes what depends on an array that is being "
                        f"differentiated to one that is not ({describe(item)}), where its gradient "
                        "would be lost. Write to an array like one that is being differentiated "
                        "(gpuops.xp.zeros_like), build the result from the parts (stack, concat), "
                        "or write in a block of gpuops.no_grad(). Declared as "
                        f"{operator.declaration}"
                    )
        out = operator.call(*values, **passed)
        entry = registry.rule(operator, AUTOGRAD)
        node = self._node(plan, operator, entry, values, passed, out, edges)
        if node is None:
            node = Constant(operator, [])
        schema = operator.schema
        returned = out if schema.returns_tuple else (out,) if schema.returns else ()
        results: list[Any] = []
        metas: list[Meta | None] = []
        for array in written:
            array.node, array.index = node, len(metas)
            metas.append(_meta(array.value))
            if type(array.value) is not np.ndarray:
                note_stream(self.streams, node, array.value)
        for value in returned:
            same = next((array for array in written if array.value is value), None)
            if same is not None or not _differentiable(value):
                results.append(value if same is None else same)
            else:
                results.append(DiffArray(value, self, node, len(metas)))
                metas.append(_meta(value))
        node.metas = tuple(metas)
        if schema.returns_tuple:
            return tuple(results)
        return results[0] if results else None

    def check_may_change(self, array: DiffArray, name: str) -> None:
        """Refuse to write to an argument of the differentiated function, or to a view.

        Raises:
            GradientError: it is one.
        """
        if type(array.node) is Leaf:
            raise GradientError(
                f"{name}: writes to an argument (a leaf) that gradients are computed for, "
                f"{describe(array.value)}. Write to a copy: gpuops.xp.copy(x)"
            )
        if array.shared:
            raise GradientError(
                f"{name}: writes to an array of which there are views, {describe(array.value)}; "
                "a gradient through both is not computed. Write to a copy: gpuops.xp.copy(x)"
            )


def _is_array(value: Any) -> bool:
    cls = type(value)
    return cls is np.ndarray or cls in wrapper_types or array_kind(cls) is not None


def _differentiable(value: Any) -> bool:
    return _is_array(value) and value.dtype.kind in "fc"


def _meta(value: Any) -> Meta:
    cls = type(value)
    return value.shape, value.dtype, cls, None if cls is np.ndarray else value


def _check_constants(operator: Operator, node: FormulaNode, outputs: list[Any]) -> None:
    assert node.ctx is not None
    for constant in node.ctx._gpuops_constants:
        if not any(constant is output for output in outputs):
            raise GradientError(
                f"{operator.qualname}: mark_non_differentiable takes outputs of the call (what "
                f"setup_context was given in `output`), got {describe(constant)}. The formula is "
                f"registered at {node.formula.location}"
            )


def _fail_ended(operator: Operator) -> NoReturn:
    raise UsageError(
        f"{operator.qualname} was called with an array of a differentiation that has ended; a "
        "differentiated function must return what it computes and not keep its arrays"
    )


register_nested(DiffArray)
