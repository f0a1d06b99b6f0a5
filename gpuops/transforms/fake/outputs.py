"""What a fake kernel returned, against what its operator declares."""

from __future__ import annotations

from typing import Any, NoReturn

from gpuops.convert import Mismatch, convert_number, wrapper_types
from gpuops.devices import array_kind
from gpuops.errors import AliasError, Location, ReturnError, describe, location_of
from gpuops.memory import owner
from gpuops.register import FAKE
from gpuops.registry import Operator, registry
from gpuops.schema import Return, Type
from gpuops.symbols import is_symbolic
from gpuops.transforms.fake.array import FakeArray
from gpuops.transforms.fake.context import FakeContext

__all__ = ["check_outputs", "name_dynamic_sizes"]


def check_outputs(operator: Operator, fake: Any, out: Any, arguments: tuple[Any, ...]) -> Any:
    """The outputs, as the operator's call returns them.

    A view of an argument stands for a new array with the same layout: that a kernel returns
    something else than what it was given is part of its contract.

    Args:
        operator: the operator.
        fake: its fake kernel.
        out: what that returned.
        arguments: the call's values in schema order.

    Raises:
        ReturnError: a real array, None for an array, a wrong number or type of values.
        AliasError: an argument itself is returned, and the schema does not say so.
    """
    schema = operator.schema
    returns = schema.returns
    if not returns:
        if out is not None:
            _fail(operator, fake, f"is declared to return None but {{}} returned {describe(out)}")
        return None
    if not schema.returns_tuple:
        return _output(operator, fake, returns[0], "its output", out, arguments)
    if not isinstance(out, (tuple, list)):
        _fail(
            operator,
            fake,
            f"is declared to return a tuple of {len(returns)} but {{}} returned {describe(out)}",
        )
    if len(out) != len(returns):
        _fail(
            operator,
            fake,
            f"is declared to return {len(returns)} values but {{}} returned {len(out)}",
        )
    return tuple(
        _output(operator, fake, declared, f"output {index}", value, arguments)
        for index, (declared, value) in enumerate(zip(returns, out, strict=True))
    )


def _output(
    operator: Operator,
    fake: Any,
    declared: Return,
    which: str,
    value: Any,
    arguments: tuple[Any, ...],
) -> Any:
    try:
        value = _converted(declared.type, value)
    except Mismatch as mismatch:
        _fail(operator, fake, f": {which} is declared as {declared.type}, but {{}} {mismatch}")
    if declared.alias is not None:
        return value
    if isinstance(value, list):
        return [_fresh(operator, fake, which, item, arguments) for item in value]
    return _fresh(operator, fake, which, value, arguments)


def _converted(type_: Type, value: Any) -> Any:
    if value is None:
        if type_.optional:
            return None
        raise Mismatch("returned None")
    if type_.is_list:
        if not isinstance(value, (list, tuple)):
            raise Mismatch(f"returned {describe(value)}")
        if type_.size is not None and len(value) != type_.size:
            raise Mismatch(f"returned {len(value)} items")
        return [_converted(type_.item, item) for item in value]
    if not type_.is_array:
        try:
            return convert_number(type_.base, value)
        except Mismatch as mismatch:
            raise Mismatch(f"returned something else: {mismatch}") from None
    if type(value) in wrapper_types:
        return value
    if array_kind(type(value)) is not None:
        raise Mismatch(
            f"returned a real array, {describe(value)}; make arrays without data: "
            "x.new_empty(shape), or gpuops.FakeArray(shape, dtype, device)"
        )
    raise Mismatch(f"returned {describe(value)}")


def _fresh(
    operator: Operator, fake: Any, which: str, value: Any, arguments: tuple[Any, ...]
) -> Any:
    """The array, independent of the arguments."""
    if type(value) is not FakeArray:
        return value
    for parameter, argument in zip(operator.schema.parameters, arguments, strict=True):
        items = argument if isinstance(argument, list) else [argument]
        for index, item in enumerate(items):
            if item is value:
                name = f"{parameter.name}[{index}]" if items is argument else parameter.name
                raise AliasError(
                    f"{operator.qualname}: {which} is the argument {name!r} itself, which the "
                    f"operator does not declare; {_name(fake)} ({_place(operator, fake)}) must "
                    f"return a new array, as with {name}.new_empty({name}.shape). "
                    f"Declared as {operator.declaration}"
                )
    if value.base is not None:
        owned = {id(owner(a)) for a in _flat(arguments) if type(a) is FakeArray}
        if id(owner(value)) in owned:
            return FakeArray.raw(
                value.shape, value.dtype, value.device, value.strides, value.fake_mode
            )
    return value


def _flat(arguments: tuple[Any, ...]) -> list[Any]:
    return [x for a in arguments for x in (a if isinstance(a, list) else [a])]


def _fail(operator: Operator, fake: Any, problem: str) -> NoReturn:
    culprit = f"its fake {_name(fake)} ({_place(operator, fake)})"
    separator = "" if problem.startswith(":") else " "
    raise ReturnError(
        f"{operator.qualname}{separator}{problem.format(culprit)}. "
        f"Declared as {operator.declaration}"
    )


def _name(fake: Any) -> str:
    return getattr(fake, "__qualname__", None) or type(fake).__name__


def _place(operator: Operator, fake: Any) -> Location | str:
    described: str | None = getattr(fake, "described", None)
    if described is not None:
        return described
    entry = registry.rule(operator, FAKE)
    return location_of(fake) or (operator.location if entry is None else entry.location)


# -- sizes that depend on data ---------------------------------------------------------------------


def name_dynamic_sizes(context: FakeContext, out: Any) -> None:
    """Say of the symbols that a fake kernel made which output they are a size of."""
    operator = context.operator
    values = out if isinstance(out, (tuple, list)) else [out]
    waiting = list(context.symbols or ())
    for index, value in enumerate(values):
        which = f"output {index} of" if len(values) > 1 else "the output of"
        sizes = enumerate(value.shape) if type(value) is FakeArray else [(None, value)]
        for axis, size in sizes:
            if not is_symbolic(size):
                continue
            symbol = size.env.symbol(size)
            if symbol is not None and any(symbol is other for other in waiting):
                where = which if axis is None else f"axis {axis} of {which}"
                symbol.origin = f"{where} {operator.qualname}, {symbol.origin}"
                waiting = [other for other in waiting if other is not symbol]
