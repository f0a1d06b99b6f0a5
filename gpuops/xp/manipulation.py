"""Manipulation functions: shapes, axes, and arrays joined and taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops.symbols import broadcast_sizes, known_equal, product, require_equal
from gpuops.xp._axes import axes_of, axis_of, without
from gpuops.xp._meta import (
    Meta,
    ReadOnly,
    Size,
    View,
    broadcast,
    fresh,
    is_dense,
    view_strides,
)
from gpuops.xp._releases import BROADCAST_KEEPS_WHOLE_ARRAYS, RESHAPE_HAS_COPY
from gpuops.xp._row import row
from gpuops.xp._shapes import permuted, reshaped

__all__ = ["broadcast_to_meta", "expanded", "moved", "ravelled"]


# -- broadcasting ----------------------------------------------------------------------------------


def broadcast_to_meta(x: Any, shape: Sequence[Size]) -> Meta:
    """What ``numpy.broadcast_to`` gives: 0 strides for every axis of one element.

    Raises:
        ValueError: `x` does not have that shape after broadcasting.
    """
    shape = tuple(shape)
    extra = len(shape) - len(x.shape)
    if any(type(size) is int and size < 0 for size in shape):
        raise ValueError("all elements of broadcast shape must be non-negative")
    if extra < 0:
        raise ValueError(
            "input operand has more dimensions than allowed by the axis remapping: "
            f"{x.shape} to {shape}"
        )
    strides: list[Size] = [0] * extra
    for size, wanted, stride in zip(x.shape, shape[extra:], x.strides, strict=True):
        if type(size) is int and size == 1:
            strides.append(0)
            continue
        if size is not wanted and not known_equal(size, wanted):
            problem = f"{x.shape} cannot be broadcast to {shape}, as sizes differ"
            if known_equal(wanted, 1):
                require_equal(size, wanted, problem)
            # Of symbols, what they are for the traced inputs says whether one is repeated.
            elif not known_equal(broadcast_sizes(size, wanted), wanted):
                raise ValueError(problem)
            if known_equal(size, 1):
                strides.append(0)
                continue
        strides.append(0 if type(wanted) is int and wanted == 1 else stride)
    return ReadOnly(shape, x.dtype, tuple(strides))


def _broadcast_to(x: Any, shape: Sequence[Size]) -> Meta:
    return broadcast_to_meta(x, shape)


@row("broadcast_to(Array(a) x, SymInt[] shape) -> Array(a)", fake=_broadcast_to)
def broadcast_to(xp: Any, x: Any, shape: Any) -> Any:
    """A view of `x` in a larger shape; what is repeated has stride 0.

    Args:
        x: an array.
        shape: the shape to broadcast to.

    Raises:
        ValueError: `x` cannot be broadcast to that shape.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.broadcast_to(np.asarray([1, 2]), (2, 2))
    array([[1, 2],
           [1, 2]])
    """
    return xp.broadcast_to(x, tuple(shape))


def _broadcast_arrays(arrays: Sequence[Any]) -> list[Meta]:
    if not arrays:
        return []
    shape = broadcast(*arrays)
    if all(len(x.shape) == len(shape) and all(map(known_equal, x.shape, shape)) for x in arrays):
        return [View(x.shape, x.dtype, x.strides) for x in arrays]
    return [
        View(x.shape, x.dtype, x.strides)
        if BROADCAST_KEEPS_WHOLE_ARRAYS
        and len(x.shape) == len(shape)
        and all(map(known_equal, x.shape, shape))
        else broadcast_to_meta(x, shape)
        for x in arrays
    ]


@row("broadcast_arrays(Array(a)[] arrays) -> Array(a)[]", fake=_broadcast_arrays)
def broadcast_arrays(xp: Any, arrays: Any) -> Any:
    """Views of arrays in the shape that they have together.

    Args:
        arrays: the arrays; `gpuops.xp.broadcast_arrays` takes them one by one.

    Raises:
        ValueError: they cannot be broadcast together.
    """
    return list(xp.broadcast_arrays(*arrays))


# -- axes ------------------------------------------------------------------------------------------


def expanded(x: Any, axes: Sequence[int]) -> Meta:
    """A view with axes of size 1 at those places of the result.

    Raises:
        AxisError: a place that the result does not have.
        ValueError: one comes twice.
    """
    ndim = len(x.shape) + len(axes)
    places = set(axes_of(axes, ndim))
    sizes = iter(x.shape)
    return reshaped(x, [1 if axis in places else next(sizes) for axis in range(ndim)])[0]


def _expand_dims(x: Any, axis: Sequence[int] = (0,)) -> Meta:
    return expanded(x, axis)


@row("expand_dims(Array(a) x, int[] axis=[0]) -> Array(a)", fake=_expand_dims)
def expand_dims(xp: Any, x: Any, axis: Any = (0,)) -> Any:
    """A view with new axes of size 1.

    Args:
        x: an array.
        axis: where the new axes are in the result.

    Raises:
        AxisError: there is no such place.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.expand_dims(np.zeros(3), axis=0).shape
    (1, 3)
    """
    return xp.expand_dims(x, tuple(axis))


def _squeeze(x: Any, axis: Sequence[int] | None = None) -> Meta:
    shape = x.shape
    if axis is None:
        axes = [a for a, size in enumerate(shape) if type(size) is int and size == 1]
    else:
        axes = list(axes_of(axis, len(shape)))
        for a in axes:
            require_equal(
                shape[a], 1, "cannot select an axis to squeeze out which has size not equal to one"
            )
    return View(without(shape, axes), x.dtype, without(x.strides, axes))


@row("squeeze(Array(a) x, int[]? axis=None) -> Array(a)", fake=_squeeze)
def squeeze(xp: Any, x: Any, axis: Any = None) -> Any:
    """A view without axes of size 1.

    Args:
        x: an array.
        axis: the axes to drop; None drops all of size 1.

    Raises:
        ValueError: an axis is of another size.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.squeeze(np.zeros((1, 3)), axis=0).shape
    (3,)
    """
    return xp.squeeze(x, None if axis is None else tuple(axis))


def _permute_dims(x: Any, axes: Sequence[int]) -> Meta:
    ndim = len(x.shape)
    if len(axes) != ndim:
        raise ValueError("axes don't match array")
    places = [axis_of(axis, ndim) for axis in axes]
    if len(set(places)) != ndim:
        raise ValueError("repeated axis in transpose")
    return permuted(x, places)


@row("permute_dims(Array(a) x, int[] axes) -> Array(a)", fake=_permute_dims)
def permute_dims(xp: Any, x: Any, axes: Any) -> Any:
    """A view with the axes in another order.

    Args:
        x: an array.
        axes: for each axis of the result the axis of `x`.

    Raises:
        ValueError: `axes` is no permutation of the axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.permute_dims(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return xp.transpose(x, tuple(axes))


def _transpose(x: Any, axes: Sequence[int] | None = None) -> Meta:
    return _permute_dims(x, range(len(x.shape))[::-1] if axes is None else axes)


@row("transpose(Array(a) x, int[]? axes=None) -> Array(a)", fake=_transpose)
def transpose(xp: Any, x: Any, axes: Any = None) -> Any:
    """A view with the axes in another order; reversed by default.

    Args:
        x: an array.
        axes: for each axis of the result the axis of `x`.

    Raises:
        ValueError: `axes` is no permutation of the axes.
    """
    return xp.transpose(x, None if axes is None else tuple(axes))


def moved(x: Any, source: Sequence[int], destination: Sequence[int]) -> Meta:
    """A view with axes moved to other places, the others in their order.

    Raises:
        AxisError: there is no such axis.
        ValueError: the numbers of axes differ, or one comes twice.
    """
    ndim = len(x.shape)
    sources = normalised(source, ndim, "source")
    places = normalised(destination, ndim, "destination")
    if len(sources) != len(places):
        raise ValueError(
            "`source` and `destination` arguments must have the same number of elements"
        )
    order = [axis for axis in range(ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return permuted(x, order)


def normalised(axes: Sequence[int], ndim: int, name: str) -> tuple[int, ...]:
    """Axes counted from the front; errors name the argument."""
    from numpy.lib.array_utils import normalize_axis_tuple

    return tuple(normalize_axis_tuple(tuple(axes), ndim, name))


def _moveaxis(x: Any, source: Sequence[int], destination: Sequence[int]) -> Meta:
    return moved(x, source, destination)


@row("moveaxis(Array(a) x, int[] source, int[] destination) -> Array(a)", fake=_moveaxis)
def moveaxis(xp: Any, x: Any, source: Any, destination: Any) -> Any:
    """A view with axes moved to other places; the others stay in their order.

    Args:
        x: an array.
        source: the axes to move.
        destination: where they are in the result.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return xp.moveaxis(x, tuple(source), tuple(destination))


def _swapaxes(x: Any, axis1: int, axis2: int) -> Meta:
    ndim = len(x.shape)
    order = list(range(ndim))
    a, b = axis_of(axis1, ndim), axis_of(axis2, ndim)
    order[a], order[b] = order[b], order[a]
    return permuted(x, order)


@row("swapaxes(Array(a) x, int axis1, int axis2) -> Array(a)", fake=_swapaxes)
def swapaxes(xp: Any, x: Any, axis1: int, axis2: int) -> Any:
    """A view with two axes exchanged.

    Args:
        x: an array.
        axis1: one axis.
        axis2: the other.

    Raises:
        AxisError: there is no such axis.
    """
    return xp.swapaxes(x, axis1, axis2)


def _flip(x: Any, axis: Sequence[int] | None = None) -> Meta:
    axes = axes_of(axis, len(x.shape))
    if not x.shape:
        # NumPy gives a number here, which is no view.
        return fresh((), x.dtype.newbyteorder("="))
    strides = tuple(
        -stride if a in axes and not (type(size) is int and size == 0) else stride
        for a, (size, stride) in enumerate(zip(x.shape, x.strides, strict=True))
    )
    return View(x.shape, x.dtype, strides)


@row("flip(Array(a) x, int[]? axis=None) -> Array(a)", fake=_flip)
def flip(xp: Any, x: Any, axis: Any = None) -> Any:
    """A view with the order of elements reversed along axes.

    Args:
        x: an array.
        axis: the axes; None for all.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.flip(np.arange(3))
    array([2, 1, 0])
    """
    return xp.flip(x, None if axis is None else tuple(axis))


# -- shapes ----------------------------------------------------------------------------------------


def _reshape(x: Any, shape: Sequence[Size], order: str = "C", *, copy: bool | None = None) -> Meta:
    if order not in ("C", "F", "A"):
        raise ValueError(f"order must be one of 'C', 'F' and 'A' (got {order!r})")
    if order == "A":
        order = "F" if is_dense(x, "F") and not is_dense(x, "C") else "C"
    if copy:
        source = Meta(x.shape, x.dtype, view_strides(x.shape, x.dtype.itemsize, order))
        return Meta(*reshaped(source, shape, order=order)[0])
    result, is_view = reshaped(x, shape, order=order)
    if copy is False and not is_view:
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return result


@row(
    'reshape(Array(a) x, SymInt[] shape, str order="C", *, bool? copy=None) -> Array(a)',
    fake=_reshape,
)
def reshape(xp: Any, x: Any, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    """The elements in another shape; a view where the layout allows.

    Args:
        x: an array.
        shape: the shape; one size may be -1 and is found from the others.
        order: ``"C"``, ``"F"`` or ``"A"``: in which order elements are taken.
        copy: True always copies, False refuses to, None copies where it has to.

    Raises:
        ValueError: another number of elements, or a copy is needed and `copy` is False.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.reshape(np.arange(6), (2, -1)).shape
    (2, 3)
    """
    if copy is None:
        return xp.reshape(x, tuple(shape), order=order)
    if RESHAPE_HAS_COPY:
        return xp.reshape(x, tuple(shape), order=order, copy=copy)
    out = xp.reshape(xp.copy(x, order=order) if copy else x, tuple(shape), order=order)
    if copy is False and x.size and not xp.may_share_memory(out, x):
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return out


def ravelled(x: Any) -> Meta:
    """All elements in one axis (order "C")."""
    if is_dense(x):
        return View((product(x.shape),), x.dtype, (x.dtype.itemsize,))
    return fresh((product(x.shape),), x.dtype)


def _ravel(x: Any) -> Meta:
    return ravelled(x)


@row("ravel(Array(a) x) -> Array(a)", fake=_ravel)
def ravel(xp: Any, x: Any) -> Any:
    """All elements in one axis; a view where they lie densely in C order.

    Args:
        x: an array.
    """
    return xp.ravel(x)


# -- taking apart ----------------------------------------------------------------------------------


def _unstack(x: Any, axis: int = 0) -> list[Meta]:
    if len(x.shape) == 0:
        raise ValueError("Input array must be at least 1-d.")
    first = moved(x, (axis,), (0,))
    count = first.shape[0]
    if type(count) is not int:
        count = count.__index__()
    return [View(first.shape[1:], x.dtype, first.strides[1:])] * count


@row("unstack(Array(a) x, int axis=0) -> Array(a)[]", fake=_unstack)
def unstack(xp: Any, x: Any, axis: int = 0) -> Any:
    """The slices of an array along an axis, as views.

    Args:
        x: an array of at least one axis.
        axis: the axis.

    Raises:
        ValueError: `x` has no axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.unstack(np.asarray([[1, 2], [3, 4]]))
    (array([1, 2]), array([3, 4]))
    """
    if x.ndim == 0:
        raise ValueError("Input array must be at least 1-d.")
    first = xp.moveaxis(x, axis, 0)
    # With an ellipsis, the parts of a vector are views too and not numbers.
    return [first[index, ...] for index in range(first.shape[0])]
