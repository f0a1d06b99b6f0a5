"""`Formula` nodes: calls whose gradient a user's backward function computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from gpuops import checks
from gpuops.convert import wrapper_types
from gpuops.devices import array_kind
from gpuops.errors import GradientError, describe, location_of
from gpuops.formulas import Formula
from gpuops.registry import Operator
from gpuops.schema import MISSING, Parameter
from gpuops.schema_types import Type
from gpuops.transforms.array_methods import xp
from gpuops.transforms.autograd.context import Context, raise_freed
from gpuops.transforms.autograd.nodes import Edge, Meta, Node, next_serial
from gpuops.transforms.autograd.writes import checksums

__all__ = ["FormulaNode", "apply_formula"]

ndarray = np.ndarray
new = object.__new__


class FormulaNode(Node):
    """A call of an operator with a formula.

    Attributes:
        formula: the formula in force at the call.
        ctx: what it kept.
        outputs: all that the call returned, flat, each as `Meta`; None for what is no array.
        lengths: for each return, None, or the length of the list that it is.
        given: for each input, whether it was left to its default; for a list its length. None
            where no input is a list or has a default.
    """

    __slots__ = ("ctx", "formula", "given", "lengths", "outputs")

    formula: Formula
    ctx: Context | None
    outputs: tuple[Meta | None, ...]
    lengths: tuple[int | None, ...] | None
    given: list[Any] | None

    def pull(self, gradients: list[Any]) -> list[Any]:
        """See `Node.pull`.

        Raises:
            GradientError: the formula returned something else than a gradient per input.
        """
        ctx, operator = self.ctx, self.operator
        assert operator is not None
        if ctx is None:
            raise_freed(operator)
        # Of a single output there is a gradient, or the call would not be reached.
        if len(gradients) > 1 and ctx._gpuops_materialize:
            gradients = [
                _zeros(meta) if gradient is None and meta is not None else gradient
                for gradient, meta in zip(gradients, self.outputs, strict=True)
            ]
        if self.lengths is not None:
            gradients = self._nested(gradients)
        if checks.state.contexts and checks.enabled.get():
            returned = self._watched(ctx, gradients)
        else:
            returned = self.formula.backward(ctx, *gradients)
        plan = operator.memo["autograd"]
        edges = self.edges
        # The usual kind, for which the checks below would find nothing.
        if plan.inputs == 1 and type(returned) is ndarray and plan.is_plain:
            return [returned]
        values = _checked(operator, self.formula, self.given, edges, returned)
        if plan.is_plain:
            return [values[edge[0]] if edge[0] < len(values) else None for edge in edges]
        positional = len(operator.schema.positional)
        found = []
        for slot, _, _ in self.edges:
            key, index = slot if type(slot) is tuple else (slot, None)
            if type(key) is str:
                names = [parameter.name for parameter in operator.schema.keyword_only]
                key = positional + names.index(key)
            value: Any = values[key] if key < len(values) else None
            found.append(value if index is None else value[index])
        return found

    def _watched(self, ctx: Context, gradients: list[Any]) -> Any:
        """What `backward` returns, in debug mode.

        Raises:
            GradientError: it wrote to a gradient that it was given, or to an array that was saved.
        """
        given = [item for g in gradients for item in (g if type(g) is list else [g])]
        arrays = [*given, *ctx.saved_arrays]
        before = checksums(arrays)
        returned = self.formula.backward(ctx, *gradients)
        for index, (old, new) in enumerate(zip(before, checksums(arrays), strict=True)):
            if old != new:
                saved = index - len(given)
                what = f"saved array {saved}" if saved >= 0 else f"the gradient of output {index}"
                assert self.operator is not None
                _fail(
                    self.operator,
                    self.formula,
                    f"wrote to {what}, {describe(arrays[index])}, which others need too: compute "
                    "a new array",
                )
        return returned

    def _nested(self, gradients: list[Any]) -> list[Any]:
        """The gradients of all outputs, those of a list as a list."""
        nested: list[Any] = []
        assert self.lengths is not None
        start = 0
        for length in self.lengths:
            if length is None:
                nested.append(gradients[start])
                start += 1
            else:
                nested.append(gradients[start : start + length])
                start += length
        return nested

    def kept(self) -> Iterator[Any]:
        """See `Node.kept`."""
        if self.ctx is not None:
            yield from vars(self.ctx).values()

    def free(self) -> None:
        """See `Node.free`."""
        if self.ctx is not None:
            # What else it has goes with it.
            self.ctx._gpuops_saved = None
            self.ctx = None


def apply_formula(
    operator: Operator,
    edges: list[Edge],
    formula: Formula,
    values: list[Any],
    kwargs: dict[str, Any],
    out: Any,
    residuals: Any = None,
) -> FormulaNode:
    """Let a formula keep what it needs of a call.

    Args:
        operator: what was called.
        edges: where gradients go.
        formula: the formula.
        values: the positional arguments, without wrappers of this differentiation.
        kwargs: the keyword-only ones.
        out: what it returned.
        residuals: what the formula's `forward` returned besides.
    """
    # One is made for each call: through `__init__` it would take twice as long.
    node: FormulaNode = new(FormulaNode)
    node.serial = next_serial()
    node.operator = operator
    node.edges = edges
    node.formula = formula
    node.lengths = node.given = None
    plan = operator.memo["autograd"]
    ctx = node.ctx = Context()
    ctx._gpuops_operator = operator
    if not plan.is_plain:
        ctx.needs_input_grad = _needs(operator, edges, values, kwargs)
    elif len(edges) == len(plan.arrays):
        ctx.needs_input_grad = plan.all_needed
    else:
        slots = [edge[0] for edge in edges]
        ctx.needs_input_grad = tuple([position in slots for position in range(len(values))])
    if plan.has_given:
        parameters = operator.schema.parameters
        every = (*values, *kwargs.values())
        node.given = [_given(v, p) for v, p in zip(every, parameters, strict=True)]
    setup = formula.setup_context
    if setup is not None:
        if formula.forward is not None:
            named = {"keyword_only_inputs": kwargs} if kwargs else {}
            setup(ctx=ctx, inputs=tuple(values), output=out, residuals=residuals, **named)
        elif kwargs:
            setup(ctx=ctx, inputs=tuple(values), keyword_only_inputs=kwargs, output=out)
        else:
            setup(ctx=ctx, inputs=tuple(values), output=out)
    return node


def run_forward(
    operator: Operator, formula: Formula, values: list[Any], kwargs: dict[str, Any]
) -> tuple[Any, Any]:
    """What a formula's `forward` returns in the place of the operator, and what else.

    Raises:
        GradientError: it is no pair, or its first part is not what the operator returns.
    """
    assert formula.forward is not None
    found = formula.forward(*values, **kwargs)
    if type(found) is not tuple or len(found) != 2:
        _fail_forward(operator, formula, f"a pair (output, residuals), got {describe(found)}")
    schema, (out, residuals) = operator.schema, found
    returned = out if schema.returns_tuple else (out,)
    if type(returned) is not tuple or len(returned) != len(schema.returns):
        expected = f"a tuple of {len(schema.returns)} as the output, got {describe(out)}"
        _fail_forward(operator, formula, expected)
    for index, (value, wanted) in enumerate(zip(returned, schema.returns, strict=True)):
        if wanted.type.is_array and not _fits(value, wanted.type):
            _fail_forward(
                operator, formula, f"{wanted.type} as output {index}, got {describe(value)}"
            )
    return out, residuals


def _fits(value: Any, type_: Type) -> bool:
    """Whether a value is of a type that holds arrays."""
    if value is None:
        return type_.optional
    if not type_.is_list:
        return _is_array(value)
    return type(value) is list and all(
        _is_array(item) or (item is None and type_.item_optional) for item in value
    )


def _fail_forward(operator: Operator, formula: Formula, message: str) -> NoReturn:
    assert formula.forward is not None
    place = location_of(formula.forward) or formula.location
    raise GradientError(
        f"{operator.qualname}: forward (at {place}) must return {message}. "
        f"Declared as {operator.declaration}"
    )


def _is_array(value: Any) -> bool:
    cls = type(value)
    return cls is np.ndarray or cls in wrapper_types or array_kind(cls) is not None


def _given(value: Any, parameter: Parameter) -> Any:
    """The length of a list; else whether the value is the parameter's default."""
    if type(value) is list and parameter.type.is_array:
        return len(value)
    default = parameter.default
    if default is MISSING:
        return False
    # Never an array, whose comparison is an array.
    return value is default or (type(value) is type(default) and bool(value == default))


