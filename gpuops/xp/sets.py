"""Set functions: the sizes of their results depend on data."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.symbols import known_equal, product
from gpuops.xp._meta import Meta, fresh, view_strides
from gpuops.xp._row import row
from gpuops.xp._sizes import dynamic_size

__all__: list[str] = []

_INTP = np.dtype(np.intp)


def _count(x: Any) -> Any:
    total = product(x.shape)
    if known_equal(total, 0):
        return 0
    return dynamic_size(1 if type(total) is int else 0, total)


def _inverse(x: Any) -> Meta:
    strides = view_strides(x.shape, _INTP.itemsize)
    empty = len(x.shape) == 1 and known_equal(x.shape[0], 0)
    return Meta(x.shape, _INTP, (0,) if empty else strides)


def _native(x: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = x.dtype
    return dtype


def _unique_all(x: Any) -> tuple[Meta, Meta, Meta, Meta]:
    count = _count(x)
    places = fresh((count,), _INTP)
    return fresh((count,), _native(x)), places, _inverse(x), places


@row("unique_all(Array x) -> (Array, Array, Array, Array)", fake=_unique_all)
def unique_all(xp: Any, x: Any) -> Any:
    """The distinct elements, where they are first, where each element is among them, how many.

    Args:
        x: an array.

    Returns:
        The sorted distinct elements, the place of the first of each in the flattened array, for
        each element of `x` the place among the distinct ones, and how often each occurs. NaNs are
        distinct from each other.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.unique_all(np.asarray([5, 3, 5]))[3]
    array([1, 2])
    """
    values, indices, inverse, counts = xp.unique(
        x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    return values, indices, inverse.reshape(x.shape), counts


def _unique_counts(x: Any) -> tuple[Meta, Meta]:
    count = _count(x)
    return fresh((count,), _native(x)), fresh((count,), _INTP)


@row("unique_counts(Array x) -> (Array, Array)", fake=_unique_counts)
def unique_counts(xp: Any, x: Any) -> Any:
    """The distinct elements and how often each occurs.

    Args:
        x: an array.

    Returns:
        The sorted distinct elements, and ints. NaNs are distinct from each other.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.unique_counts(np.asarray([5, 3, 5]))
    (array([3, 5]), array([1, 2]))
    """
    return tuple(xp.unique(x, return_counts=True, equal_nan=False))


def _unique_inverse(x: Any) -> tuple[Meta, Meta]:
    return fresh((_count(x),), _native(x)), _inverse(x)


@row("unique_inverse(Array x) -> (Array, Array)", fake=_unique_inverse)
def unique_inverse(xp: Any, x: Any) -> Any:
    """The distinct elements, and where each element of the array is among them.

    Args:
        x: an array.

    Returns:
        The sorted distinct elements, and ints of the shape of `x`. NaNs are distinct from each
        other.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.unique_inverse(np.asarray([5, 3, 5]))
    (array([3, 5]), array([1, 0, 1]))
    """
    values, inverse = xp.unique(x, return_inverse=True, equal_nan=False)
    return values, inverse.reshape(x.shape)


def _unique_values(x: Any) -> Meta:
    return fresh((_count(x),), _native(x))


@row("unique_values(Array x) -> Array", fake=_unique_values)
def unique_values(xp: Any, x: Any) -> Any:
    """The distinct elements, sorted; NaNs are distinct from each other.

    Args:
        x: an array.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.unique_values(np.asarray([5, 3, 5]))
    array([3, 5])
    """
    return xp.unique(x, equal_nan=False)
