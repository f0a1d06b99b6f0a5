"""Shapes, axes, joining and taking apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops.registry import Operator
from gpuops.symbols import broadcast_shapes, is_symbolic, known_equal, product
from gpuops.transforms.array_methods import xp
from gpuops.transforms.vmap.axes import aligned, front, insert_axes, logical_ndim, with_batch
from gpuops.transforms.vmap.loop import loop
from gpuops.xp._axes import axes_of, axis_of
from gpuops.xp.batching._rules import Rule, flat, moved_axes, moved_axis, rule

__all__ = ["reshape"]


# -- shapes ----------------------------------------------------------------------------------------


@rule("broadcast_to")
def broadcast_to(operator: Operator) -> Rule:
    """New axes come behind the batch axis."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, shape: Any) -> Any:
        x = insert_axes(front(x, in_dims[0]), 1, len(shape) + 1 - len(x.shape))
        return call(x, [x.shape[0], *shape]), 0

    return batched


@rule("broadcast_arrays")
def broadcast_arrays(operator: Operator) -> Rule:
    """Each array in the shape that the elements have together."""

    def batched(info: Any, in_dims: Sequence[Any], arrays: Any) -> Any:
        dims = in_dims[0]
        moved = aligned(arrays, dims)
        shape = broadcast_shapes(
            *(x.shape if dim is None else x.shape[1:] for x, dim in zip(moved, dims, strict=True))
        )
        out = [
            xp.broadcast_to(x, shape if dim is None else (x.shape[0], *shape))
            for x, dim in zip(moved, dims, strict=True)
        ]
        return out, [None if dim is None else 0 for dim in dims]

    return batched


@rule("reshape")
def reshape(operator: Operator) -> Rule:
    """The batch axis in front; in the order "F" all axes are reversed on the way."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x: Any, shape: Any, order: str = "C", **options: Any
    ) -> Any:
        x = front(x, in_dims[0])
        size = x.shape[0]
        shape = _without_unknown(shape, x.shape[1:])
        if shape is None or order not in "CF":
            return one_by_one(info, (0, None, None), x, shape, order, **options)
        if order == "C":
            return call(x, [size, *shape], **options), 0
        out = call(_reversed(x), [size, *shape[::-1]], **options)
        return _reversed(out), 0

    return batched


@rule("ascontiguousarray", "asfortranarray")
def contiguous(operator: Operator) -> Rule:
    """The batch axis in front, so that each element lies in its order."""
    fortran = operator.name == "asfortranarray"

    def batched(info: Any, in_dims: Sequence[Any], x: Any) -> Any:
        x = front(x, in_dims[0])
        if len(x.shape) == 1:
            # Elements without axes get one.
            return xp.ascontiguousarray(xp.expand_dims(x, (1,))), 0
        if fortran:
            return _reversed(xp.ascontiguousarray(_reversed(x))), 0
        return xp.ascontiguousarray(x), 0

    return batched


def _reversed(x: Any) -> Any:
    """The axes behind the batch axis, in the reverse order."""
    return xp.permute_dims(x, (0, *range(len(x.shape) - 1, 0, -1)))


def _without_unknown(shape: Any, sizes: Sequence[Any]) -> Any:
    """The shape with its -1 found from an element's sizes, which a batch of none tells too.

    None where an element cannot have the shape.
    """
    places = [i for i, n in enumerate(shape) if not is_symbolic(n) and n == -1]
    if not places:
        return shape
    total, known = product(sizes), product(n for i, n in enumerate(shape) if i not in places)
    if len(places) > 1 or (not is_symbolic(known) and known == 0):
        return None
    if not is_symbolic(total) and not is_symbolic(known) and total % known:
        return None
    return [total // known if i in places else n for i, n in enumerate(shape)]


@rule("ravel")
def ravel(operator: Operator) -> Rule:
    """All items of an element in one axis."""

    def batched(info: Any, in_dims: Sequence[Any], x: Any) -> Any:
        return flat(x, in_dims[0]), 0

    return batched


@rule("expand_dims")
def expand_dims(operator: Operator) -> Rule:
    """At places of the result, behind the batch axis."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, axis: Any) -> Any:
        places = axes_of(axis, len(x.shape) - 1 + len(axis))
        return call(front(x, in_dims[0]), [place + 1 for place in places]), 0

    return batched


