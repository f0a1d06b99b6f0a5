"""Norms, traces, diagonals and cross products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import require_equal, sym_max, sym_min
from gpuops.xp._axes import axes_of, axis_of, result_dtype, without
from gpuops.xp._meta import Meta, ReadOnly, broadcast, fresh, like
from gpuops.xp._reduce import prototype, reduced, refuse_empty
from gpuops.xp._releases import NORMS_OF_NOTHING
from gpuops.xp._row import row
from gpuops.xp._shapes import permuted, reshaped
from gpuops.xp._ufuncs import ufunc_metas
from gpuops.xp.decompositions import svd_metas
from gpuops.xp.manipulation import moved, ravelled

__all__ = ["diagonal_meta"]


# -- norms -----------------------------------------------------------------------------------------


def _magnitudes(x: Any) -> Meta:
    """The absolute values of the elements, as floating-point numbers."""
    if x.dtype.kind not in "fc":
        x = like(x, np.dtype(np.float64))
    return ufunc_metas(np.absolute, [x])[0]


def _squares(x: Any) -> Meta:
    """The squares of the magnitudes, as NumPy computes them: ``(x.conj() * x).real``."""
    if x.dtype.kind not in "fc":
        x = like(x, np.dtype(np.float64))
    found: Meta = ufunc_metas(np.multiply, [ufunc_metas(np.conjugate, [x])[0], x])[0]
    return Meta(found.shape, np.empty((0,), found.dtype).real.dtype, found.strides)


def _vector_norm(
    x: Any,
    axis: Sequence[int] | None = None,
    *,
    keepdims: bool = False,
    ord: float = 2.0,
) -> Meta:
    gone = axes_of(axis, len(x.shape))
    if axis is None:
        flat: Any = ravelled(x)
        place = 0
    elif len(axis) == 1:
        flat, place = x, gone[0]
    else:
        rest = tuple(a for a in range(len(x.shape)) if a not in gone)
        front = permuted(x, (*gone, *rest))
        count = math.prod(x.shape[a] for a in gone)
        flat = reshaped(front, (count, *(x.shape[a] for a in rest)))[0]
        place = 0
    values = _squares(flat) if ord == 2 else _magnitudes(flat)
    if ord == -math.inf or (ord == math.inf and not NORMS_OF_NOTHING):
        refuse_empty(values, [place], "minimum" if ord < 0 else "maximum")
    result = reduced(values, [place], False, values.dtype)
    if ord == 2:
        result = ufunc_metas(np.sqrt, [result])[0]
    if not keepdims:
        return result
    shape = tuple(1 if a in gone else size for a, size in enumerate(x.shape))
    return Meta(*reshaped(result, shape)[0])


@row(
    "linalg_vector_norm(Array x, int[]? axis=None, *, bool keepdims=False, float ord=2.0) -> Array",
    fake=_vector_norm,
)
def linalg_vector_norm(
    xp: Any,
    x: Any,
    axis: Any = None,
    *,
    keepdims: bool = False,
    ord: float = 2.0,
) -> Any:
    """The norms of vectors.

    Args:
        x: an array of numbers.
        axis: the axes whose elements make up a vector; None for all.
        keepdims: leave the axes in the result with size 1.
        ord: which norm: p, 0 for the number of elements that are not 0, or (minus) infinity.

    Returns:
        Real floating-point numbers.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.vector_norm(np.asarray([3.0, 4.0]))
    array(5.)
    """
    axes = axes_of(axis, x.ndim)
    if axis is None:
        flat, place = x.ravel(), 0
    elif len(axes) == 1:
        flat, place = x, axes[0]
    else:
        rest = tuple(a for a in range(x.ndim) if a not in axes)
        count = math.prod(x.shape[a] for a in axes)
        flat = x.transpose((*axes, *rest)).reshape((count, *(x.shape[a] for a in rest)))
        place = 0
    out = xp.linalg.norm(flat, axis=place, ord=int(ord) if ord in (0, 1, 2) else ord)
    if not keepdims:
        return out
    return out.reshape(tuple(1 if a in axes else size for a, size in enumerate(x.shape)))


_MATRIX_NORMS = ("fro", "nuc")


def _matrix_norm(
    x: Any,
    *,
    keepdims: bool = False,
    ord: float | None = None,
    kind: str = "fro",
) -> Meta:
    ndim = len(x.shape)
    axis_of(-2, ndim)
    if (ord is None and kind not in _MATRIX_NORMS) or ord not in (
        None,
        1,
        -1,
        2,
        -2,
        math.inf,
        -math.inf,
    ):
        raise ValueError("Invalid norm order for matrices.")
    if x.dtype.kind not in "fc":
        x = like(x, np.dtype(np.float64))
    if (ord is None and kind == "nuc") or ord in (2, -2):
        values = svd_metas(x)[1]
        if ord == -2 or (ord == 2 and not NORMS_OF_NOTHING):
            refuse_empty(values, [-1], "minimum" if ord == -2 else "maximum")
        result = reduced(values, [-1], False, values.dtype)
    elif ord is None:
        values = _magnitudes(x)
        result = reduced(values, [-2, -1], False, values.dtype)
    else:
        values = _magnitudes(x)
        inner = reduced(values, [-2 if ord in (1, -1) else -1], False, values.dtype)
        if ord < 0 or not NORMS_OF_NOTHING:
            refuse_empty(inner, [-1], "minimum" if ord < 0 else "maximum")
        result = reduced(inner, [-1], False, values.dtype)
    if not keepdims:
        return result
    return Meta(*reshaped(result, (*x.shape[:-2], 1, 1))[0])


@row(
    'linalg_matrix_norm(Array x, *, bool keepdims=False, float? ord=None, str kind="fro") -> Array',
    fake=_matrix_norm,
)
def linalg_matrix_norm(
    xp: Any,
    x: Any,
    *,
    keepdims: bool = False,
    ord: float | None = None,
    kind: str = "fro",
) -> Any:
    """The norms of matrices.

    What `gpuops.xp.linalg.matrix_norm` takes for `ord` is one of the numbers or of the names.

    Args:
        x: an array of shape (..., M, N).
        keepdims: leave the last two axes in the result with size 1.
        ord: 1, -1, 2, -2, or (minus) infinity; None for the norm that `kind` names.
        kind: ``"fro"`` (Frobenius) or ``"nuc"`` (nuclear).

    Returns:
        Real floating-point numbers.

    Raises:
        ValueError: no such norm.
        AxisError: fewer than two axes.
    """
    if ord is None and kind not in _MATRIX_NORMS:
        raise ValueError("Invalid norm order for matrices.")
    return xp.linalg.norm(x, ord=kind if ord is None else ord, axis=(-2, -1), keepdims=keepdims)


def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norms of matrices.

    Args:
        x: an array of shape (..., M, N).
        keepdims: leave the last two axes in the result with size 1.
        ord: ``"fro"`` (Frobenius), ``"nuc"`` (nuclear), 1, -1, 2, -2, or (minus) infinity.

    Returns:
        Real floating-point numbers.

    Raises:
        ValueError: no such norm.
        AxisError: fewer than two axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.matrix_norm(np.asarray([[3.0, 0.0], [0.0, 4.0]]))
    array(5.)
    """
    named = {"kind": ord} if isinstance(ord, str) else {"ord": ord}
    return linalg_matrix_norm.function(x, keepdims=keepdims, **named)


