"""NumPy's shorthands for what operators give together: they work on all arrays that these do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops.errors import ArgumentError, ShapeError
from gpuops.xp import _row
from gpuops.xp.functions import asarray, nonzero
from gpuops.xp.indexing import getitem_key
from gpuops.xp.norms import diagonal, linalg_cross, linalg_matrix_norm, linalg_vector_norm

__all__ = ["SHORTHANDS", "norm"]


def _call(name: str) -> Any:
    return _row.ROWS[name].function


def _flat(x: Any) -> Any:
    return _call("ravel")(x)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Elements of one array where a condition holds, of another one elsewhere.

    Args:
        condition: an array; what is not zero is true.
        x1: an array or a number; without it and `x2`, the result is that of `nonzero`.
        x2: an array or a number.

    Raises:
        ValueError: the shapes cannot be broadcast together.
        TypeError: one of `x1` and `x2` without the other.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.where(np.asarray([True, False]), np.asarray([1, 2]), 0)
    array([1, 0])
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ArgumentError("where takes both of x1 and x2, or none of them")
    return _call("where")(condition, x1, x2)


def diag(x: Any, k: int = 0) -> Any:
    """The diagonal of a matrix, or a matrix with a vector on its diagonal.

    Args:
        x: an array of one axis, or of two.
        k: which diagonal; 0 is the main one, positive ones are above it.

    Raises:
        ValueError: another number of axes.
    """
    if len(x.shape) == 2:
        return diagonal.function(x, k)
    return _call("diag_of")(x, k)


def inner(x1: Any, x2: Any) -> Any:
    """The sums of products over the last axes of both arrays.

    Args:
        x1: an array.
        x2: an array whose last axis has the same size.

    Raises:
        ValueError: the sizes differ.
    """
    if not x1.shape or not x2.shape:
        return _call("multiply")(x1, x2)
    return _call("tensordot")(x1, x2, [-1], [-1])


def vdot(x1: Any, x2: Any) -> Any:
    """The dot product of two flattened arrays, the first conjugated.

    Args:
        x1: an array.
        x2: an array of as many elements.

    Raises:
        ValueError: the numbers of elements differ.
    """
    return _call("vecdot")(_flat(x1), _flat(x2))


def kron(x1: Any, x2: Any) -> Any:
    """The Kronecker product: each element of one array times all of the other.

    Args:
        x1: an array.
        x2: an array.
    """
    ndim = max(len(x1.shape), len(x2.shape))
    x1 = getitem_key(x1, (None,) * (ndim - len(x1.shape)) + (...,))
    x2 = getitem_key(x2, (None,) * (ndim - len(x2.shape)) + (...,))
    shape = tuple(a * b for a, b in zip(x1.shape, x2.shape, strict=True))
    left = _call("expand_dims")(x1, tuple(range(1, 2 * ndim, 2))) if ndim else x1
    right = _call("expand_dims")(x2, tuple(range(0, 2 * ndim, 2))) if ndim else x2
    return _call("reshape")(_call("multiply")(left, right), shape)


def cross(x1: Any, x2: Any, axis: int = -1) -> Any:
    """The cross products of vectors of three elements.

    Args:
        x1: an array with 3 elements along the axis.
        x2: an array whose shape goes with that of `x1`.
        axis: the axis of the vectors.

    Raises:
        ValueError: vectors of another size.
    """
    return linalg_cross.function(x1, x2, axis=axis)


def rot90(x: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """A view turned by right angles in the plane of two axes.

    Args:
        x: an array of at least two axes.
        k: how many right angles, from the first axis to the second.
        axes: the two axes.

    Raises:
        ValueError: not two different axes.
    """
    first, second = (axis % max(len(x.shape), 1) for axis in axes)
    if first == second:
        raise ShapeError("Axes must be different.")
    turns = k % 4
    if turns == 0:
        return getitem_key(x, ...)
    if turns == 2:
        return _call("flip")(x, (first, second))
    if turns == 1:
        return _call("swapaxes")(_call("flip")(x, second), first, second)
    return _call("flip")(_call("swapaxes")(x, first, second), second)


def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """An array with others' elements behind its own.

    Args:
        x: an array.
        values: an array.
        axis: the axis to join them along; None joins the flattened arrays.

    Raises:
        ValueError: the shapes do not go together.
    """
    if axis is None:
        return _call("concat")([_flat(x), _flat(values)], 0)
    return _call("concat")([x, values], axis)


def average(x: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    """The weighted mean along axes.

    Args:
        x: an array of numbers.
        axis: the axes; one of them, or None, if there are weights of another shape than `x`.
        weights: an array of the shape of `x`, or with one weight for each place along the axis.
        keepdims: leave the axes in the result with size 1.

    Raises:
        ValueError: weights of another shape.
    """
    if weights is None:
        return _call("mean")(x, axis, keepdims=keepdims)
    if len(weights.shape) != len(x.shape):
        if not isinstance(axis, int) or len(weights.shape) != 1:
            raise ShapeError("average: weights need the shape of x, or one axis= that they are for")
        shape = [1] * len(x.shape)
        shape[axis] = -1
        weights = _call("reshape")(weights, shape)
    weighted = _call("sum")(_call("multiply")(x, weights), axis, keepdims=keepdims)
    spread = _call("broadcast_to")(weights, x.shape)
    total = _call("sum")(spread, axis, keepdims=keepdims)
    return _call("divide")(weighted, total)


def unique(
    x: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> Any:
    """The sorted distinct elements, NaNs distinct from each other, and what else is asked for.

    Args:
        x: an array.
        return_index: give the place of the first of each in the flattened array.
        return_inverse: give for each element of `x` the place among the distinct ones.
        return_counts: give how often each occurs.

    Returns:
        The elements, or a tuple of them and what was asked for, in the order of the arguments.
    """
    if not (return_index or return_inverse or return_counts):
        return _call("unique_values")(x)
    wanted = (True, return_index, return_inverse, return_counts)
    found = _call("unique_all")(x)
    return tuple(item for item, is_wanted in zip(found, wanted, strict=True) if is_wanted)


def extract(condition: Any, x: Any) -> Any:
    """The elements of an array where a condition holds.

    Args:
        condition: an array of as many elements as `x`; what is not zero is true.
        x: an array.
    """
    return getitem_key(_flat(x), _call("astype")(_flat(condition), bool))


def compress(condition: Any, x: Any, axis: int | None = None) -> Any:
    """The slices of an array along an axis where a condition holds.

    Args:
        condition: an array of one axis; what is not zero is true.
        x: an array.
        axis: the axis; None takes from the flattened array.
    """
    return _call("take")(x, nonzero(condition)[0], axis)


def sinc(x: Any) -> Any:
    """``sin(pi x) / (pi x)``, which is 1 at 0.

    Args:
        x: an array of numbers.
    """
    y = _call("multiply")(_call("where")(_call("equal")(x, 0), 1.0e-20, x), 3.141592653589793)
    return _call("divide")(_call("sin")(y), y)


def angle(x: Any) -> Any:
    """The angles of complex numbers, in radians.

    Args:
        x: an array of numbers.
    """
    if x.dtype.kind == "c":
        return _call("atan2")(_call("imag")(x), _call("real")(x))
    return _call("atan2")(0.0, x)


def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Parts of an array along the second axis (of a vector, the only one), as views.

    Args:
        x: an array of at least one axis.
        indices_or_sections: how many parts, or the places at which to cut.
    """
    from gpuops.xp.composites import split

    return split(x, indices_or_sections, 1 if len(x.shape) > 1 else 0)


