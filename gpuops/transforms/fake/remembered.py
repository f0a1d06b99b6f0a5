"""Fake kernels that need not run again for metadata they have seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpuops.schema import Schema, Type
from gpuops.symbols import is_symbolic
from gpuops.transforms.fake.array import FakeArray
from gpuops.transforms.fake.layout import WRITEABLE

__all__ = ["key_getter", "of_metadata", "remember"]

# Programs call with few different shapes; for one that does not, all is forgotten then.
_MOST_REMEMBERED = 4096


def of_metadata(fake: Callable[..., Any]) -> Callable[..., Any]:
    """Promise that a fake kernel's output follows from its arguments' shapes, dtypes and strides.

    For the same metadata, and the same other arguments, it returns the like: a new array on the
    arguments' device or a view of the first one. So it need not run where the answer is known:
    looking up what ``a + b`` has for a shape takes a fifth of computing it.
    """
    fake.remembered = {}  # type: ignore[attr-defined]  # a function with an attribute
    return fake


def remember(
    remembered: dict[Any, Any], key: Any, out: FakeArray, arrays: Sequence[FakeArray | None]
) -> None:
    """Keep what a fake kernel returned, as (shape, dtype, strides, is it a view, writeable).

    Left out are sizes that depend on data, which are others each time, and arguments themselves.

    Args:
        remembered: where.
        key: see `key_getter`.
        out: what was returned.
        arrays: the arrays among the arguments.
    """
    if any(array is out for array in arrays) or any(map(is_symbolic, out._shape)):
        return
    writeable = None
    if out._base is not None:
        first = arrays[0]
        if first is None or out._base is not (first if first._base is None else first._base):
            return
        if (out._bits ^ first._bits) & WRITEABLE:
            writeable = False
    if len(remembered) >= _MOST_REMEMBERED:
        remembered.clear()
    strides = out._strides if out._base is None else out.strides
    remembered[key] = out._shape, out._dtype, strides, out._base is not None, writeable


def key_getter(schema: Schema) -> Callable[..., Any]:
    """The function of a call's arguments that gives what its outputs' metadata follow from.

    It is generated: as a loop over the arguments it took a sixth of a fake call.

    Args:
        schema: the operator's; the function takes its arguments by position, in this order.

    >>> from gpuops import FakeArray
    >>> from gpuops.schema_parser import parse_schema
    >>> key = key_getter(parse_schema("my::flip(Array x, int[] axes, Scalar s) -> Array"))
    >>> key(FakeArray((2, 3), "int8"), [0, 1], 1.5)
    (((2, 3), dtype('int8'), None), (0, 1), (<class 'float'>, 1.5))
    """
    names = [f"a{place}" for place in range(len(schema.parameters))]
    parts = [_part(n, p.type) + ", " for n, p in zip(names, schema.parameters, strict=True)]
    made: Callable[..., Any] = eval(f"lambda {', '.join(names)}: ({''.join(parts)})", {})
    return made


def _part(name: str, type_: Type) -> str:
    """The expression for what matters of an argument."""
    if type_.is_list:
        item = _part("v", type_.item)
        text = f"tuple({name})" if item == "v" else f"tuple([{item} for v in {name}])"
    elif type_.is_array:
        text = f"({name}._shape, {name}._dtype, {name}._strides)"
    elif type_.base == "Scalar" or type_.is_opaque:
        # 1, 1.0 and True are equal, and are promoted differently.
        text = f"(type({name}), {name})"
    else:
        return name
    return f"(None if {name} is None else {text})" if type_.optional else text