@rule("squeeze")
def squeeze(operator: Operator) -> Rule:
    """A batch of one element keeps its axis."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, axis: Any) -> Any:
        x = front(x, in_dims[0])
        if axis is None:
            axes = [i for i, size in enumerate(x.shape) if i and known_equal(size, 1)]
        else:
            axes = moved_axes(x, axis, 0)
        return call(x, axes), 0

    return batched


# -- the order of axes -----------------------------------------------------------------------------


@rule("permute_dims", "transpose")
def permute(operator: Operator) -> Rule:
    """The batch axis stays in front."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, axes: Any) -> Any:
        ndim = len(x.shape) - 1
        if axes is None:
            axes = range(ndim)[::-1]
        elif len(axes) != ndim:
            return one_by_one(info, in_dims, x, axes)
        x = front(x, in_dims[0])
        return call(x, [0, *(axis_of(axis, ndim) + 1 for axis in axes)]), 0

    return batched


@rule("moveaxis")
def moveaxis(operator: Operator) -> Rule:
    """Axes and places count from behind the batch axis."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, source: Any, destination: Any) -> Any:
        x = front(x, in_dims[0])
        return call(x, moved_axes(x, source, 0), moved_axes(x, destination, 0)), 0

    return batched


@rule("swapaxes")
def swapaxes(operator: Operator) -> Rule:
    """Two axes behind the batch axis."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, axis1: int, axis2: int) -> Any:
        x = front(x, in_dims[0])
        return call(x, moved_axis(x, axis1, 0), moved_axis(x, axis2, 0)), 0

    return batched


@rule("flip")
def flip(operator: Operator) -> Rule:
    """All axes but the batch's, where none is given."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, axis: Any) -> Any:
        return call(x, moved_axes(x, axis, in_dims[0])), in_dims[0]

    return batched


@rule("roll")
def roll(operator: Operator) -> Rule:
    """Without axes the flat element is rolled."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, shift: Any, axis: Any) -> Any:
        if axis is None:
            x = front(x, in_dims[0])
            total = sum(shift)
            return xp.reshape(call(flat(x, 0), [total], [1]), x.shape), 0
        dim = in_dims[0]
        # An axis may come several times, unlike elsewhere.
        return call(x, shift, [moved_axis(x, one, dim) for one in axis]), dim

    return batched


# -- joining ---------------------------------------------------------------------------------------


@rule("concat")
def concat(operator: Operator) -> Rule:
    """Arrays that are the same for all elements are repeated."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], arrays: Any, axis: Any, **options: Any) -> Any:
        moved = [with_batch(x, d, info.batch_size) for x, d in zip(arrays, in_dims[0], strict=True)]
        if axis is None:
            return call([flat(x, 0) for x in moved], 1, **options), 0
        if any(len(x.shape) < 2 for x in moved):
            return one_by_one(info, in_dims, arrays, axis, **options)
        return call(moved, moved_axis(moved[0], axis, 0), **options), 0

    return batched


@rule("stack")
def stack(operator: Operator) -> Rule:
    """The new axis counts from behind the batch axis."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], arrays: Any, axis: int, **options: Any) -> Any:
        moved = [with_batch(x, d, info.batch_size) for x, d in zip(arrays, in_dims[0], strict=True)]
        return call(moved, axis_of(axis, len(moved[0].shape)) + 1, **options), 0

    return batched


