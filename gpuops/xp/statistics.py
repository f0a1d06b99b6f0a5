"""Statistical functions: reductions and cumulative sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import product
from gpuops.xp._axes import axis_of
from gpuops.xp._meta import Meta, fresh, like, minor_first, operand_strides, sorted_strides
from gpuops.xp._reduce import prototype, reduced, refuse_empty
from gpuops.xp._row import row
from gpuops.xp._ufuncs import ufunc_metas
from gpuops.xp.joining import concat_meta

__all__ = ["cumulated"]


def _tuple(axis: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if axis is None else tuple(axis)


# -- sums and products -----------------------------------------------------------------------------


def _sum(
    x: Any, axis: Sequence[int] | None = None, dtype: Any = None, *, keepdims: bool = False
) -> Meta:
    return reduced(x, axis, keepdims, prototype(np.sum, x.dtype, dtype=dtype))


@row(
    "sum(Array x, int[]? axis=None, dtype? dtype=None, *, bool keepdims=False) -> Array", fake=_sum
)
def sum(xp: Any, x: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """The sum of elements along axes.

    Args:
        x: an array of numbers.
        axis: the axes to sum over; None for all.
        dtype: the result's dtype; by default small ints become the platform's.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.sum(np.ones((2, 3)), axis=0)
    array([2., 2., 2.])
    """
    return xp.sum(x, axis=_tuple(axis), dtype=dtype, keepdims=keepdims)


def _prod(
    x: Any, axis: Sequence[int] | None = None, dtype: Any = None, *, keepdims: bool = False
) -> Meta:
    return reduced(x, axis, keepdims, prototype(np.prod, x.dtype, dtype=dtype))


@row(
    "prod(Array x, int[]? axis=None, dtype? dtype=None, *, bool keepdims=False) -> Array",
    fake=_prod,
)
def prod(xp: Any, x: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """The product of elements along axes.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        dtype: the result's dtype; by default small ints become the platform's.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.prod(np.asarray([2, 3]))
    array(6)
    """
    return xp.prod(x, axis=_tuple(axis), dtype=dtype, keepdims=keepdims)


# -- extremes --------------------------------------------------------------------------------------


def _max(x: Any, axis: Sequence[int] | None = None, *, keepdims: bool = False) -> Meta:
    result = reduced(x, axis, keepdims, prototype(np.max, x.dtype))
    refuse_empty(x, axis, "maximum")
    return result


@row("max(Array x, int[]? axis=None, *, bool keepdims=False) -> Array", fake=_max)
def max(xp: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The greatest element along axes; NaN if there is one.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.
        ValueError: there is no element to choose from.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.max(np.asarray([[1, 5], [3, 2]]), axis=1)
    array([5, 3])
    """
    return xp.max(x, axis=_tuple(axis), keepdims=keepdims)


def _min(x: Any, axis: Sequence[int] | None = None, *, keepdims: bool = False) -> Meta:
    result = reduced(x, axis, keepdims, prototype(np.min, x.dtype))
    refuse_empty(x, axis, "minimum")
    return result


