"""Indexing: the batch axis is one more full slice, or one more index array.

Keys come taken apart; see `gpuops.xp.indexing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuops.devices import device_of
from gpuops.registry import Operator
from gpuops.transforms.array_methods import xp
from gpuops.transforms.fake import FakeArray
from gpuops.transforms.levels import nested_types
from gpuops.transforms.vmap.axes import aligned, front, insert_axes, logical_ndim, with_batch
from gpuops.transforms.vmap.loop import loop
from gpuops.xp._axes import axis_of
from gpuops.xp._index import expanded_layout
from gpuops.xp.batching._rules import Rule, flat, moved_axis, rule

__all__ = ["getitem", "put_at", "setitem", "take", "take_along_axis"]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the axes of index arrays are in what a key picks from one element.

    Attributes:
        number: how many axes the index arrays have together; 0 if there are none.
        start: where these axes are.
        together: whether they are where the arrays are in the key, because these are side by side.
        kept: how many axes slices and new axes leave.
    """

    number: int
    start: int
    together: bool
    kept: int


def _places(layout: str, ndim: int, arrays: Sequence[Any], dims: Sequence[Any]) -> _Places:
    """Look at a key for one element.

    Raises:
        IndexError: too many indices.
    """
    elements = [_Element(a, d) for a, d in zip(arrays, dims, strict=True)]
    items = expanded_layout(layout, ndim, elements)
    kept = sum(item in "n:s" for item in items)
    if not any(e.shape or _is_mask(e) for e in elements):
        return _Places(0, 0, True, kept)
    number = max(1 if _is_mask(e) else len(e.shape) for e in elements)
    picks = "".join("1" if item in "ia" else "0" for item in items)
    together = "0" not in picks.strip("0")
    start = len([item for item in items[: picks.index("1")] if item in "n:s"])
    return _Places(number, start if together else 0, together, kept)


class _Element:
    """The shape and dtype of one element of an index array."""

    __slots__ = ("dtype", "shape")

    def __init__(self, array: Any, dim: int | None) -> None:
        self.dtype = array.dtype
        shape = tuple(array.shape)
        self.shape = shape if dim is None else (*shape[:dim], *shape[dim + 1 :])


def _is_mask(array: Any) -> bool:
    return bool(array.dtype.kind == "b")


def _numbers_of(x: Any, size: Any) -> Any:
    """The numbers of the elements of a batch, as an array that can stand beside `x`."""
    device = device_of(x) or x.device
    while type(x) in nested_types and not hasattr(x, "tracer"):
        x = x.value
    if type(x) is FakeArray:
        return x.new_empty((size,), "int64")
    return xp.arange(size, device=device)


def _with_masks_as_numbers(
    layout: str, arrays: Sequence[Any], dims: Sequence[Any]
) -> tuple[str, list[Any], list[Any]]:
    """The key with the positions in the place of masks, which are the same for all elements."""
    letters, found, found_dims = [], [], []
    rest = iter(zip(arrays, dims, strict=True))
    for letter in layout:
        if letter != "a":
            letters.append(letter)
            continue
        array, dim = next(rest)
        if _is_mask(array) and len(array.shape):
            numbers = xp.nonzero(array)
            letters.append("a" * len(numbers))
            found += numbers
            found_dims += [None] * len(numbers)
        else:
            letters.append("a")
            found.append(array)
            found_dims.append(dim)
    return "".join(letters), found, found_dims


def _batch_key(
    x: Any, layout: str, arrays: Sequence[Any], dims: Sequence[Any], size: Any
) -> tuple[str, list[Any]]:
    """A key that picks from a batch with the batch axis in front by an index array per element."""
    moved = aligned([_numbers_of(x, size), *arrays], [0, *dims])
    return "a" + layout, moved


@rule("getitem")
def getitem(operator: Operator) -> Rule:
    """A full slice for the batch axis; with batched index arrays, the number of each element."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x: Any, layout: str, numbers: Any, arrays: Any
    ) -> Any:
        dims = in_dims[3]
        x_dim = in_dims[0]
        x = front(x, x_dim)
        places = _places(layout, logical_ndim(x, x_dim), arrays, dims)
        if all(dim is None for dim in dims):
            out = call(x, "s" + layout, [None, None, None, *numbers], arrays)
            # Index arrays that are not side by side put their axes first.
            return out, 0 if places.together else places.number
        if any(
            _is_mask(a) and (d is not None or not len(a.shape))
            for a, d in zip(arrays, dims, strict=True)
        ):
            return one_by_one(info, in_dims, x, layout, numbers, arrays)
        layout, arrays, dims = _with_masks_as_numbers(layout, arrays, dims)
        if x_dim is None:
            x = with_batch(x, None, info.batch_size)
        layout, arrays = _batch_key(x, layout, arrays, dims, info.batch_size)
        out = call(x, layout, numbers, arrays)
        return _put_back(out, places), 0

    return batched


def _put_back(out: Any, places: _Places) -> Any:
    """The axes of index arrays, which come behind the batch axis, where one element has them."""
    if not places.start or not places.number:
        return out
    source = tuple(range(1, 1 + places.number))
    return xp.moveaxis(out, source, tuple(a + places.start for a in source))


@rule("setitem")
def setitem(operator: Operator) -> Rule:
    """Writes to what `getitem` picks."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(
        info: Any,
        in_dims: Sequence[Any],
        x: Any,
        layout: str,
        numbers: Any,
        arrays: Any,
        value: Any,
    ) -> Any:
        dims, value_dim = in_dims[3], in_dims[4]
        given = logical_ndim(value, value_dim) if hasattr(value, "shape") else 0
        masked = [d is not None for a, d in zip(arrays, dims, strict=True) if _is_mask(a)]
        if layout == "a" and masked == [True] and value_dim is None and not given:
            # One number for all items that a mask picks, which differ in number from one element
            # to the next.
            return call(front(x, in_dims[0]), "a", [], [front(arrays[0], dims[0])], value), None
        x = front(x, in_dims[0])
        key = _writing(info, x, len(x.shape) - 1, layout, numbers, (arrays, dims), value, value_dim)
        if key is None:
            return one_by_one(info, (0, *in_dims[1:]), x, layout, numbers, arrays, value)
        return call(x, *key), None

    return batched


