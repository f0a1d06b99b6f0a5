"""Axes, dtypes and sizes as the rules of all chapters need them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from gpuops.symbols import known_equal, product

__all__ = [
    "axes_of",
    "axis_of",
    "divide_size",
    "result_dtype",
    "without",
]


def axis_of(axis: int, ndim: int) -> int:
    """The axis counted from the front.

    Raises:
        AxisError: there is no such axis.
    """
    return int(normalize_axis_index(axis, ndim))


def axes_of(axes: Iterable[int] | None, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front; None stands for all.

    Raises:
        AxisError: there is no such axis.
        ValueError: one comes twice.
    """
    if axes is None:
        return tuple(range(ndim))
    return tuple(normalize_axis_tuple(tuple(axes), ndim, "axis"))


def without(items: Sequence[Any], axes: Iterable[int]) -> tuple[Any, ...]:
    """The items that are not at one of the positions."""
    dropped = frozenset(axes)
    return tuple(item for index, item in enumerate(items) if index not in dropped)


@lru_cache(maxsize=4096)
def _result_type(dtypes: tuple[Any, ...]) -> np.dtype[Any]:
    return np.result_type(*dtypes)


def result_dtype(*arrays: Any) -> np.dtype[Any]:
    """The dtype of arrays together, by NumPy's promotion.

    Raises:
        TypeError: they have none.
    """
    return _result_type(tuple(array.dtype for array in arrays))


def divide_size(total: Sequence[Any], parts: Sequence[Any]) -> Any | None:
    """How often the product of `parts` goes into the product of `total`; None if it does not.

    Sizes that are in both are cancelled first, so that no question is asked about symbols.
    """
    rest = list(total)
    others = []
    for part in parts:
        match = next((i for i, size in enumerate(rest) if known_equal(size, part)), None)
        if match is None:
            others.append(part)
        else:
            del rest[match]
    numerator, denominator = product(rest), product(others)
    if known_equal(denominator, 1):
        return numerator
    if type(denominator) is int and denominator == 0:
        return None
    if type(numerator) is int and type(denominator) is int:
        quotient, remainder = divmod(numerator, denominator)
        return None if remainder else quotient
    return numerator // denominator
