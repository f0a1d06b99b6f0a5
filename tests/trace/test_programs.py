"""Random programs, traced with symbolic sizes and run on arrays of other sizes.

A graph has to give what the program gives, or say that it does not hold for these sizes; and where
NumPy refuses the sizes, it may not go through.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gpuops import FakeArray, FakeMode, Graph, GraphError, trace
from gpuops.symbols import SymInt

pytest.importorskip("gpuops.xp", reason="the operators of the namespace xp are not there")

# Each step takes the arrays so far and two of them, chosen by number.
STEPS: list[Any] = [
    lambda a, b: a + b,
    lambda a, b: a * 2 - b,
    lambda a, b: a @ b.T,
    lambda a, b: a.T,
    lambda a, b: a.reshape(-1, 1),
    lambda a, b: a.reshape(1, -1) * b,
    lambda a, b: a.sum(0, keepdims=True),
    lambda a, b: a.max(1, keepdims=True) - a,
    lambda a, b: a[1:],
    lambda a, b: a[:, ::2],
    lambda a, b: a[: b.shape[0]],
    lambda a, b: a[:, : a.shape[1] // 2],
    lambda a, b: np.concatenate([a, b], axis=0),
    lambda a, b: np.concatenate([a, b], axis=1),
    lambda a, b: np.where(a > 1, a, b),
    lambda a, b: a / a.shape[0] + b.shape[1],
    lambda a, b: np.broadcast_to(a[:1], (b.shape[0], a.shape[1])),
    lambda a, b: a[a.shape[0] - 1 :],
    lambda a, b: a if a.shape[0] > b.shape[0] else b,
    lambda a, b: np.tile(a, (2, 1)),
    lambda a, b: np.sort(a, axis=0)[::-1],
    lambda a, b: np.cumsum(a, axis=1),
    lambda a, b: a[:, None, :] * b[None],
    lambda a, b: a.sum(-1) if a.ndim == 3 else a,
]

SIZE = st.integers(1, 4)
SHAPE = st.tuples(SIZE, SIZE)


@st.composite
def two_shapes(draw: Any) -> Any:
    """Two shapes, and two others that are equal where those are, and 1 where those are 1."""
    first = draw(SHAPE)
    second = draw(st.sampled_from([first, first[::-1], (1, first[1]), (first[0], 1), (3, 2)]))
    sizes = {1: 1}
    other = tuple(sizes.setdefault(size, draw(SIZE)) for size in first)
    return first, second, other, tuple(sizes.setdefault(size, draw(SIZE)) for size in second)


PROGRAM = st.lists(
    st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
    max_size=4,
)


def run(program: Any, x: Any, y: Any) -> Any:
    arrays = [x, y]
    for step, first, second in program:
        arrays.append(STEPS[step](arrays[first % len(arrays)], arrays[second % len(arrays)]))
    # All of them, so that no step is left out of the graph.
    return arrays[2:]


def numbers(shape: tuple[int, ...], start: int) -> np.ndarray:
    return np.arange(start, start + np.prod(shape, dtype=int), dtype=np.float64).reshape(shape) % 7


REFUSALS = (ValueError, IndexError, TypeError)


def equal(found: list[Any], expected: list[Any]) -> bool:
    return len(found) == len(expected) and all(
        a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
        for a, b in zip(found, expected, strict=True)
    )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(PROGRAM, two_shapes())
def test_graphs_of_random_programs(program: Any, shapes: Any) -> None:
    x, y, p, q = shapes
    args = numbers(x, 0), numbers(y, 3)
    try:
        expected = run(program, *args)
    except REFUSALS:
        assume(False)
    graph = trace(lambda a, b: run(program, a, b), "symbolic")(*args)
    assert equal(graph(*args), expected)
    others = numbers(p, 1), numbers(q, 2)
    try:
        result = graph(*others)
    except GraphError:
        return  # it does not hold for these sizes, and says so
    except REFUSALS:
        with pytest.raises(REFUSALS):
            run(program, *others)
        return
    assert equal(result, run(program, *others))
    assert equal(Graph.from_text(graph.to_text())(*others), result)


@settings(max_examples=100, deadline=None)
@given(PROGRAM, two_shapes())
def test_fakes_of_random_programs(program: Any, shapes: Any) -> None:
    args = numbers(shapes[0], 0), numbers(shapes[1], 3)
    mode = FakeMode()
    fakes = [mode.from_array(array) for array in args]
    try:
        expected = run(program, *args)
    except REFUSALS:
        with pytest.raises(REFUSALS):
            run(program, *fakes)
        return
    for fake, real in zip(run(program, *fakes), expected, strict=True):
        assert type(fake) is FakeArray and not any(isinstance(size, SymInt) for size in fake.shape)
        assert (fake.shape, fake.strides, fake.dtype) == (real.shape, real.strides, real.dtype)
