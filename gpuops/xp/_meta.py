"""What a fake rule computes with: `Meta`, and the layouts that NumPy gives to results.

A rule takes anything with ``shape``, ``dtype`` and ``strides`` (arrays, fakes, `Meta`) and returns
`Meta`. Sizes and strides may be symbolic; where NumPy looks at a size, a rule asks `known_equal`,
which records and raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpuops.symbols import broadcast_shapes, known_equal

__all__ = [
    "Meta",
    "ReadOnly",
    "Size",
    "View",
    "broadcast",
    "by_stride",
    "dense",
    "elementwise_strides",
    "fresh",
    "is_dense",
    "is_symbolic",
    "like",
    "meta_of",
    "minor_first",
    "operand_strides",
    "sorted_strides",
    "view_strides",
]

Size = Any
"""An int or a `SymInt`."""

Shape = tuple[Size, ...]


class Meta(NamedTuple):
    """An array without its data.

    Attributes:
        shape: its sizes.
        dtype: its dtype.
        strides: bytes from one element to the next, one per axis.
    """

    shape: Shape
    dtype: np.dtype[Any]
    strides: Shape


class View(Meta):
    """A view of the (first) argument."""

    __slots__ = ()


class ReadOnly(View):
    """A view that nobody may write to."""

    __slots__ = ()


def meta_of(array: Any) -> Meta:
    """The `Meta` of an array.

    >>> meta_of(np.zeros((2, 3), np.float32).T)
    Meta(shape=(3, 2), dtype=dtype('float32'), strides=(4, 12))
    """
    return Meta(array.shape, array.dtype, array.strides)


def is_symbolic(sizes: Iterable[Size]) -> bool:
    """Whether one of the sizes is no plain int."""
    return not _only_ints(map(type, sizes))


_only_ints = frozenset({int}).issuperset


# -- contiguous layouts ----------------------------------------------------------------------------


def view_strides(shape: Sequence[Size], itemsize: int, order: str = "C") -> Shape:
    """The strides of contiguous elements; an axis without elements counts as one with one.

    >>> view_strides((3, 0, 2), 8), view_strides((3, 2), 8, "F")
    ((16, 16, 8), (8, 24))
    """
    strides: list[Size] = []
    step: Size = itemsize
    for size in reversed(shape) if order == "C" else shape:
        strides.append(step)
        if type(size) is not int or size:
            step = step * size
    return tuple(strides[::-1] if order == "C" else strides)


def dense(shape: Sequence[Size], itemsize: int, order: str = "C") -> Shape:
    """The strides of memory that NumPy allocates: all 0 if there is no element.

    >>> dense((3, 2), 8), dense((3, 0), 8)
    ((16, 8), (0, 0))
    """
    for size in shape:
        if type(size) is int and size == 0:
            return (0,) * len(shape)
    return view_strides(shape, itemsize, order)


def fresh(shape: Sequence[Size], dtype: np.dtype[Any], order: str = "C") -> Meta:
    """A newly allocated contiguous array."""
    return Meta(tuple(shape), dtype, dense(shape, dtype.itemsize, order))


def is_dense(x: Any, order: str = "C") -> bool:
    """Whether elements lie side by side in that order, whatever the sizes are.

    Strides of axes of size 1 do not matter, and none does if there is no element.
    """
    step: Size = x.dtype.itemsize
    shape = x.shape
    for size in shape:
        if type(size) is int and size == 0:
            return True
    pairs = zip(shape, x.strides, strict=True)
    for size, stride in reversed(list(pairs)) if order == "C" else pairs:
        if type(size) is int and size == 1:
            continue
        if stride is not step and not known_equal(stride, step):
            return False
        step = step * size
    return True


# -- NumPy's "K" order -----------------------------------------------------------------------------


def sorted_strides(shape: Sequence[Size], itemsize: int, order: Sequence[int]) -> Shape:
    """The strides of a new array whose axes are dense in `order`, the densest first."""
    for size in shape:
        if type(size) is int and size == 0:
            return (0,) * len(shape)
    strides: list[Size] = [0] * len(shape)
    step: Size = itemsize
    for axis in order:
        strides[axis] = step
        step = step * shape[axis]
    return tuple(strides)


def minor_first(columns: Sequence[tuple[Size, ...]]) -> list[int]:
    """The axes from the densest to the widest, as ``numpy.nditer`` orders them.

    Args:
        columns: for each axis the stride of each operand, 0 where it is broadcast.

    The order is that of a stable insertion sort in which an axis moves inwards only past axes
    that it is comparable with (both strides of some operand are not 0); where operands disagree,
    C order stays (``npyiter_find_best_axis_ordering`` in NumPy's sources).

    >>> minor_first([(8,), (24,), (0,)])
    [2, 0, 1]
    """
    order = list(range(len(columns) - 1, -1, -1))
    for start in range(1, len(order)):
        axis = order[start]
        place = start
        for other in range(start - 1, -1, -1):
            verdict = _inner(columns[axis], columns[order[other]])
            if verdict is None:
                continue
            if not verdict:
                break
            place = other
        order.insert(place, order.pop(start))
    return order


def by_stride(strides: Shape) -> list[int]:
    """The axes of one array from the smallest to the largest stride, C order where equal.

    An axis of stride 0 goes inside, unlike in `minor_first`, for which it can be anywhere
    (``PyArray_CreateSortedStridePerm`` in NumPy's sources).
    """
    if is_symbolic(strides):
        return minor_first([(stride,) for stride in strides])
    return sorted(range(len(strides)), key=lambda axis: -abs(strides[axis]))[::-1]


def _inner(mine: tuple[Size, ...], others: tuple[Size, ...]) -> bool | None:
    """Whether an axis goes inside another; None if no operand can tell."""
    verdict: bool | None = None
    for a, b in zip(mine, others, strict=True):
        if (type(a) is int and a == 0) or (type(b) is int and b == 0):
            continue
        if _not_wider(b, a):
            verdict = False
        elif verdict is None:
            verdict = True
    return verdict


def _not_wider(a: Size, b: Size) -> bool:
    """Whether ``abs(a) <= abs(b)``; symbolic strides count as wider than what divides them."""
    if type(a) is int and type(b) is int:
        return abs(a) <= abs(b)
    if known_equal(a, b):
        return True
    # A stride of a dense layout is the product of the sizes inside it. Whichever is a multiple of
    # the other is the wider one, for every size of at least 1; the others keep their order.
    wider_a, wider_b = known_equal(a % b, 0), known_equal(b % a, 0)
    return not wider_a or wider_b


def operand_strides(x: Any, shape: Sequence[Size]) -> list[Size]:
    """The strides of `x` broadcast to `shape`, 0 for each axis of one element."""
    strides: list[Size] = [0] * (len(shape) - len(x.shape))
    for size, stride in zip(x.shape, x.strides, strict=True):
        strides.append(0 if type(size) is int and size == 1 else stride)
    return strides


def like(x: Any, dtype: np.dtype[Any], shape: Shape | None = None) -> Meta:
    """What ``numpy.empty_like`` allocates: axes in the order of those of `x` (order "K").

    >>> like(meta_of(np.zeros((2, 3)).T), np.dtype("int8"))
    Meta(shape=(3, 2), dtype=dtype('int8'), strides=(1, 3))
    """
    if shape is None:
        shape = x.shape
    elif len(shape) != len(x.shape):
        return fresh(shape, dtype)
    if is_dense(x, "C"):
        return fresh(shape, dtype)
    if is_dense(x, "F"):
        return fresh(shape, dtype, "F")
    return Meta(shape, dtype, sorted_strides(shape, dtype.itemsize, by_stride(x.strides)))


# -- elementwise operators -------------------------------------------------------------------------


def broadcast(*arrays: Any) -> Shape:
    """The shape that arrays have together.

    Raises:
        ShapeError: they cannot be broadcast together.
    """
    first: Shape = arrays[0].shape
    others = [array.shape for array in arrays[1:] if array.shape is not first]
    if others and (
        is_symbolic(first) or any(is_symbolic(shape) or shape != first for shape in others)
    ):
        return broadcast_shapes(*(array.shape for array in arrays))
    return first


def elementwise_strides(
    shape: Shape, itemsize: int, arrays: Sequence[Any], uncast: Sequence[bool]
) -> Shape:
    """The strides of the result of a NumPy ufunc (order "K").

    Args:
        shape: the result's shape.
        itemsize: the result's.
        arrays: the operands that are arrays.
        uncast: for each of them, whether the loop takes its dtype as it is. NumPy takes a short
            cut for operands of one shape and layout if none but 0-d ones have to be cast; it
            differs in the strides of axes of one element.
    """
    whole = [
        (array, direct)
        for array, direct in zip(arrays, uncast, strict=True)
        if len(array.shape) or not len(shape)
    ]
    if all(direct and _same_shape(array.shape, shape) for array, direct in whole):
        if all(is_dense(array, "C") for array, _ in whole):
            return dense(shape, itemsize)
        if all(is_dense(array, "F") for array, _ in whole):
            return dense(shape, itemsize, "F")
    columns = list(zip(*(operand_strides(array, shape) for array in arrays), strict=True))
    return sorted_strides(shape, itemsize, minor_first(columns))


def _same_shape(a: Shape, b: Shape) -> bool:
    return a is b or (len(a) == len(b) and all(map(known_equal, a, b)))
