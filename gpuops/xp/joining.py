"""Manipulation functions that copy: arrays joined, repeated and rolled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import known_equal, product, require_equal
from gpuops.xp._axes import axis_of, result_dtype
from gpuops.xp._meta import Meta, Size, fresh, is_dense, like
from gpuops.xp._row import row
from gpuops.xp._shapes import joined_strides, reshaped

__all__ = ["concat_meta"]


# -- joining ---------------------------------------------------------------------------------------


def concat_meta(arrays: Sequence[Any], axis: int | None, dtype: np.dtype[Any] | None) -> Meta:
    """What ``numpy.concatenate`` gives.

    Raises:
        ValueError: no array, 0-d arrays, or shapes that differ beside the axis.
        AxisError: no such axis.
    """
    if not arrays:
        raise ValueError("need at least one array to concatenate")
    if axis is None:
        dtype = _joined_dtype(arrays, dtype)
        return fresh((sum((product(x.shape) for x in arrays), start=0),), dtype)
    first = arrays[0]
    ndim = len(first.shape)
    if ndim == 0:
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = axis_of(axis, ndim)
    shape = list(first.shape)
    for index, x in enumerate(arrays[1:], 1):
        if len(x.shape) != ndim:
            raise ValueError(
                "all the input array dimensions except for the concatenation axis must match: "
                f"array 0 has {ndim} dimensions and array {index} has {len(x.shape)}"
            )
        for other, size in enumerate(x.shape):
            if other == axis:
                shape[axis] = shape[axis] + size
            else:
                shape[other] = require_equal(
                    shape[other],
                    size,
                    "all the input array dimensions except for the concatenation axis must match: "
                    f"along dimension {other}, arrays 0 and {index} have sizes",
                )
    result = tuple(shape)
    dtype = _joined_dtype(arrays, dtype)
    return Meta(result, dtype, joined_strides(arrays, result, dtype.itemsize))


def _joined_dtype(arrays: Sequence[Any], dtype: np.dtype[Any] | None) -> np.dtype[Any]:
    if dtype is None:
        return result_dtype(*arrays)
    for x in arrays:
        if not np.can_cast(x.dtype, dtype, "same_kind"):
            raise TypeError(f"Cannot cast {x.dtype} to {dtype} according to the rule 'same_kind'")
    return dtype


def _concat(arrays: Sequence[Any], axis: int | None = 0, *, dtype: Any = None) -> Meta:
    return concat_meta(arrays, axis, dtype)


@row(
    "concat(Array[] arrays, int? axis=0, *, dtype? dtype=None) -> Array",
    fake=_concat,
)
def concat(xp: Any, arrays: Any, axis: int | None = 0, *, dtype: Any = None) -> Any:
    """Arrays joined along an axis that they have already.

    Args:
        arrays: arrays whose shapes differ in that axis only.
        axis: the axis; None joins the flattened arrays.
        dtype: the result's dtype; by default that of the arrays together.

    Raises:
        ValueError: the shapes do not go together.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.concat([np.zeros(2), np.ones(1)])
    array([0., 0., 1.])
    """
    return xp.concatenate(arrays, axis, dtype=dtype)


def _stack(arrays: Sequence[Any], axis: int = 0, *, dtype: Any = None) -> Meta:
    if not arrays:
        raise ValueError("need at least one array to stack")
    ndim = len(arrays[0].shape)
    if any(len(x.shape) != ndim for x in arrays):
        raise ValueError("all input arrays must have the same shape")
    for x in arrays[1:]:
        for a, b in zip(arrays[0].shape, x.shape, strict=True):
            require_equal(a, b, "all input arrays must have the same shape; sizes differ")
    axis = axis_of(axis, ndim + 1)
    grown = [
        Meta(
            (*x.shape[:axis], 1, *x.shape[axis:]),
            x.dtype,
            (*x.strides[:axis], 0, *x.strides[axis:]),
        )
        for x in arrays
    ]
    return concat_meta(grown, axis, dtype)


@row("stack(Array[] arrays, int axis=0, *, dtype? dtype=None) -> Array", fake=_stack)
def stack(xp: Any, arrays: Any, axis: int = 0, *, dtype: Any = None) -> Any:
    """Arrays of one shape joined along a new axis.

    Args:
        arrays: the arrays.
        axis: where the new axis is in the result.
        dtype: the result's dtype; by default that of the arrays together.

    Raises:
        ValueError: the shapes differ.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.stack([np.zeros(2), np.ones(2)], axis=1)
    array([[0., 1.],
           [0., 1.]])
    """
    return xp.stack(arrays, axis, dtype=dtype)


# -- repeating -------------------------------------------------------------------------------------


def _roll(x: Any, shift: Sequence[int], axis: Sequence[int] | None = None) -> Meta:
    if axis is None:
        return Meta(*reshaped(fresh((product(x.shape),), x.dtype), x.shape)[0])
    for a in axis:
        axis_of(a, len(x.shape))
    if not axis and not x.shape:
        raise ValueError("axis= needs at least one axis")
    np.broadcast_shapes((len(shift),), (len(axis),))
    return like(x, x.dtype)


@row("roll(Array x, SymInt[] shift, int[]? axis=None) -> Array", fake=_roll)
def roll(xp: Any, x: Any, shift: Any, axis: Any = None) -> Any:
    """Elements moved along axes; what leaves at one end comes back at the other.

    Args:
        x: an array.
        shift: by how many places, for each axis.
        axis: the axes; None moves in the flattened array.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.roll(np.arange(4), 1)
    array([3, 0, 1, 2])
    """
    return xp.roll(x, tuple(shift), None if axis is None else tuple(axis))


def _with_axes_in_front(x: Any, ndim: int) -> Meta:
    """What ``numpy.array(x, ndmin=ndim)`` gives: axes of size 1 with strides of their own."""
    ones = ndim - len(x.shape)
    if not x.shape or (is_dense(x, "F") and not is_dense(x)):
        step = x.dtype.itemsize
    else:
        step = x.strides[0] * x.shape[0]
    return Meta((1,) * ones + x.shape, x.dtype, (step,) * ones + x.strides)


def _tile(x: Any, repetitions: Sequence[Size]) -> Meta:
    reps = tuple(repetitions)
    ndim = max(len(x.shape), len(reps))
    source = x
    if ndim > len(x.shape):
        source = _with_axes_in_front(x, ndim)
    reps = (*(1,) * (ndim - len(reps)), *reps)
    if all(type(rep) is int and rep == 1 for rep in reps):
        return like(source, x.dtype)
    shape = tuple(size * rep for size, rep in zip(source.shape, reps, strict=True))
    count = product(source.shape)
    result = source
    if type(count) is not int or count > 0:
        # As NumPy does it, since the layout of a result without elements depends on the steps.
        for size, rep in zip(source.shape, reps, strict=True):
            if type(rep) is not int or rep != 1:
                rows = product(result.shape) // count if type(count) is int else -1
                result = _repeat(reshaped(result, (rows, count))[0], rep, 0)
            count = count // size
    return Meta(*reshaped(result, shape)[0])


@row("tile(Array(a) x, SymInt[] repetitions) -> Array(a)", fake=_tile)
def tile(xp: Any, x: Any, repetitions: Any) -> Any:
    """The array repeated along axes, as tiles are laid.

    Args:
        x: an array.
        repetitions: how often, for each axis, counted from the last.

    Raises:
        ValueError: a negative number.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.tile(np.asarray([1, 2]), (2,))
    array([1, 2, 1, 2])
    """
    return xp.tile(x, tuple(repetitions))


def _repeat(x: Any, repeats: int, axis: int | None = None) -> Meta:
    shape = list(x.shape or (1,)) if axis is not None else [product(x.shape)]
    axis = axis_of(axis or 0, len(shape))
    if type(repeats) is int and repeats < 0 and not known_equal(shape[axis], 0):
        raise ValueError("repeats may not contain negative values.")
    shape[axis] = shape[axis] * repeats
    return fresh(shape, x.dtype)


@row("repeat(Array x, SymInt repeats, int? axis=None) -> Array", fake=_repeat)
def repeat(xp: Any, x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element repeated.

    Args:
        x: an array.
        repeats: how often; with an array (one number for each element along the axis) it is the
            operator ``xp::repeat_each``, whose result has a size that depends on data.
        axis: the axis; None repeats the flattened array's elements.

    Raises:
        ValueError: a negative number.
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.repeat(np.asarray([1, 2]), 2)
    array([1, 1, 2, 2])
    """
    return xp.repeat(x, repeats, axis)