def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Parts of an array along the first axis, as views.

    Args:
        x: an array of at least two axes.
        indices_or_sections: how many parts, or the places at which to cut.
    """
    from gpuops.xp.composites import split

    return split(x, indices_or_sections, 0)


def ascontiguousarray(x: Any, dtype: Any = None) -> Any:
    """The array itself if it is C-contiguous, otherwise a copy that is.

    Args:
        x: an array.
        dtype: the dtype; that of `x` by default.
    """
    x = asarray(x, dtype)
    if not x.shape:
        return _call("reshape")(x, (1,))
    return x if x.flags.c_contiguous else _call("copy")(x, "C")


def norm(
    x: Any,
    ord: Any = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """NumPy's norm of vectors or matrices.

    Args:
        x: an array of numbers.
        ord: which norm; None for the Euclidean one (Frobenius).
        axis: one axis for vectors, two for matrices; None for all.
        keepdims: leave the axes in the result with size 1.

    Raises:
        ValueError: no such norm.
    """
    axes = [axis] if isinstance(axis, int) else None if axis is None else list(axis)
    count = len(x.shape) if axes is None else len(axes)
    if ord is None or count == 1:
        exponent = 2.0 if ord is None else float(ord)
        return linalg_vector_norm.function(x, axes, keepdims=keepdims, ord=exponent)
    if count != 2:
        raise ShapeError("Improper number of dimensions to norm.")
    if axes is not None:
        x = _call("moveaxis")(x, axes, (-2, -1))
    named = {"kind": ord} if isinstance(ord, str) else {"ord": ord}
    return linalg_matrix_norm.function(x, keepdims=keepdims, **named)


SHORTHANDS: dict[str, Any] = {
    function.__name__: function
    for function in (
        angle,
        append,
        ascontiguousarray,
        average,
        compress,
        cross,
        diag,
        extract,
        hsplit,
        inner,
        kron,
        rot90,
        sinc,
        unique,
        vdot,
        vsplit,
        where,
    )
}
"""By name."""