@row("min(Array x, int[]? axis=None, *, bool keepdims=False) -> Array", fake=_min)
def min(xp: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The least element along axes; NaN if there is one.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.
        ValueError: there is no element to choose from.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.min(np.asarray([3, 1, 2]))
    array(1)
    """
    return xp.min(x, axis=_tuple(axis), keepdims=keepdims)


# -- moments ---------------------------------------------------------------------------------------


def _mean(
    x: Any, axis: Sequence[int] | None = None, dtype: Any = None, *, keepdims: bool = False
) -> Meta:
    found = prototype(np.mean, x.dtype, dtype=dtype)
    if dtype is None and x.dtype.kind == "f" and x.dtype.itemsize == 2:
        # Computed in float32, and cast.
        return like(reduced(x, axis, keepdims, np.dtype(np.float32)), found)
    return reduced(x, axis, keepdims, found)


@row(
    "mean(Array x, int[]? axis=None, dtype? dtype=None, *, bool keepdims=False) -> Array",
    fake=_mean,
)
def mean(xp: Any, x: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """The arithmetic mean along axes.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        dtype: the dtype to compute in; by default that of `x`, float64 for ints.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.mean(np.asarray([1.0, 2.0, 6.0]))
    array(3.)
    """
    return xp.mean(x, axis=_tuple(axis), dtype=dtype, keepdims=keepdims)


def _var(
    x: Any,
    axis: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    correction: float = 0.0,
    keepdims: bool = False,
) -> Meta:
    found = prototype(np.var, x.dtype, dtype=dtype)
    middle = _mean(x, axis, prototype(np.mean, x.dtype, dtype=dtype), keepdims=True)
    # The differences from the mean are an array of their own, whose layout it is that counts.
    return reduced(ufunc_metas(np.subtract, [x, middle])[0], axis, keepdims, found)


@row(
    "var(Array x, int[]? axis=None, dtype? dtype=None, *, float correction=0.0, "
    "bool keepdims=False) -> Array",
    fake=_var,
)
def var(
    xp: Any,
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    correction: float = 0.0,
    keepdims: bool = False,
) -> Any:
    """The variance along axes.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        dtype: the dtype to compute in; by default that of `x`, float64 for ints.
        correction: what is subtracted from the number of elements in the divisor.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.var(np.asarray([1.0, 3.0]), correction=1)
    array(2.)
    """
    return xp.var(x, axis=_tuple(axis), dtype=dtype, ddof=correction, keepdims=keepdims)


@row(
    "std(Array x, int[]? axis=None, dtype? dtype=None, *, float correction=0.0, "
    "bool keepdims=False) -> Array",
    fake=_var,
)
def std(
    xp: Any,
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    correction: float = 0.0,
    keepdims: bool = False,
) -> Any:
    """The standard deviation along axes.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        dtype: the dtype to compute in; by default that of `x`, float64 for ints.
        correction: what is subtracted from the number of elements in the divisor.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.std(np.asarray([1.0, 3.0]))
    array(1.)
    """
    return xp.std(x, axis=_tuple(axis), dtype=dtype, ddof=correction, keepdims=keepdims)


# -- cumulative sums and products ------------------------------------------------------------------


def cumulated(x: Any, axis: int | None, dtype: np.dtype[Any]) -> Meta:
    """What ``numpy.add.accumulate`` gives; None as axis takes the flattened array.

    Raises:
        AxisError: there is no such axis.
    """
    if axis is None:
        return fresh((product(x.shape),), dtype)
    axis_of(axis, len(x.shape) or 1)
    if not x.shape:
        return fresh((1,), dtype)
    order = minor_first([(stride,) for stride in operand_strides(x, x.shape)])
    return Meta(x.shape, dtype, sorted_strides(x.shape, dtype.itemsize, order))


def _cumulated(
    xp: Any, function: Any, x: Any, axis: int | None, dtype: Any, first: int | None
) -> Any:
    """What ``numpy.cumulative_sum`` and its like give, for NumPy before 2.1."""
    x = xp.atleast_1d(x)
    if axis is None and x.ndim > 1:
        raise ValueError(
            "For arrays which have more than one dimension ``axis`` argument is required."
        )
    place = 0 if axis is None else axis
    result = function(x, place, dtype)
    if first is None:
        return result
    shape = list(result.shape)
    shape[place] = 1
    return xp.concatenate([xp.full_like(result, first, shape=shape), result], place)


def _cumulative(ufunc: np.ufunc) -> Any:
    def rule(
        x: Any, axis: int | None = None, *, dtype: Any = None, include_initial: bool = False
    ) -> Meta:
        found = prototype(ufunc.accumulate, x.dtype, dtype=dtype)
        if not x.shape:
            x = Meta((1,), x.dtype, (x.dtype.itemsize,))
        if axis is None:
            if len(x.shape) > 1:
                raise ValueError(
                    "For arrays which have more than one dimension ``axis`` argument is required."
                )
            axis = 0
        axis = axis_of(axis, len(x.shape))
        result = cumulated(x, axis, found)
        if not include_initial:
            return result
        shape = list(result.shape)
        shape[axis] = 1
        first = like(result, found, tuple(shape))
        return concat_meta([first, result], axis, None)

    rule.__name__ = f"cumulative_{ufunc.__name__}"
    return rule


@row(
    "cumulative_sum(Array x, int? axis=None, *, dtype? dtype=None, bool include_initial=False) "
    "-> Array",
    fake=_cumulative(np.add),
)
def cumulative_sum(
    xp: Any, x: Any, axis: int | None = None, *, dtype: Any = None, include_initial: bool = False
) -> Any:
    """The sums of the elements so far along an axis.

    Args:
        x: an array of numbers.
        axis: the axis; may be left out where there is only one.
        dtype: the result's dtype; by default small ints become the platform's.
        include_initial: start with a 0.

    Raises:
        ValueError: no axis given for an array of several.
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.cumulative_sum(np.asarray([1, 2, 3]), include_initial=True)
    array([0, 1, 3, 6])
    """
    if hasattr(xp, "cumulative_sum"):
        return xp.cumulative_sum(x, axis=axis, dtype=dtype, include_initial=include_initial)
    return _cumulated(xp, xp.cumsum, x, axis, dtype, 0 if include_initial else None)


@row(
    "cumulative_prod(Array x, int? axis=None, *, dtype? dtype=None, bool include_initial=False) "
    "-> Array",
    fake=_cumulative(np.multiply),
)
def cumulative_prod(
    xp: Any, x: Any, axis: int | None = None, *, dtype: Any = None, include_initial: bool = False
) -> Any:
    """The products of the elements so far along an axis.

    Args:
        x: an array of numbers.
        axis: the axis; may be left out where there is only one.
        dtype: the result's dtype; by default small ints become the platform's.
        include_initial: start with a 1.

    Raises:
        ValueError: no axis given for an array of several.
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.cumulative_prod(np.asarray([1, 2, 3]))
    array([1, 2, 6])
    """
    if hasattr(xp, "cumulative_prod"):
        return xp.cumulative_prod(x, axis=axis, dtype=dtype, include_initial=include_initial)
    return _cumulated(xp, xp.cumprod, x, axis, dtype, 1 if include_initial else None)


def _cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Meta:
    return cumulated(x, axis, prototype(np.cumsum, x.dtype, dtype=dtype))


@row("cumsum(Array x, int? axis=None, dtype? dtype=None) -> Array", fake=_cumsum)
def cumsum(xp: Any, x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The sums of the elements so far along an axis, or of the flattened array (NumPy's).

    Args:
        x: an array of numbers.
        axis: the axis; None for the flattened array.
        dtype: the result's dtype.

    Raises:
        AxisError: there is no such axis.
    """
    return xp.cumsum(x, axis, dtype)


def _cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Meta:
    return cumulated(x, axis, prototype(np.cumprod, x.dtype, dtype=dtype))


@row("cumprod(Array x, int? axis=None, dtype? dtype=None) -> Array", fake=_cumprod)
def cumprod(xp: Any, x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The products of the elements so far along an axis, or of the flattened array (NumPy's).

    Args:
        x: an array of numbers.
        axis: the axis; None for the flattened array.
        dtype: the result's dtype.

    Raises:
        AxisError: there is no such axis.
    """
    return xp.cumprod(x, axis, dtype)
