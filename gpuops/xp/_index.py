"""Indexing: keys as an operator's arguments, and the layout of what they pick.

A key becomes a string with a letter for each of its items, the ints among them, and the arrays::

    x[1, :, ..., None, idx]  ->  layout "isena", numbers [1, None, None, None], arrays [idx]

so that every array is an array argument, and that sizes in slices may be symbolic.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuops.errors import describe
from gpuops.symbols import broadcast_shapes, is_symbolic, known_equal, product
from gpuops.xp._meta import (
    Meta,
    Size,
    View,
    by_stride,
    fresh,
    like,
    minor_first,
    operand_strides,
    sorted_strides,
)
from gpuops.xp._sizes import dynamic_size, require, slice_layout

__all__ = ["along_axis", "decode", "encode", "expanded_layout", "index_meta"]

Numbers = list[Any]


def encode(key: Any, as_array: Callable[[Any], Any]) -> tuple[str, Numbers, list[Any]]:
    """A key as layout, numbers and arrays.

    Args:
        key: what stands in the brackets.
        as_array: makes an array of a list, as for ``x[[0, 1]]``.

    Raises:
        IndexError: an item that is no index.

    >>> encode((1, slice(None, 4), None, ...), np.asarray)
    ('isne', [1, None, 4, None], [])
    """
    letters = []
    numbers: Numbers = []
    arrays = []
    for item in key if type(key) is tuple else (key,):
        if type(item) is int:
            letters.append("i")
            numbers.append(item)
        elif item is None:
            letters.append("n")
        elif item is Ellipsis:
            letters.append("e")
        elif isinstance(item, slice):
            letters.append("s")
            bounds = (item.start, item.stop, item.step)
            numbers += bounds if _plain_bounds(map(type, bounds)) else map(_bound, bounds)
        elif is_symbolic(item):
            letters.append("i")
            numbers.append(item)
        elif isinstance(item, (bool, np.bool_, list, tuple)):
            letters.append("a")
            array = np.asarray(item)
            if array.size == 0 and not isinstance(item, (bool, np.bool_)):
                array = array.astype(np.intp)
            arrays.append(as_array(array))
        elif hasattr(item, "shape") and hasattr(item, "dtype") and not isinstance(item, np.generic):
            letters.append("a")
            arrays.append(item)
        else:
            letters.append("i")
            try:
                numbers.append(operator.index(item))
            except TypeError:
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and "
                    f"integer or boolean arrays are valid indices, got {describe(item)}"
                ) from None
    return "".join(letters), numbers, arrays


_plain_bounds = frozenset({int, type(None)}).issuperset


def _bound(value: Any) -> Any:
    if value is None or is_symbolic(value):
        return value
    return operator.index(value)


def decode(layout: str, numbers: Sequence[Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The key that `encode` took apart.

    >>> decode("isne", [1, None, 4, None], [])
    (1, slice(None, 4, None), None, Ellipsis)
    """
    number, array = iter(numbers), iter(arrays)
    items: list[Any] = []
    for letter in layout:
        if letter == "i":
            items.append(next(number))
        elif letter == "s":
            items.append(slice(next(number), next(number), next(number)))
        else:
            items.append({"n": None, "e": Ellipsis}[letter] if letter in "ne" else next(array))
    return tuple(items)


@dataclass
class _Picked:
    """What the items of a key leave of an array, as far as they have been looked at."""

    x: Any
    shape: list[Size] = field(default_factory=list)
    strides: list[Size] = field(default_factory=list)
    # The index arrays, as NumPy sees them: integer ones, and one for each axis of boolean ones.
    fancy: list[Meta] = field(default_factory=list)
    # The sizes of the axes that they pick from.
    sizes: list[Size] = field(default_factory=list)
    # Where, among the axes of the result, the broadcast index arrays go.
    place: int | None = None
    consecutive: bool = True
    axis: int = 0

    def keep(self, size: Size, stride: Size) -> None:
        """One axis of the subspace, beside what arrays pick."""
        self.shape.append(size)
        self.strides.append(stride)

    def add_fancy(self, index: Meta, last_was_fancy: bool, size: Size = 1) -> None:
        if self.place is None:
            self.place = len(self.shape)
        elif not last_was_fancy:
            self.consecutive = False
        self.fancy.append(index)
        self.sizes.append(size)


def index_meta(x: Any, layout: str, numbers: Sequence[Any], arrays: Sequence[Any]) -> Meta:
    """What ``x[key]`` gives.

    Raises:
        IndexError: too many indices, one that is out of bounds, arrays that are no indices or do
            not go together.
    """
    items = expanded_layout(layout, len(x.shape), arrays)
    has_arrays = any(a.shape or a.dtype.kind == "b" for a in arrays)
    picked = _Picked(x)
    number, array = iter(numbers), iter(arrays)
    copies = last_was_fancy = False
    for letter in items:
        fancy = False
        if letter == "n":
            picked.keep(1, 0)
        elif letter == "e":
            pass
        elif letter == ":":
            picked.keep(x.shape[picked.axis], x.strides[picked.axis])
            picked.axis += 1
        elif letter == "s":
            size, step = slice_layout(
                x.shape[picked.axis], next(number), next(number), next(number)
            )
            picked.keep(size, x.strides[picked.axis] * step)
            picked.axis += 1
        elif letter == "i":
            _check_bounds(next(number), x.shape, picked.axis)
            fancy = has_arrays
            if has_arrays:
                picked.add_fancy(Meta((), np.dtype(np.intp), ()), last_was_fancy)
            picked.axis += 1
        else:
            index = next(array)
            if index.shape or index.dtype.kind == "b":
                fancy = True
                _take_array(picked, index, last_was_fancy)
            else:
                _check_kind(index)
                copies = True
                fancy = has_arrays
                if has_arrays:
                    picked.add_fancy(Meta((), np.dtype(np.intp), ()), last_was_fancy)
                picked.axis += 1
        last_was_fancy = fancy
    subspace = View(tuple(picked.shape), x.dtype, tuple(picked.strides))
    if not has_arrays:
        if copies or (not subspace.shape and "e" not in layout):
            return like(subspace, x.dtype if subspace.shape else x.dtype.newbyteorder("="))
        return subspace
    only_mask = len(items) - items.count("e") == len(arrays) == 1 and arrays[0].dtype.kind == "b"
    if only_mask and x.shape and len(arrays[0].shape) == len(x.shape):
        return fresh(picked.fancy[0].shape, x.dtype)
    return _combined(picked, subspace)


