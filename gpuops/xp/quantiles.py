"""Order statistics: medians and quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from gpuops.symbols import known_equal, product
from gpuops.xp._axes import axes_of
from gpuops.xp._index import index_meta
from gpuops.xp._meta import Meta, fresh, like
from gpuops.xp._releases import MERGES_AXES_OF_NOTHING
from gpuops.xp._row import row
from gpuops.xp._shapes import reshaped
from gpuops.xp._ufuncs import ufunc_metas
from gpuops.xp.manipulation import moved, ravelled
from gpuops.xp.statistics import mean

__all__ = ["INTERPOLATING"]

_INTP = np.dtype(np.intp)

INTERPOLATING: Final = frozenset(
    {
        "averaged_inverted_cdf",
        "hazen",
        "interpolated_inverted_cdf",
        "linear",
        "median_unbiased",
        "midpoint",
        "normal_unbiased",
        "weibull",
    }
)
"""The methods of `quantile` that give numbers between elements."""


_TAKING = frozenset({"closest_observation", "higher", "inverted_cdf", "lower", "nearest"})


def _tuple(axis: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if axis is None else tuple(axis)


def _in_one_axis(x: Any, axis: Sequence[int] | None) -> tuple[Any, int]:
    """An array in which what is reduced is one axis, and that axis (``_ureduce`` in NumPy)."""
    ndim = len(x.shape)
    gone = axes_of(axis, ndim)
    if axis is None:
        return ravelled(x), 0
    if len(gone) == 1:
        return x, gone[0]
    kept = tuple(a for a in range(ndim) if a not in gone)
    front = moved(x, kept, tuple(range(len(kept))))
    count = product(x.shape[a] for a in gone) if MERGES_AXES_OF_NOTHING else -1
    return reshaped(front, (*(x.shape[a] for a in kept), count))[0], len(kept)


def _with_axes(x: Any, result: Meta, axis: Sequence[int] | None, before: int = 0) -> Meta:
    """A result with the axes that were reduced, as axes of size 1 that NumPy puts in as new."""
    gone = axes_of(axis, len(x.shape))
    letters = "".join("n" if a in gone else "s" for a in range(len(x.shape)))
    layout = "s" * before + letters
    return Meta(*index_meta(result, layout or "e", [None] * (3 * layout.count("s")), []))


# -- quantiles -------------------------------------------------------------------------------------


@lru_cache(maxsize=2048)
def _quantile_dtype(x: np.dtype[Any], q: Any, method: str) -> np.dtype[Any]:
    """The dtype of quantiles; asked of NumPy with one element.

    Args:
        x: the dtype.
        q: a dtype, or a type of Python's numbers.
        method: as for `quantile`.

    Raises:
        TypeError: what NumPy raises.
    """
    share = np.ones((), q) if isinstance(q, np.dtype) else q(1)
    # One element twice, so that what lies between is computed.
    found = np.quantile(np.ones((2,), x), share, method=method)  # type: ignore[call-overload]
    return np.asarray(found).dtype


def _quantile(
    x: Any,
    q: Any,
    axis: Sequence[int] | None = None,
    *,
    keepdims: bool = False,
    method: str = "linear",
) -> Meta:
    if x.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    shares = getattr(q, "shape", ())
    if len(shares) != 1 and any(known_equal(size, 0) for size in shares):
        raise ValueError("zero-size array to reduction operation minimum which has no identity")
    source, place = _in_one_axis(x, axis)
    if len(shares) > 2:
        raise ValueError("q must be a scalar or 1d")
    if method not in INTERPOLATING and method not in _TAKING:
        raise ValueError(f"{method!r} is not a valid method")
    if known_equal(source.shape[place], 0):
        raise IndexError("quantiles of no elements")
    share: Any = q.dtype if hasattr(q, "dtype") else type(q)
    dtype = _quantile_dtype(x.dtype, share, method)
    # Of a copy in C order, the elements beside each quantile, its axis in front.
    copied = moved(fresh(source.shape, x.dtype), (place,), (0,))
    if method in INTERPOLATING:
        beside = index_meta(copied, "a", [], [fresh(shares, _INTP)])
        weight = fresh((*shares, *(1,) * (len(copied.shape) - 1)), np.dtype(float))
        step = ufunc_metas(np.subtract, [beside, beside])[0]
        part = ufunc_metas(np.multiply, [step, weight if shares else 0.5])[0]
        result = ufunc_metas(np.add, [beside, part])[0]
        result = Meta(result.shape, dtype, like(result, dtype).strides)
    else:
        shape = (*shares, *copied.shape[1:])
        result = fresh(shape, x.dtype if shape else x.dtype.newbyteorder("="))
    return _with_axes(x, result, axis, len(shares)) if keepdims else result


@row(
    "quantile(Array x, Array q, int[]? axis=None, *, bool keepdims=False, "
    'str method="linear") -> Array',
    fake=_quantile,
    scalars=("q",),
)
def quantile(
    xp: Any,
    x: Any,
    q: Any,
    axis: Any = None,
    *,
    keepdims: bool = False,
    method: str = "linear",
) -> Any:
    """The elements along axes that shares of all are less than or equal to.

    Args:
        x: an array of real numbers.
        q: the shares, from 0 to 1: a number, or an array of at most two axes, which come first in
            the result.
        axis: the axes; None for all.
        keepdims: leave the axes in the result with size 1.
        method: what is taken where a quantile lies between elements, as in NumPy.

    Raises:
        AxisError: there is no such axis.
        ValueError: a share that is none, or an unknown method.
        IndexError: there is no element.
        TypeError: complex numbers or bools.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.quantile(np.asarray([1.0, 2.0, 4.0]), 0.75)
    array(3.)
    """
    return xp.quantile(x, q, axis=_tuple(axis), keepdims=keepdims, method=method)


# -- medians ---------------------------------------------------------------------------------------


def _median(x: Any, axis: Sequence[int] | None = None, *, keepdims: bool = False) -> Meta:
    source, place = _in_one_axis(x, axis)
    if x.dtype.kind in "OSUV":
        raise TypeError(f"median takes numbers, not {x.dtype}")
    part = like(source, x.dtype)
    # The middle elements, one or two, and their mean.
    middle = Meta(
        (*part.shape[:place], 2, *part.shape[place + 1 :]) if part.shape else (),
        x.dtype,
        part.strides,
    )
    result = mean.fake(middle, [place] if part.shape else None)
    return _with_axes(x, result, axis) if keepdims else result


@row("median(Array x, int[]? axis=None, *, bool keepdims=False) -> Array", fake=_median)
def median(xp: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The middle of the sorted elements along axes; the mean of the two if their number is even.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        keepdims: leave the axes in the result with size 1.

    Returns:
        Floating-point numbers; NaN where there is one among the elements, or none of them.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.median(np.asarray([5, 1, 2, 8]))
    array(3.5)
    """
    return xp.median(x, axis=_tuple(axis), keepdims=keepdims)