def _needs(
    operator: Operator, edges: list[Edge], values: list[Any], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    wanted = {slot for slot, _, _ in edges}
    slots: list[Any] = list(range(len(values)))
    if any(parameter.type.is_array for parameter in operator.schema.keyword_only):
        slots += kwargs
    needs: list[Any] = []
    for slot in slots:
        value = values[slot] if type(slot) is int else kwargs[slot]
        if (
            type(value) is list
            and operator.schema.parameters[_position(operator, slot)].type.is_array
        ):
            needs.append([(slot, index) in wanted for index in range(len(value))])
        else:
            needs.append(slot in wanted)
    return tuple(needs)


def _position(operator: Operator, slot: int | str) -> int:
    if type(slot) is int:
        return slot
    return [parameter.name for parameter in operator.schema.parameters].index(str(slot))


def _zeros(meta: Meta) -> Any:
    shape, dtype, cls, prototype = meta
    return np.zeros(shape, dtype) if cls is np.ndarray else xp.zeros_like(prototype)


# -- what backward returned ------------------------------------------------------------------------


def _checked(
    operator: Operator,
    formula: Formula,
    given: list[Any] | None,
    edges: list[Edge],
    returned: Any,
) -> tuple[Any, ...]:
    values = returned if type(returned) is tuple else (returned,)
    plan = operator.memo["autograd"]
    if plan.is_plain and len(values) == plan.inputs:
        # Likewise.
        for value, is_array in zip(values, plan.are_arrays, strict=True):
            if value is not None and not (is_array and type(value) is ndarray):
                break
        else:
            return values
    parameters = operator.schema.parameters
    if len(values) != len(parameters):
        _check_number(operator, formula, given, edges, values)
    for index, (value, parameter) in enumerate(zip(values, parameters, strict=False)):
        type_ = parameter.type
        if not type_.is_array:
            if value is not None:
                _fail(
                    operator,
                    formula,
                    f"returned {describe(value)} as the gradient of {parameter.name!r}, which is "
                    f"{type_} and has none: expected None",
                )
        elif type_.is_list and given is not None and type(given[index]) is int:
            _check_list(operator, formula, parameter, value, given[index])
        elif value is not None:
            _check_array(operator, formula, repr(parameter.name), value)
    return values


def _check_number(
    operator: Operator,
    formula: Formula,
    given: list[Any] | None,
    edges: list[Edge],
    values: tuple[Any, ...],
) -> None:
    """Of inputs at the end that were left to their defaults, gradients may be left out."""
    schema = operator.schema
    positional = len(schema.positional)
    wanted = [_position(operator, slot[0] if type(slot) is tuple else slot) for slot, _, _ in edges]
    least = positional
    while least and given is not None and given[least - 1] is True:
        least -= 1
    if any(parameter.type.is_array for parameter in schema.keyword_only):
        least = max(least, *(position + 1 for position in wanted))
    if least <= len(values) <= positional or (
        positional <= len(values) <= len(schema.parameters) and len(values) >= least
    ):
        return
    keyword_arrays = any(parameter.type.is_array for parameter in schema.keyword_only)
    expected = len(schema.parameters) if keyword_arrays else positional
    names = ", ".join(parameter.name for parameter in schema.parameters[:expected])
    got = str(len(values))
    if len(values) == 1 and isinstance(values[0], (list, dict)):
        got += f" ({describe(values[0])}; several gradients are returned as a tuple)"
    _fail(
        operator,
        formula,
        f"returned an incorrect number of gradients: expected {expected}, one for each input "
        f"({names}), got {got}",
    )


def _check_list(
    operator: Operator, formula: Formula, parameter: Parameter, value: Any, length: int
) -> None:
    if type(value) is not list or len(value) != length:
        _fail(
            operator,
            formula,
            "Expected the return from backward to be of the same structure as the inputs: the "
            f"gradient of {parameter.name!r} must be a list of length {length} (of arrays or "
            f"None), got {describe(value)}",
        )
    for index, item in enumerate(value):
        if item is not None:
            _check_array(operator, formula, f"'{parameter.name}'[{index}]", item)


def _check_array(operator: Operator, formula: Formula, name: str, value: Any) -> None:
    # What NumPy's reductions give for 0-d results is a scalar.
    if not _is_array(value) and not isinstance(value, np.generic):
        _fail(
            operator,
            formula,
            f"expected the gradient of {name} to be an array or None, got {describe(value)}",
        )


def _fail(operator: Operator, formula: Formula, message: str) -> NoReturn:
    raise GradientError(
        f"{operator.qualname}: backward (registered at {formula.location}) {message}. "
        f"Declared as {operator.declaration}"
    )