# -- diagonals -------------------------------------------------------------------------------------


def diagonal_meta(x: Any, offset: int, axis1: int, axis2: int) -> Meta:
    """What ``numpy.diagonal`` gives: a view that nobody may write to.

    Raises:
        ValueError: fewer than two axes, or one of them twice.
        AxisError: there is no such axis.
    """
    ndim = len(x.shape)
    if ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    a, b = axis_of(axis1, ndim), axis_of(axis2, ndim)
    if a == b:
        raise ValueError("axis1 and axis2 cannot be the same")
    rows, columns = x.shape[a], x.shape[b]
    if offset >= 0:
        columns = columns - offset
    else:
        rows = rows + offset
    size = sym_max(sym_min(rows, columns), 0)
    return ReadOnly(
        (*without(x.shape, (a, b)), size),
        x.dtype,
        (*without(x.strides, (a, b)), x.strides[a] + x.strides[b]),
    )


def _diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Meta:
    return diagonal_meta(x, offset, axis1, axis2)


@row("diagonal(Array(a) x, int offset=0, int axis1=0, int axis2=1) -> Array(a)", fake=_diagonal)
def diagonal(xp: Any, x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonals of an array, as a read-only view.

    Args:
        x: an array of at least two axes.
        offset: which diagonal; 0 is the main one, positive ones are above it.
        axis1: the axis of the rows.
        axis2: the axis of the columns.

    Returns:
        The other axes, and the diagonal as the last one.

    Raises:
        ValueError: fewer than two axes.
        AxisError: there is no such axis.
    """
    return xp.diagonal(x, offset, axis1, axis2)


def linalg_diagonal(x: Any, *, offset: int = 0) -> Any:
    """The diagonals of matrices, as a read-only view.

    Args:
        x: an array of shape (..., M, N).
        offset: which diagonal; 0 is the main one, positive ones are above it.

    Raises:
        ValueError: fewer than two axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.diagonal(np.asarray([[1, 2], [3, 4]]))
    array([1, 4])
    """
    return diagonal.function(x, offset, -2, -1)


def _trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Meta:
    found = prototype(np.sum, x.dtype, dtype=dtype)
    return reduced(diagonal_meta(x, offset, axis1, axis2), [-1], False, found)


@row(
    "trace(Array x, int offset=0, int axis1=0, int axis2=1, dtype? dtype=None) -> Array",
    fake=_trace,
)
def trace(
    xp: Any, x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None
) -> Any:
    """The sums of diagonals.

    Args:
        x: an array of at least two axes.
        offset: which diagonal; 0 is the main one, positive ones are above it.
        axis1: the axis of the rows.
        axis2: the axis of the columns.
        dtype: the result's dtype; by default small ints become the platform's.

    Raises:
        ValueError: fewer than two axes.
        AxisError: there is no such axis.
    """
    return xp.trace(x, offset, axis1, axis2, dtype)


def linalg_trace(x: Any, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sums of the diagonals of matrices.

    Args:
        x: an array of shape (..., M, N).
        offset: which diagonal; 0 is the main one, positive ones are above it.
        dtype: the result's dtype; by default small ints become the platform's.

    Raises:
        ValueError: fewer than two axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.trace(np.asarray([[1, 2], [3, 4]]))
    array(5)
    """
    return trace.function(x, offset, -2, -1, dtype)


# -- products --------------------------------------------------------------------------------------


def _cross(x1: Any, x2: Any, *, axis: int = -1) -> Meta:
    a = moved(x1, [axis_of(axis, len(x1.shape))], [-1])
    b = moved(x2, [axis_of(axis, len(x2.shape))], [-1])
    for x in (a, b):
        require_equal(x.shape[-1], 3, "Both input arrays must be (arrays of) 3-dimensional vectors")
    dtype = result_dtype(x1, x2)
    if dtype.kind == "b":
        raise TypeError("numpy boolean subtract, the `-` operator, is not supported")
    shape = (*broadcast(Meta(a.shape[:-1], dtype, ()), Meta(b.shape[:-1], dtype, ())), 3)
    return Meta(*moved(fresh(shape, dtype), [-1], [axis_of(axis, len(shape))]))


@row("linalg_cross(Array x1, Array x2, *, int axis=-1) -> Array", fake=_cross)
def linalg_cross(xp: Any, x1: Any, x2: Any, *, axis: int = -1) -> Any:
    """The cross products of vectors of three elements.

    Args:
        x1: an array with 3 elements along the axis.
        x2: an array whose shape goes with that of `x1`.
        axis: the axis of the vectors.

    Raises:
        ValueError: vectors of another size.
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.cross(np.asarray([1, 0, 0]), np.asarray([0, 1, 0]))
    array([0, 0, 1])
    """
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are "
            f"{x1.shape[axis]} and {x2.shape[axis]} dimensional instead."
        )
    return xp.cross(x1, x2, axis=axis)


def _linalg_outer(x1: Any, x2: Any) -> Meta:
    if len(x1.shape) != 1 or len(x2.shape) != 1:
        raise ValueError(
            "Input arrays must be one-dimensional, but they are "
            f"{len(x1.shape)} and {len(x2.shape)} dimensional."
        )
    left = Meta((*x1.shape, 1), x1.dtype, (*x1.strides, 0))
    right = Meta((1, *x2.shape), x2.dtype, (0, *x2.strides))
    return ufunc_metas(np.multiply, [left, right])[0]


@row("linalg_outer(Array x1, Array x2) -> Array", fake=_linalg_outer)
def linalg_outer(xp: Any, x1: Any, x2: Any) -> Any:
    """The products of all elements of one vector with all of another.

    Args:
        x1: an array of shape (M,).
        x2: an array of shape (N,).

    Returns:
        An array of shape (M, N).

    Raises:
        ValueError: another number of axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.outer(np.asarray([1, 2]), np.asarray([3, 4]))
    array([[3, 4],
           [6, 8]])
    """
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(
            f"Input arrays must be one-dimensional, but they are {x1.ndim} and {x2.ndim} "
            "dimensional."
        )
    return x1[:, None] * x2[None, :]
