"""Fake kernels that need not run again for metadata they have seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpuops.symbols import is_symbolic
from gpuops.transforms.fake.array import FakeArray
from gpuops.transforms.fake.layout import WRITEABLE

__all__ = ["key_of", "of_metadata", "remember"]

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
        key: see `key_of`.
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


def key_of(args: Sequence[Any]) -> tuple[Any, ...]:
    """What an output's metadata follows from."""
    parts: list[Any] = []
    for value in args:
        if type(value) is FakeArray:
            parts.append((value._shape, value._dtype, value._strides))
        elif type(value) is list:
            parts.append(key_of(value))
        else:
            # With its type: 1, 1.0 and True are equal, and are promoted differently.
            parts.append((type(value), value))
    return tuple(parts)
