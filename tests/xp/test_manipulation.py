"""Manipulation operators: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.xp.common import agree, arrays, axes, broadcastable, laid_out, quick, shapes

some_axes = st.lists(axes, max_size=3)


@quick
@given(arrays(), shapes(0, 4))
def test_broadcast_to(x: np.ndarray, shape: tuple[int, ...]) -> None:
    agree("broadcast_to", x, list(shape))
    agree("broadcast_to", x, [*shape, *x.shape])


@quick
@given(st.integers(0, 3).flatmap(broadcastable))
def test_broadcast_arrays(operands: list[np.ndarray]) -> None:
    agree("broadcast_arrays", operands)


@st.composite
def to_join(draw):
    shape = list(draw(shapes(0, 4)))
    count = draw(st.integers(1, 3))
    axis = draw(axes)
    found = []
    for _ in range(count):
        mine = list(shape)
        if -len(shape) <= axis < len(shape):
            mine[axis] = draw(st.integers(0, 3))
        if shape and draw(st.integers(0, 9)) == 0:
            mine[draw(st.integers(0, len(shape) - 1))] = 5
        dtype = draw(st.sampled_from(["int8", "uint8", "float32", "float64", "bool"]))
        found.append(laid_out(mine, dtype, draw))
    return found, axis


@quick
@given(to_join(), st.sampled_from([None, "float64", "int8"]))
def test_concat(joined, dtype) -> None:
    operands, axis = joined
    dtype = dtype and np.dtype(dtype)
    agree("concat", operands, axis, dtype=dtype)
    agree("concat", operands, None, dtype=dtype)
    agree("concat", [])


@quick
@given(shapes(0, 3), st.integers(1, 3), axes, st.data())
def test_stack(shape, count: int, axis: int, data) -> None:
    operands = [
        laid_out(shape, data.draw(st.sampled_from(["i4", "f4"])), data.draw) for _ in range(count)
    ]
    agree("stack", operands, axis)


@quick
@given(arrays(), arrays())
def test_stack_of_any_shapes(x, y) -> None:
    agree("stack", [x, y])


@quick
@given(arrays(), some_axes)
def test_axes(x: np.ndarray, chosen: list[int]) -> None:
    agree("expand_dims", x, chosen)
    agree("squeeze", x, chosen)
    agree("squeeze", x, None)
    agree("flip", x, chosen)
    agree("flip", x)
    agree("permute_dims", x, chosen)
    agree("transpose", x)
    agree("ravel", x)


@quick
@given(arrays(), some_axes, some_axes, axes, axes)
def test_moved_axes(x: np.ndarray, source, destination, one: int, other: int) -> None:
    agree("moveaxis", x, source, destination)
    agree("moveaxis", x, [one], [other])
    agree("swapaxes", x, one, other)


@st.composite
def splittings(draw, count: int):
    """A shape with that many elements, or nearly so."""
    shape = []
    rest = count
    for _ in range(draw(st.integers(0, 4))):
        divisors = [n for n in range(1, rest + 1) if rest % n == 0] or [0, 1, 2]
        size = draw(st.sampled_from(divisors))
        shape.append(size)
        rest = rest // size if size else rest
    shape.append(rest)
    if draw(st.integers(0, 2)) == 0:
        shape[draw(st.integers(0, len(shape) - 1))] = -1
    if draw(st.integers(0, 9)) == 0:
        shape[draw(st.integers(0, len(shape) - 1))] = 3
    return shape


@quick
@given(
    arrays(max_dims=4),
    st.data(),
    st.sampled_from(["C", "F", "A", "C", "F", "A", "K", "Z"]),
    st.sampled_from([None, True, False]),
)
def test_reshape(x: np.ndarray, data, order: str, copy) -> None:
    shape = data.draw(splittings(math.prod(x.shape)))
    agree("reshape", x, shape, order, copy=copy)


@quick
@given(
    arrays(), st.lists(st.integers(-3, 3), min_size=1, max_size=2), st.one_of(st.none(), some_axes)
)
def test_roll(x: np.ndarray, shift, axis) -> None:
    agree("roll", x, shift, axis)


@quick
@given(arrays(), st.lists(st.integers(-1, 3), max_size=4), st.integers(-1, 3), axes)
def test_repetition(x: np.ndarray, reps, repeats: int, axis: int) -> None:
    agree("tile", x, reps)
    agree("repeat", x, repeats)
    agree("repeat", x, repeats, axis)


@quick
@given(arrays(), axes)
def test_unstack(x: np.ndarray, axis: int) -> None:
    agree("unstack", x, axis)
