"""Batching rules against loops, over random shapes, axes, keys and batch axes."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuops import ops, xp
from gpuops.xp._index import encode
from tests.vmap.batches import check

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)
SIZES = st.integers(1, 3)
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=40, deadline=None)


def numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).integers(-8, 9, shape) / 2.0)


@st.composite
def batches(draw: Any, *shapes: tuple[int, ...]) -> tuple[list[np.ndarray], list[int | None]]:
    """Arrays whose elements have the given shapes, some of them with a batch axis."""
    size = draw(SIZES)
    arrays, dims = [], []
    last = len(shapes) - 1
    for index, shape in enumerate(shapes):
        on = draw(st.booleans()) or (index == last and all(d is None for d in dims))
        dim = draw(st.integers(-len(shape) - 1, len(shape))) if on else None
        dims.append(dim)
        if dim is not None:
            place = dim if dim >= 0 else dim + len(shape) + 1
            shape = (*shape[:place], size, *shape[place:])
        arrays.append(numbers(shape, draw(SEEDS)))
    return arrays, dims


@quick
@given(st.data(), hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
def test_elements_are_broadcast_and_batch_axes_are_not(data: Any, shapes: Any) -> None:
    arrays, dims = data.draw(batches(*shapes.input_shapes))
    check(xp.add, arrays, dims)
    check(xp.divmod, [abs(x) + 1 for x in arrays], dims)


@quick
@given(st.data(), hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3))
def test_three_arrays(data: Any, shapes: Any) -> None:
    arrays, dims = data.draw(batches(*shapes.input_shapes))
    check(lambda c, a, b: xp.where(c > 0, a, b), arrays, dims)
    check(lambda x, low, high: xp.clip(x, low, high), arrays, dims)
    check(lambda x, low, high: xp.clip(x, None, high) + low, arrays, dims)


@quick
@given(st.data(), SHAPES, st.booleans())
def test_reductions(data: Any, shape: Any, keepdims: bool) -> None:
    arrays, dims = data.draw(batches(shape))
    axes = st.lists(st.integers(-len(shape), len(shape) - 1), unique_by=lambda a: a % len(shape))
    axis = data.draw(st.none() | axes.map(tuple)) if shape else data.draw(st.none())
    for function in (xp.sum, xp.max, xp.mean, xp.any, xp.std, xp.count_nonzero):
        check(lambda x, f=function: f(x, axis=axis, keepdims=keepdims), arrays, dims)
    if not axis or len(axis) < 3:
        check(lambda x: xp.linalg.vector_norm(x, axis=axis, keepdims=keepdims), arrays, dims)
    one = axis[0] if axis else None
    check(lambda x: xp.argmax(x, axis=one, keepdims=keepdims), arrays, dims)
    check(lambda x: xp.sort(x, axis=one if shape else None), arrays, dims)
    check(lambda x: xp.cumsum(x, axis=one), arrays, dims)


@quick
@given(st.data(), SHAPES.filter(bool))
def test_shapes_and_axes(data: Any, shape: Any) -> None:
    arrays, dims = data.draw(batches(shape))
    ndim = len(shape)
    axis = data.draw(st.integers(-ndim, ndim - 1))
    other = data.draw(st.integers(-ndim, ndim - 1))
    order = data.draw(st.permutations(range(ndim)))
    kind = data.draw(st.sampled_from("CFA"))
    for function in (
        lambda x: xp.permute_dims(x, order),
        lambda x: xp.moveaxis(x, axis, other),
        lambda x: xp.swapaxes(x, axis, other),
        lambda x: xp.flip(x, axis=axis),
        lambda x: xp.flip(x),
        lambda x: xp.roll(x, 2, axis=axis),
        lambda x: xp.roll(x, (1, 2), axis=(axis, other)),
        lambda x: xp.roll(x, 1),
        lambda x: xp.reshape(x, (-1, shape[axis]), order=kind),
        lambda x: xp.reshape(x, shape[::-1], order=kind),
        lambda x: xp.ravel(x),
        lambda x: xp.expand_dims(x, axis=(0, -1)),
        lambda x: xp.squeeze(xp.expand_dims(x, axis=axis), axis=axis),
        lambda x: xp.squeeze(x),
        lambda x: xp.repeat(x, 2, axis=axis),
        lambda x: xp.repeat(x, 2),
        lambda x: xp.repeat(x, xp.asarray([2] * shape[axis]), axis=axis),
        lambda x: xp.tile(x, (2, 1)),
        lambda x: xp.tile(x, (2, 1, 1, 2)),
        lambda x: list(xp.unstack(x, axis=axis)),
        lambda x: xp.pad(x, 1, mode="edge"),
        lambda x: xp.broadcast_to(x, (2, *shape)),
        lambda x: xp.diff(x, axis=axis),
        lambda x: xp.fft.fft(x, n=4, axis=axis),
    ):
        check(function, arrays, dims)
    if ndim >= 2:
        first, second = order[:2]
        check(lambda x: xp.diagonal(x, 1, first, second), arrays, dims)
        check(lambda x: xp.trace(x, 0, first, second), arrays, dims)
        check(lambda x: xp.tril(x, k=-1), arrays, dims)


@quick
@given(st.data(), SHAPES.filter(bool))
def test_joining(data: Any, shape: Any) -> None:
    arrays, dims = data.draw(batches(shape, shape))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    check(lambda x, y: xp.concat([x, y], axis=axis), arrays, dims)
    check(lambda x, y: xp.concat([x, y], axis=None), arrays, dims)
    check(lambda x, y: xp.stack([x, y], axis=axis), arrays, dims)
    check(lambda x, y: xp.diff(x, axis=axis, prepend=y), arrays, dims)


@quick
@given(
    st.data(),
    hnp.mutually_broadcastable_shapes(signature="(m?,n),(n,p?)->(m?,p?)", max_dims=2, max_side=3),
)
def test_matmul(data: Any, shapes: Any) -> None:
    arrays, dims = data.draw(batches(*shapes.input_shapes))
    check(xp.matmul, arrays, dims)


@quick
@given(st.data(), SHAPES, SHAPES)
def test_products(data: Any, left: Any, right: Any) -> None:
    inner = data.draw(SIZES)
    arrays, dims = data.draw(batches((*left[:2], inner), (inner, *right[:1])))
    check(lambda a, b: xp.tensordot(a, b, axes=1), arrays, dims)
    if len(right) < 2:
        check(xp.dot, arrays, dims)
    arrays, dims = data.draw(batches(left, right))
    check(xp.ROWS["outer"].function, arrays, dims)
    arrays, dims = data.draw(batches((*left, inner), (inner,)))
    check(xp.vecdot, arrays, dims)
    check(lambda a, b: xp.einsum("...i,i->...", a, b), arrays, dims)
    check(lambda a, b: xp.einsum("...i,i", a, b), arrays, dims)


@quick
@given(st.data(), SHAPES.filter(bool))
def test_slices_and_ints(data: Any, shape: Any) -> None:
    arrays, dims = data.draw(batches(shape))
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    check(lambda x: xp.getitem(x, key), arrays, dims)


@st.composite
def fancy_keys(draw: Any, shape: tuple[int, ...]) -> tuple[list[Any], list[tuple[int, ...]]]:
    """A key with index arrays among other items, and the shapes of the arrays."""
    count = draw(st.integers(1, len(shape)))
    picked = draw(st.permutations(range(len(shape))))[:count]
    spread = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=2, max_side=3))
    key: list[Any] = []
    for axis, size in enumerate(shape):
        if axis in picked:
            key.append(("array", size))
        elif draw(st.booleans()):
            key.append(slice(None, draw(st.integers(0, size))))
        else:
            key.append(draw(st.sampled_from([slice(None), draw(st.integers(-size, size - 1))])))
        if draw(st.booleans()) and draw(st.booleans()):
            key.append(None)
    return key, list(spread.input_shapes)


@settings(max_examples=150, deadline=None)
@given(st.data(), SHAPES.filter(bool))
def test_index_arrays(data: Any, shape: Any) -> None:
    key, shapes = data.draw(fancy_keys(shape))
    arrays, dims = data.draw(batches(shape, *shapes))
    sizes = [item[1] for item in key if isinstance(item, tuple)]
    indices = [
        np.asarray(np.asarray(abs(a) * 2 % (2 * n), int) - n)
        for a, n in zip(arrays[1:], sizes, strict=True)
    ]
    given = [arrays[0], *indices]

    def filled(found: Any) -> tuple[Any, ...]:
        rest = iter(found)
        return tuple(next(rest) if isinstance(item, tuple) else item for item in key)

    def get(x: Any, *found: Any) -> Any:
        return xp.getitem(x, filled(found))

    check(get, given, dims)
    if dims[0] is None:
        return

    def put(x: Any, *found: Any) -> Any:
        x = xp.copy(x)
        # Twice the same: where an index comes several times, the order of writes does not matter.
        xp.setitem(x, filled(found), 7.5)
        return x

    check(put, given, dims)
    value = data.draw(batches(np.empty(shape)[filled([np.zeros(s, int) for s in shapes])].shape))

    def put_array(x: Any, v: Any, *found: Any) -> Any:
        x = xp.copy(x)
        xp.setitem(x, filled(found), v)
        return x

    one = [np.zeros_like(i) for i in indices]
    same = np.ones_like(value[0][0]) * 3.0
    size = arrays[0].shape[dims[0]]
    if value[1][0] is not None and same.shape[value[1][0]] != size:
        same, value_dim = np.full(np.delete(same.shape, value[1][0]), 3.0), None
    else:
        value_dim = value[1][0]
    check(put_array, [arrays[0], same, *one], [dims[0], value_dim, *dims[1:]])

    layout, ints, _ = encode(filled(indices), np.asarray)
    picked = np.empty(shape)[filled([np.zeros(s, int) for s in shapes])].shape
    values, value_dims = data.draw(batches(picked))
    if value_dims[0] is not None and values[0].shape[value_dims[0]] != size:
        return

    def add(v: Any, *found: Any) -> Any:
        return ops.xp.put_at(v, list(shape), layout, ints, [*map(xp.asarray, found)])

    check(add, [values[0], *indices], [value_dims[0], *dims[1:]])


@quick
@given(st.data(), SHAPES.filter(bool))
def test_masks(data: Any, shape: Any) -> None:
    arrays, dims = data.draw(batches(shape, shape))
    if dims[0] is None:
        return

    def put(x: Any, m: Any) -> Any:
        x = xp.copy(x)
        xp.setitem(x, m > 0, 7.5)
        return x

    check(put, arrays, dims)
    mask = numbers(shape[:1], 1) > 0

    def put_rows(x: Any, m: Any) -> Any:
        x = xp.copy(x)
        xp.setitem(x, mask, m[mask])
        return x

    check(put_rows, arrays, dims)


@quick
@given(st.data(), SHAPES.filter(bool), hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
def test_take(data: Any, shape: Any, picks: Any) -> None:
    arrays, dims = data.draw(batches(shape, picks))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    inside = np.asarray(abs(arrays[1]) * 2 % shape[axis], int)
    check(lambda x, i: xp.take(x, i, axis=axis), [arrays[0], inside], dims)
    outside = np.asarray(arrays[1] * 2, int)
    for mode in ("wrap", "clip"):
        check(lambda x, i, m=mode: xp.take(x, i, axis, m), [arrays[0], outside], dims)
        check(lambda x, i, m=mode: xp.take(x, i, None, m), [arrays[0], outside], dims)
    arrays, dims = data.draw(batches(shape, shape))
    order = np.asarray(abs(arrays[1]) * 2 % shape[axis], int)
    check(lambda x, i: xp.take_along_axis(x, i, axis=axis), [arrays[0], order], dims)


@quick
@given(st.data(), hnp.array_shapes(min_dims=0, max_dims=2, max_side=3), SIZES)
def test_linear_algebra(data: Any, loops: Any, size: int) -> None:
    arrays, dims = data.draw(batches((*loops, size, size), (size,), (*loops, size, 2)))

    def regular(x: Any) -> Any:
        return xp.add(x, 40 * np.eye(size))

    check(lambda a, b, c: xp.linalg.solve(regular(a), b), arrays, dims)
    check(lambda a, b, c: xp.linalg.solve(regular(a), c), arrays, dims)
    check(lambda a, b, c: xp.linalg.inv(regular(a)) + xp.sum(b) + xp.sum(c), arrays, dims)
    check(lambda a, b, c: xp.linalg.pinv(regular(a), rtol=xp.abs(xp.sum(b)) / 1e6), arrays, dims)