def expanded_layout(layout: str, ndim: int, arrays: Sequence[Any]) -> list[str]:
    """The letters with the ellipsis spelled out as full slices (``":"``), unless it is for none."""
    if layout.count("e") > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    array = iter(arrays)
    used = 0
    for letter in layout:
        if letter in "is":
            used += 1
        elif letter == "a":
            index = next(array)
            used += len(index.shape) if index.dtype.kind == "b" else 1
    if used > ndim:
        raise IndexError(
            f"too many indices for array: array is {ndim}-dimensional, but {used} were indexed"
        )
    if "e" not in layout:
        return [*layout, *":" * (ndim - used)]
    before, _, after = layout.partition("e")
    # One that stands for no axis keeps apart what is beside it.
    return [*before, *(":" * (ndim - used) or "e"), *after]


def _check_bounds(index: Any, shape: Sequence[Size], axis: int) -> None:
    size = shape[axis]
    error = IndexError(f"index {index} is out of bounds for axis {axis} with size {size}")
    if is_symbolic(index):
        require(index < size, error)
    elif index >= 0:
        require(size > index, error)
    else:
        require(size >= -index, error)


def _check_kind(index: Any) -> None:
    if index.dtype.kind not in "iu":
        raise IndexError("arrays used as indices must be of integer (or boolean) type")


def _take_array(picked: _Picked, index: Any, last_was_fancy: bool) -> None:
    """One index array."""
    if index.dtype.kind != "b":
        _check_kind(index)
        intp = np.dtype(np.intp)
        cast = index if index.dtype == intp else like(index, intp)
        size = picked.x.shape[picked.axis]
        picked.add_fancy(Meta(index.shape, intp, cast.strides), last_was_fancy, size)
        picked.axis += 1
        return
    for offset, size in enumerate(index.shape):
        own = picked.x.shape[picked.axis + offset]
        # NumPy lets a mask without elements along an axis stand for any size.
        if not known_equal(size, own) and not known_equal(size, 0):
            require(
                size == own,
                IndexError(
                    f"boolean index did not match indexed array along axis {picked.axis + offset}; "
                    f"size of axis is {own} but size of corresponding boolean axis is {size}"
                ),
            )
    count = dynamic_size(0, product(index.shape))
    where = fresh((count,), np.dtype(np.intp))
    for position in range(len(index.shape) or 1):
        picked.add_fancy(where, last_was_fancy or position > 0)
    picked.axis += len(index.shape)


def _combined(picked: _Picked, subspace: Meta) -> Meta:
    """The result of index arrays: their axes outside, the subspace's inside in its own order."""
    x, fancy = picked.x, picked.fancy
    try:
        shape = broadcast_shapes(*(index.shape for index in fancy))
    except ValueError:
        listed = " ".join(str(index.shape) for index in fancy)
        raise IndexError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {listed}"
        ) from None
    if any(type(n) is int and n == 0 for n in picked.sizes) and not known_equal(product(shape), 0):
        raise IndexError("an index is out of bounds for an axis with size 0")
    if all(type(size) is int and size == 1 for size in subspace.shape):
        columns = list(zip(*(operand_strides(index, shape) for index in fancy), strict=True))
        outer = minor_first(columns)
    else:
        outer = list(range(len(shape)))[::-1]
    inner = by_stride(subspace.strides)
    order = [axis + len(shape) for axis in inner] + outer
    full = shape + subspace.shape
    strides = sorted_strides(full, x.dtype.itemsize, order)
    place = picked.place if picked.consecutive and picked.place is not None else 0
    # Index arrays side by side put their axes where they stand; otherwise these come first.
    axes = list(range(len(shape), len(full)))
    axes[place:place] = range(len(shape))
    return Meta(tuple(full[a] for a in axes), x.dtype, tuple(strides[a] for a in axes))


def along_axis(x: Any, indices: Any, axis: int) -> Meta:
    """What ``numpy.take_along_axis`` gives.

    Raises:
        ValueError: another number of axes.
        IndexError: `indices` is no array of ints, or the shapes do not go together.
    """
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    ndim = len(x.shape)
    if len(indices.shape) != ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    intp = np.dtype(np.intp)
    parts = []
    for place, size in enumerate(x.shape):
        if place == axis:
            cast = indices if indices.dtype == intp else like(indices, intp)
            parts.append(Meta(indices.shape, intp, cast.strides))
        else:
            shape = tuple(size if other == place else 1 for other in range(ndim))
            strides = tuple(8 if other >= place else 8 * size for other in range(ndim))
            parts.append(Meta(shape, intp, strides))
    return _combined(_Picked(x, fancy=parts, sizes=list(x.shape), place=0), View((), x.dtype, ()))
