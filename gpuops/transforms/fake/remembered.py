"""Fake kernels that need not run again for metadata they have seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpuops.transforms.fake.array import FakeArray

__all__ = ["MOST_REMEMBERED", "key_of", "of_metadata"]

MOST_REMEMBERED = 4096
"""Programs call with few different shapes; one that does not starts anew then."""


def of_metadata(fake: Callable[..., Any]) -> Callable[..., Any]:
    """Promise that a fake kernel's output follows from its arguments' shapes, dtypes and strides.

    It returns one new array on the arguments' device, and for the same metadata (and the same
    other arguments) always the same. So it need not run where the answer is known: looking up what
    ``a + b`` has for a shape takes a fifth of computing it.
    """
    fake.remembered = {}  # type: ignore[attr-defined]  # a function with an attribute
    return fake


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
