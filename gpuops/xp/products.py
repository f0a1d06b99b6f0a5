"""Products of vectors and matrices, and the transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import product, require_equal
from gpuops.xp._axes import axis_of, result_dtype
from gpuops.xp._gufuncs import gufunc_meta, same_size
from gpuops.xp._meta import Meta, fresh
from gpuops.xp._row import row
from gpuops.xp._shapes import permuted, reshaped
from gpuops.xp._ufuncs import find_loop, ufunc_metas
from gpuops.xp.manipulation import moved

__all__ = ["matmul_meta", "transposed"]


def transposed(x: Any) -> Meta:
    """A view with the last two axes exchanged.

    Raises:
        ValueError: fewer than two axes.
    """
    ndim = len(x.shape)
    if ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {ndim}")
    return permuted(x, [*range(ndim - 2), ndim - 1, ndim - 2])


def _matrix_transpose(x: Any) -> Meta:
    return transposed(x)


@row("matrix_transpose(Array(a) x) -> Array(a)", fake=_matrix_transpose)
def matrix_transpose(xp: Any, x: Any) -> Any:
    """A view with the last two axes exchanged.

    Args:
        x: an array of at least two axes.

    Raises:
        ValueError: fewer than two axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.matrix_transpose(np.zeros((2, 3))).shape
    (3, 2)
    """
    return transpose_last(x)


def transpose_last(x: Any) -> Any:
    """`x` with its last two axes exchanged."""
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return x.swapaxes(-1, -2)


def matmul_meta(x1: Any, x2: Any) -> Meta:
    """What ``numpy.matmul`` gives: an operand of one axis is a row, or a column.

    Raises:
        ValueError: an operand without axes, or shapes that do not go together.
        TypeError: dtypes that cannot be multiplied.
    """
    a, b = len(x1.shape), len(x2.shape)
    if not a or not b:
        raise ValueError(
            "matmul: an input operand does not have enough dimensions (has 0, gufunc core with "
            "signature (n?,k),(k,m?)->(n?,m?) requires 1)"
        )
    dtype = find_loop(np.matmul, (x1.dtype, x2.dtype)).outputs[0]
    same_size(x1.shape[-1], x2.shape[-2 if b > 1 else -1], "matmul")
    core = (*x1.shape[-2:-1], *(x2.shape[-1:] if b > 1 else ()))
    return gufunc_meta([(x1, min(a, 2)), (x2, min(b, 2))], core, dtype)


def _matmul(x1: Any, x2: Any) -> Meta:
    return matmul_meta(x1, x2)


@row("matmul(Array x1, Array x2) -> Array", fake=_matmul)
def matmul(xp: Any, x1: Any, x2: Any) -> Any:
    """The product of matrices; further axes in front are broadcast.

    Args:
        x1: of shape (..., M, K), or (K,) for a row.
        x2: of shape (..., K, N), or (K,) for a column.

    Returns:
        An array of shape (..., M, N); without M, or N, where an operand has one axis.

    Raises:
        ValueError: the inner sizes differ, or an operand has no axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.matmul(np.ones((2, 3)), np.ones((3, 1)))
    array([[3.],
           [3.]])
    """
    return xp.matmul(x1, x2)


def _vecdot(x1: Any, x2: Any, axis: int = -1) -> Meta:
    if not x1.shape or not x2.shape:
        raise ValueError("vecdot: an input operand does not have enough dimensions")
    a = moved(x1, [axis_of(axis, len(x1.shape))], [-1])
    b = moved(x2, [axis_of(axis, len(x2.shape))], [-1])
    dtype = find_loop(np.vecdot, (x1.dtype, x2.dtype)).outputs[0]
    same_size(a.shape[-1], b.shape[-1], "vecdot")
    return gufunc_meta([(a, 1), (b, 1)], (), dtype)


@row("vecdot(Array x1, Array x2, int axis=-1) -> Array", fake=_vecdot)
def vecdot(xp: Any, x1: Any, x2: Any, axis: int = -1) -> Any:
    """The dot products of vectors, the first of which is conjugated.

    Args:
        x1: an array of at least one axis.
        x2: an array whose shape goes with that of `x1`.
        axis: the axis of the vectors, in both.

    Raises:
        ValueError: the sizes of the vectors differ, or an operand has no axes.
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.vecdot(np.asarray([1, 2]), np.asarray([3, 4]))
    array(11)
    """
    if hasattr(xp, "vecdot"):
        return xp.vecdot(x1, x2, axis=axis)
    return (xp.conj(x1) * x2).sum(axis=axis)


def _tensordot(x1: Any, x2: Any, first: Sequence[int], second: Sequence[int]) -> Meta:
    if len(first) != len(second):
        raise ValueError("shape-mismatch for sum")
    left = [axis_of(axis, len(x1.shape)) for axis in first]
    right = [axis_of(axis, len(x2.shape)) for axis in second]
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        raise ValueError("shape-mismatch for sum: an axis comes twice")
    for a, b in zip(left, right, strict=True):
        require_equal(x1.shape[a], x2.shape[b], "shape-mismatch for sum")
    rows = tuple(n for axis, n in enumerate(x1.shape) if axis not in left)
    columns = tuple(n for axis, n in enumerate(x2.shape) if axis not in right)
    dtype = result_dtype(x1, x2)
    flat = fresh((product(rows), product(columns)), dtype)
    result = Meta(*reshaped(flat, rows + columns)[0])
    return result if result.shape else fresh((), dtype.newbyteorder("="))


@row("tensordot(Array x1, Array x2, int[] first, int[] second) -> Array", fake=_tensordot)
def tensordot(xp: Any, x1: Any, x2: Any, first: Any, second: Any) -> Any:
    """The sum of products over pairs of axes.

    What `gpuops.xp.tensordot` takes is ``axes=``: a number of axes, or two sequences of them.

    Args:
        x1: an array.
        x2: an array.
        first: the axes of `x1`.
        second: for each of them the axis of `x2`, of the same size.

    Returns:
        An array of the other axes of `x1`, then those of `x2`.

    Raises:
        ValueError: sizes differ.
    """
    return xp.tensordot(x1, x2, axes=(list(first), list(second)))


def tensordot_axes(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """The sum of products over pairs of axes.

    Args:
        x1: an array.
        x2: an array.
        axes: a number N, for the last N axes of `x1` and the first N of `x2`, or a pair: the axes
            of `x1` and, of the same sizes, the axes of `x2`.

    Returns:
        An array of the other axes of `x1`, then those of `x2`.

    Raises:
        ValueError: sizes differ.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.tensordot(np.ones((2, 3)), np.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    if isinstance(axes, (tuple, list)):
        first, second = ([a] if isinstance(a, (int, np.integer)) else list(a) for a in axes)
    else:
        ndim = len(x1.shape)
        first, second = list(range(ndim - axes, ndim)), list(range(axes))
    return tensordot.function(x1, x2, first, second)


def _matvec(x1: Any, x2: Any) -> Meta:
    _check_matvec(x1, x2)
    dtype = find_loop(np.matmul, (x1.dtype, x2.dtype)).outputs[0]
    return gufunc_meta([(x1, 2), (x2, 1)], (x1.shape[-2],), dtype)


def _check_matvec(x1: Any, x2: Any) -> None:
    if len(x1.shape) < 2 or not x2.shape:
        raise ValueError("matvec: an input operand does not have enough dimensions")
    same_size(x1.shape[-1], x2.shape[-1], "matvec")


@row("matvec(Array x1, Array x2) -> Array", fake=_matvec)
def matvec(xp: Any, x1: Any, x2: Any) -> Any:
    """The products of matrices and vectors.

    Args:
        x1: the matrices, of shape (..., M, N).
        x2: the vectors, of shape (..., N).

    Returns:
        An array of shape (..., M).

    Raises:
        ValueError: the shapes do not go together.
    """
    if hasattr(xp, "matvec"):
        return xp.matvec(x1, x2)
    _check_matvec(x1, x2)
    return xp.matmul(x1, x2[..., None])[..., 0]


def _vecmat(x1: Any, x2: Any) -> Meta:
    _check_vecmat(x1, x2)
    dtype = find_loop(np.matmul, (x1.dtype, x2.dtype)).outputs[0]
    return gufunc_meta([(x1, 1), (x2, 2)], (x2.shape[-1],), dtype)


def _check_vecmat(x1: Any, x2: Any) -> None:
    if not x1.shape or len(x2.shape) < 2:
        raise ValueError("vecmat: an input operand does not have enough dimensions")
    same_size(x1.shape[-1], x2.shape[-2], "vecmat")


@row("vecmat(Array x1, Array x2) -> Array", fake=_vecmat)
def vecmat(xp: Any, x1: Any, x2: Any) -> Any:
    """The products of conjugated vectors and matrices.

    Args:
        x1: the vectors, of shape (..., N).
        x2: the matrices, of shape (..., N, M).

    Returns:
        An array of shape (..., M).

    Raises:
        ValueError: the shapes do not go together.
    """
    if hasattr(xp, "vecmat"):
        return xp.vecmat(x1, x2)
    _check_vecmat(x1, x2)
    # `conj` of bools are int8 in NumPy.
    x1 = xp.conj(x1) if x1.dtype.kind == "c" else x1
    return xp.matmul(x1[..., None, :], x2)[..., 0, :]


# -- NumPy's own -----------------------------------------------------------------------------------


def _dot(x1: Any, x2: Any) -> Meta:
    a, b = len(x1.shape), len(x2.shape)
    dtype = result_dtype(x1, x2)
    if not a or not b:
        if dtype.char in "fdFD" and max(a, b) <= 2:
            # What BLAS could do, NumPy puts into a new array; otherwise it multiplies.
            return fresh((x2 if not a else x1).shape, dtype)
        return ufunc_metas(np.multiply, [x1, x2])[0]
    require_equal(x1.shape[-1], x2.shape[-2 if b > 1 else -1], "shapes not aligned")
    shape = (*x1.shape[:-1], *x2.shape[:-2], *(x2.shape[-1:] if b > 1 else ()))
    return fresh(shape, dtype if shape else dtype.newbyteorder("="))


@row("dot(Array x1, Array x2) -> Array", fake=_dot)
def dot(xp: Any, x1: Any, x2: Any) -> Any:
    """NumPy's dot product: of the last axis of `x1` and the last but one of `x2`.

    Args:
        x1: an array.
        x2: an array.

    Raises:
        ValueError: the sizes differ.
    """
    return xp.dot(x1, x2)


def _outer(x1: Any, x2: Any) -> Meta:
    rows, columns = product(x1.shape), product(x2.shape)
    a = fresh((rows, 1), x1.dtype)
    b = fresh((1, columns), x2.dtype)
    return ufunc_metas(np.multiply, [a, b])[0]


@row("outer(Array x1, Array x2) -> Array", fake=_outer)
def outer(xp: Any, x1: Any, x2: Any) -> Any:
    """The products of all elements of one array with all of another.

    Args:
        x1: an array; it is flattened.
        x2: an array; it is flattened.

    Returns:
        An array of shape (M, N).

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.outer(np.asarray([1, 2]), np.asarray([3, 4]))
    array([[3, 4],
           [6, 8]])
    """
    return xp.outer(x1, x2)