@rule("meshgrid")
def meshgrid(operator: Operator) -> Rule:
    """Each array along its axis of the grid."""
    one_by_one = loop(operator, copies=True)

    def batched(info: Any, in_dims: Sequence[Any], arrays: Any, *, indexing: str = "xy") -> Any:
        dims = in_dims[0]
        ranks = [logical_ndim(x, d) for x, d in zip(arrays, dims, strict=True)]
        if any(rank > 1 for rank in ranks) or indexing not in ("xy", "ij"):
            return one_by_one(info, in_dims, arrays, indexing=indexing)
        rows = [
            flat(with_batch(x, d, info.batch_size), 0) for x, d in zip(arrays, dims, strict=True)
        ]
        places = list(range(len(rows)))
        if indexing == "xy" and len(rows) > 1:
            places[:2] = [1, 0]
        shape = [rows[places.index(axis)].shape[1] for axis in range(len(rows))]
        out = []
        for x, place in zip(rows, places, strict=True):
            own = [x.shape[1] if axis == place else 1 for axis in range(len(rows))]
            spread = xp.broadcast_to(xp.reshape(x, (x.shape[0], *own)), (x.shape[0], *shape))
            out.append(xp.copy(spread, "C"))
        return out, 0

    return batched


@rule("tile")
def tile(operator: Operator) -> Rule:
    """The batch axis is not repeated."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, repetitions: Any) -> Any:
        missing = len(repetitions) - (len(x.shape) - 1)
        x = insert_axes(front(x, in_dims[0]), 1, missing)
        return call(x, [1, *(1,) * -missing, *repetitions]), 0

    return batched


@rule("repeat")
def repeat(operator: Operator) -> Rule:
    """Without an axis the items of the flat element are repeated."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, repeats: Any, axis: Any) -> Any:
        if axis is None:
            return call(flat(x, in_dims[0]), repeats, 1), 0
        return call(x, repeats, moved_axis(x, axis, in_dims[0])), in_dims[0]

    return batched


@rule("pad")
def pad(operator: Operator) -> Rule:
    """Nothing is put around the batch axis."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x: Any, widths: Any, *rest: Any, **options: Any
    ) -> Any:
        if len(widths) != 2 * (len(x.shape) - 1):
            return one_by_one(info, in_dims, x, widths, *rest, **options)
        return call(front(x, in_dims[0]), [0, 0, *widths], *rest, **options), 0

    return batched


# -- taking apart ----------------------------------------------------------------------------------


@rule("unstack")
def unstack(operator: Operator) -> Rule:
    """The parts have the batch axis in front."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, axis: int) -> Any:
        if len(x.shape) < 2:
            return one_by_one(info, in_dims, x, axis)
        x = front(x, in_dims[0])
        return call(x, moved_axis(x, axis, 0)), 0

    return batched


@rule("tril", "triu")
def triangle(operator: Operator) -> Rule:
    """A vector is the row that a matrix consists of, as in NumPy."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, k: int) -> Any:
        if len(x.shape) < 3:
            return one_by_one(info, in_dims, x, k)
        return call(front(x, in_dims[0]), k), 0

    return batched


@rule("diagonal", "trace")
def diagonal(operator: Operator) -> Rule:
    """Of two axes behind the batch axis."""
    call = operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x: Any, offset: int, axis1: int, axis2: int, *rest: Any
    ) -> Any:
        x = front(x, in_dims[0])
        return call(x, offset, moved_axis(x, axis1, 0), moved_axis(x, axis2, 0), *rest), 0

    return batched


@rule("diff")
def diff(operator: Operator) -> Rule:
    """What is put before or behind an element has a batch axis too."""
    call = operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x: Any, n: int, axis: int, prepend: Any, append: Any
    ) -> Any:
        x = with_batch(x, in_dims[0], info.batch_size)
        axis = moved_axis(x, axis, 0)
        ends = []
        for end, dim in ((prepend, in_dims[3]), (append, in_dims[4])):
            if end is not None:
                end = with_batch(end, dim, info.batch_size)
                if len(end.shape) == 1:
                    shape = [1 if i == axis else size for i, size in enumerate(x.shape)]
                    end = xp.broadcast_to(insert_axes(end, 1, len(x.shape) - 1), shape)
            ends.append(end)
        return call(x, n, axis, *ends), 0

    return batched
