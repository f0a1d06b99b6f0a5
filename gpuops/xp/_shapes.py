"""Layouts of views and of joined arrays: reshape, permute, slice, concatenate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gpuops.symbols import known_equal, product
from gpuops.xp._axes import divide_size
from gpuops.xp._meta import (
    Meta,
    Shape,
    Size,
    View,
    is_dense,
    is_symbolic,
    sorted_strides,
    view_strides,
)

__all__ = ["joined_strides", "permuted", "reshaped", "resolve_shape"]


def permuted(x: Any, axes: Sequence[int]) -> Meta:
    """A view with its axes in another order."""
    shape, strides = x.shape, x.strides
    return View(tuple(shape[a] for a in axes), x.dtype, tuple(strides[a] for a in axes))


def resolve_shape(old: Shape, wanted: Sequence[Size]) -> Shape:
    """The shape meant by one that may have a -1.

    Raises:
        ValueError: the numbers of elements differ, or there are two -1.
    """
    open_axes = [i for i, size in enumerate(wanted) if type(size) is int and size < 0]
    if len(open_axes) > 1:
        raise ValueError("can only specify one unknown dimension")
    known = [size for i, size in enumerate(wanted) if i not in open_axes]
    quotient = divide_size(old, known)
    if open_axes:
        # As in NumPy, any size of the open axis would do where another is 0, so none is chosen.
        if quotient is None or (not is_symbolic(known) and product(known) == 0):
            raise ValueError(_mismatch(old, wanted))
        shape = list(wanted)
        shape[open_axes[0]] = quotient
        return tuple(shape)
    if not is_symbolic(old) and not is_symbolic(wanted):
        if product(old) != product(wanted):
            raise ValueError(_mismatch(old, wanted))
    elif quotient is None or not known_equal(quotient, 1):
        from gpuops.symbols import require_equal

        require_equal(product(old), product(wanted), _mismatch(old, wanted))
    return tuple(wanted)


def _mismatch(old: Shape, wanted: Sequence[Size]) -> str:
    listed = ",".join(map(str, wanted))
    return (
        f"cannot reshape array of size {product(old)} into shape "
        f"({listed}{',' if len(wanted) == 1 else ''})"
    )


def reshaped(x: Any, wanted: Sequence[Size], *, order: str = "C") -> tuple[Meta, bool]:
    """What ``numpy.reshape`` gives, and whether it is a view.

    Raises:
        ValueError: the numbers of elements differ.
    """
    shape = resolve_shape(x.shape, wanted)
    itemsize = x.dtype.itemsize
    if len(shape) == len(x.shape) and all(map(known_equal, x.shape, wanted)):
        return View(shape, x.dtype, x.strides), True
    if is_dense(x, order):
        return View(shape, x.dtype, view_strides(shape, itemsize, order)), True
    strides = _strides_of_view(x, shape, order)
    if strides is not None:
        return View(shape, x.dtype, strides), True
    return Meta(shape, x.dtype, view_strides(shape, itemsize, order)), False


def _strides_of_view(x: Any, shape: Shape, order: str) -> Shape | None:
    """The strides with which `x` is seen in another shape without a copy; None if it cannot.

    Runs of axes on both sides that hold equally many elements are matched from the front; the old
    axes of a run have to lie densely inside each other (``_attempt_nocopy_reshape`` in NumPy).
    """
    old = [
        (size, stride)
        for size, stride in zip(x.shape, x.strides, strict=True)
        if not (type(size) is int and size == 1)
    ]
    strides: list[Size] = [0] * len(shape)
    new_from = old_from = 0
    while new_from < len(shape) and old_from < len(old):
        new_to, old_to = new_from + 1, old_from + 1
        new_count, old_count = shape[new_from], old[old_from][0]
        while not known_equal(new_count, old_count):
            grow_new = _surely_less(new_count, old_count)
            if grow_new is None or (new_to if grow_new else old_to) >= (
                len(shape) if grow_new else len(old)
            ):
                return None
            if grow_new:
                new_count = new_count * shape[new_to]
                new_to += 1
            else:
                old_count = old_count * old[old_to][0]
                old_to += 1
        run = old[old_from:old_to]
        for (outer_size, outer), (inner_size, inner) in pairwise(run):
            dense = (
                known_equal(outer, inner * inner_size)
                if order == "C"
                else known_equal(inner, outer * outer_size)
            )
            if not dense:
                return None
        if order == "C":
            step = run[-1][1]
            for axis in range(new_to - 1, new_from - 1, -1):
                strides[axis] = step
                step = step * shape[axis]
        else:
            step = run[0][1]
            for axis in range(new_from, new_to):
                strides[axis] = step
                step = step * shape[axis]
        new_from, old_from = new_to, old_to
    last = strides[new_from - 1] if new_from else x.dtype.itemsize
    if order == "F" and new_from:
        last = last * shape[new_from - 1]
    for axis in range(new_from, len(shape)):
        strides[axis] = last
    return tuple(strides)


def _surely_less(a: Size, b: Size) -> bool | None:
    """Whether a size is below another one; None if that depends on symbols."""
    if type(a) is int and type(b) is int:
        return a < b
    if known_equal(b % a, 0):
        return True
    return False if known_equal(a % b, 0) else None


def joined_strides(arrays: Sequence[Any], shape: Shape, itemsize: int) -> Shape:
    """The strides of arrays joined along an axis.

    The axes keep the order in memory that the arrays have in common
    (``PyArray_CreateMultiSortedStridePerm`` in NumPy's sources).
    """
    order: list[int] = list(range(len(shape)))
    for start in range(1, len(shape)):
        axis, place = order[start], start
        for other in range(start - 1, -1, -1):
            verdict = _outer(arrays, axis, order[other])
            if verdict is None:
                continue
            if not verdict:
                break
            place = other
        order.insert(place, order.pop(start))
    return sorted_strides(shape, itemsize, order[::-1])


def _outer(arrays: Sequence[Any], axis: int, other: int) -> bool | None:
    """Whether an axis goes outside another; None if no array can tell."""
    verdict: bool | None = None
    for x in arrays:
        if any(type(x.shape[a]) is int and x.shape[a] == 1 for a in (axis, other)):
            continue
        if _not_wider(x.strides[axis], x.strides[other]):
            verdict = False
        elif verdict is None:
            verdict = True
    return verdict


def _not_wider(a: Size, b: Size) -> bool:
    if type(a) is int and type(b) is int:
        return abs(a) <= abs(b)
    if known_equal(a, b):
        return True
    inner, outer = known_equal(b % a, 0), known_equal(a % b, 0)
    return inner or not outer