@rule("put_at")
def put_at(operator: Operator) -> Rule:
    """Adds to what `getitem` picks of zeros, with a batch axis in front."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(
        info: Any,
        in_dims: Sequence[Any],
        x: Any,
        shape: Any,
        layout: str,
        numbers: Any,
        arrays: Any,
    ) -> Any:
        keyed = (arrays, in_dims[4])
        key = _writing(info, x, len(shape), layout, numbers, keyed, x, in_dims[0])
        if key is None:
            return one_by_one(info, in_dims, x, shape, layout, numbers, arrays)
        layout, numbers, arrays, x = key
        return call(x, [info.batch_size, *shape], layout, numbers, arrays), 0

    return batched


def _writing(
    info: Any,
    beside: Any,
    ndim: int,
    layout: str,
    numbers: Any,
    keyed: tuple[Any, Any],
    value: Any,
    value_dim: Any,
) -> tuple[str, Any, Any, Any] | None:
    """The key to write to a batch with, and the value with its axes where the key has them.

    Args:
        info: of the batch.
        beside: an array that index arrays can stand beside.
        ndim: the number of axes of one element.
        layout: of the key for one element.
        numbers: of the key.
        keyed: the key's arrays, and where the batch axis of each is.
        value: what is written: an array or a number.
        value_dim: where its batch axis is.

    Returns:
        Layout, numbers, arrays and value; None if each element has to be written to by itself.
    """
    arrays, dims = keyed
    places = _places(layout, ndim, arrays, dims)
    rank = places.number + places.kept
    is_array = hasattr(value, "shape")
    given = logical_ndim(value, value_dim) if is_array else 0
    if given > rank or any(
        _is_mask(a) and (d is not None or not len(a.shape))
        for a, d in zip(arrays, dims, strict=True)
    ):
        return None
    if is_array:
        value = _value(value, value_dim, given, rank)
    if any(dim is not None for dim in dims):
        layout, arrays, dims = _with_masks_as_numbers(layout, arrays, dims)
        layout, arrays = _batch_key(beside, layout, arrays, dims, info.batch_size)
        if is_array and places.start and places.number:
            # From where one element has the axes of index arrays to behind the batch axis.
            source = tuple(range(1 + places.start, 1 + places.start + places.number))
            value = xp.moveaxis(value, source, tuple(a - places.start for a in source))
        return layout, numbers, arrays, value
    if is_array and places.number and not places.together:
        value = xp.moveaxis(value, (0,), (places.number,))
    return "s" + layout, [None, None, None, *numbers], arrays, value


def _value(value: Any, dim: Any, given: int, rank: int) -> Any:
    """A value to write, with all axes of what it is written to behind a batch axis."""
    if dim is None:
        return insert_axes(value, 0, rank + 1 - given)
    return insert_axes(front(value, dim), 1, rank - given)


@rule("copyto")
def copyto(operator: Operator) -> Rule:
    """The source gets the axes that it lacks."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], dst: Any, src: Any, casting: str) -> Any:
        dst = front(dst, in_dims[0])
        if hasattr(src, "shape"):
            given, rank = logical_ndim(src, in_dims[1]), len(dst.shape) - 1
            if given > rank:
                return one_by_one(info, (0, *in_dims[1:]), dst, src, casting)
            src = _value(src, in_dims[1], given, rank)
        return call(dst, src, casting), None

    return batched


@rule("take")
def take(operator: Operator) -> Rule:
    """Numbers of their own for each element pick by index arrays."""
    call = operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x: Any, indices: Any, axis: Any, mode: str
    ) -> Any:
        x_dim, dim = in_dims[0], in_dims[1]
        if x_dim is None:
            place = 0 if axis is None else axis_of(axis, len(x.shape) or 1)
            return call(x, front(indices, dim), axis, mode), place
        x = front(x, x_dim)
        if axis is None or len(x.shape) == 1:
            x, axis = flat(x, 0), 1
        else:
            axis = moved_axis(x, axis, 0)
        if dim is None:
            return call(x, indices, axis, mode), 0
        indices = front(indices, dim)
        number = len(indices.shape) - 1
        if mode == "wrap":
            indices = xp.remainder(indices, x.shape[axis])
        elif mode == "clip":
            indices = xp.clip(indices, 0, x.shape[axis] - 1)
        _, (first, second) = _batch_key(x, "a", [indices], [0], info.batch_size)
        out = xp.getitem(xp.moveaxis(x, (axis,), (1,)), (first, second))
        return _put_back(out, _Places(number, axis - 1, True, len(x.shape) - 2)), 0

    return batched


@rule("take_along_axis")
def take_along_axis(operator: Operator) -> Rule:
    """Numbers of their own for each element are what it is for."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, indices: Any, axis: Any) -> Any:
        if logical_ndim(indices, in_dims[1]) != (
            1 if axis is None else logical_ndim(x, in_dims[0])
        ):
            return one_by_one(info, in_dims, x, indices, axis)
        x = with_batch(x, in_dims[0], info.batch_size)
        indices = with_batch(indices, in_dims[1], info.batch_size)
        if axis is None:
            return call(flat(x, 0), indices, 1), 0
        return call(x, indices, moved_axis(x, axis, 0)), 0

    return batched
