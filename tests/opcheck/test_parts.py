"""What the checks are made of: copies, slopes, gradients, filled memory, variants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy._core.multiarray import get_handler_name
from zoo import Animal, alive, like, matrix, two

from gpuops.opchecks.copies import Copies, copied
from gpuops.opchecks.gradients import Wrong, compare, precision
from gpuops.opchecks.poison import poisoned
from gpuops.opchecks.slopes import STEPS, slope
from gpuops.opchecks.subject import Subject
from gpuops.opchecks.variants import broadcast, cut, elements, other_values

# -- copies ----------------------------------------------------------------------------------------

DTYPES = st.sampled_from([np.float64, np.float32, np.int16, np.complex128, np.bool_])
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))


@st.composite
def views(draw):
    """A view of an array: parts, steps of either sign, other axes."""
    array = draw(ARRAYS)
    keys = []
    for size in array.shape:
        start = draw(st.integers(0, size))
        step = draw(st.sampled_from([1, 2, -1, -2]))
        keys.append(slice(start, None, step))
    view = array[(*keys, ...)]
    return view.transpose(draw(st.permutations(range(view.ndim))))


@given(views())
@settings(max_examples=150, deadline=None)
def test_copies_lie_in_memory_as_the_originals(view):
    (made,) = copied([view])
    assert made.shape == view.shape and made.dtype == view.dtype
    assert made.strides == view.strides and made.flags.aligned == view.flags.aligned
    np.testing.assert_array_equal(made, view)
    assert not np.shares_memory(made, view)


@given(views(), st.data())
@settings(max_examples=150, deadline=None)
def test_damage_is_what_lies_beside_the_elements(view, data):
    copies = Copies([view])
    copies.watch()
    (made,) = copies.values
    if made.size and made.dtype != np.bool_:
        made[...] = made + 1
    assert copies.damaged() is None
    room = next(iter(copies._rooms.values())).data
    inside = np.zeros(room.size, bool)
    start = made.ctypes.data - room.ctypes.data
    for position in np.ndindex(*made.shape):
        first = start + sum(i * s for i, s in zip(position, made.strides, strict=True))
        inside[first : first + made.itemsize] = True
    at = data.draw(st.integers(0, room.size - 1))
    room[at] ^= 1
    assert (copies.damaged() is None) == bool(inside[at])


def test_overlapping_arguments_stay_so():
    x = np.arange(6.0)
    left, right, alone = copied([x[:4], x[2:], np.ones(2)])
    assert np.shares_memory(left, right) and not np.shares_memory(left, alone)
    left[2] = 9
    assert right[0] == 9


# -- slopes ----------------------------------------------------------------------------------------


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6))
@settings(deadline=None)
def test_slopes_of_polynomials(coefficients):
    found = slope(lambda t: sum(c * t**k for k, c in enumerate(coefficients)), STEPS["float64"], 1)
    assert abs(found.value - coefficients[1]) <= 10 * found.error + 1e-9


def test_slopes_of_what_has_few_digits():
    single = slope(lambda t: float(np.float32(math.sin(1 + t))), STEPS["float32"])
    assert abs(single.value - math.cos(1)) < 1e-3
    newton = slope(lambda t: math.exp(t) + 1e-9 * math.sin(1e9 * t), STEPS["float64"])
    assert abs(newton.value - 1) <= 10 * newton.error + 1e-6


def test_slopes_beside_a_kink():
    found = slope(lambda t: max(0.0, 1e-3 + t) * 5, STEPS["float64"])
    assert abs(found.value - 5) < 1e-6


@pytest.mark.parametrize("function", [lambda t: float(t > 0), lambda t: math.nan])
def test_no_slope_at_a_jump_or_of_nan(function):
    assert slope(function, STEPS["float64"]) is None


# -- gradients -------------------------------------------------------------------------------------


def _quadratic(matrix):
    return lambda x: (x @ matrix * x,)


@given(st.integers(0, 10_000), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_right_gradients_pass_and_one_wrong_element_is_named(seed, n):
    random = np.random.default_rng(seed)
    matrix, x = random.standard_normal((n, n)), random.standard_normal(n)
    weight = random.standard_normal(n)
    gradient = matrix @ (weight * x) + weight * (x @ matrix)
    arguments = (_quadratic(matrix), [x], [weight])
    options = {"kept": "float64", "names": ["'x'"]}
    assert compare(*arguments, [gradient], random, **options)
    at = int(random.integers(n))
    wrong = gradient.copy()
    wrong[at] += 0.01 * (1 + abs(wrong[at]))
    with pytest.raises(Wrong, match=rf"with respect to 'x' .* at element \({at},\): numerical"):
        compare(*arguments, [wrong], random, **options)


def test_the_numbers_in_the_message_are_those_of_the_element():
    x = np.array([2.0, 3.0])
    with pytest.raises(Wrong, match=r"element \(1,\): numerical 6, analytical 5 "):
        compare(
            lambda x: (x * x,),
            [x],
            [np.ones(2)],
            [np.array([4.0, 5.0])],
            np.random.default_rng(0),
            kept="float64",
            names=["'x'"],
        )


@pytest.mark.parametrize(
    ("function", "dtype", "expected"),
    [
        (lambda x: (np.sin(x),), np.float64, "float64"),
        (lambda x: (np.asarray(np.sin(x.astype(np.float32)), np.float64),), np.float64, "float32"),
        (lambda x: (np.sin(x),), np.float32, "float32"),
        (lambda x: (np.sin(x),), np.float16, "float16"),
        (lambda x: (np.maximum(x, 0),), np.float64, "float64"),
        (lambda x: (x * x,), np.complex128, "float64"),
    ],
)
def test_precision(function, dtype, expected):
    x = np.linspace(-1, 1, 40).astype(dtype)
    assert precision(function, [x], np.random.default_rng(0)) == expected


# -- memory that nobody wrote ----------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [0x00, 0x5A, 0xFF])
@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_new_arrays_hold_the_pattern(pattern, size):
    with poisoned(pattern):
        made = [np.empty(size), np.ndarray((size,)), np.empty_like(np.ones(size))]
        zeros = np.zeros(size)
        filled = np.full(size, 3.0)
    for array in made:
        assert set(array.view(np.uint8).tolist()) <= {pattern}
    assert not zeros.any() and (filled == 3).all()


def test_the_allocator_is_taken_back():
    before = get_handler_name(np.empty(3))
    made = []

    def fails():
        with poisoned(0x5A):
            with poisoned(0xFF):
                made.append(np.empty(1, np.uint8))
            made.append(np.empty(1, np.uint8))
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    inner, outer = made
    assert (int(inner[0]), int(outer[0])) == (0xFF, 0x5A)
    assert get_handler_name(np.empty(3)) == before
    grown = inner.copy()
    inner.resize(5000, refcheck=False)  # by the handler that made it
    assert inner[0] == grown[0]


# -- variants --------------------------------------------------------------------------------------


def test_large_samples_are_cut():
    def kernel(x):
        if x.ndim != 2 or x.shape[0] != x.shape[1] or x.shape[0] % 4:
            raise ValueError("x must be square, in fours")
        return np.array(x, order="C")

    with alive(Animal("f", "(Array x) -> Array", kernel, like, matrix), "parts") as op:
        subject = Subject(op.operator, [np.ones((100, 100))])
        assert cut(subject, subject.values, 1 << 20) is subject.values
        small = cut(subject, subject.values, 500)
        assert small[0].shape[0] == small[0].shape[1] and elements(subject, small) <= 500
        assert cut(subject, subject.values, 3) is None


def test_other_values_are_accepted_ones():
    def kernel(x):
        if (x < 0).any():
            raise ValueError("x must not be negative")
        return np.sqrt(x)

    with alive(Animal("f", "(Array x) -> Array", kernel, like, matrix), "parts") as op:
        subject = Subject(op.operator, [np.linspace(1, 2, 5)])
        found = other_values(subject, subject.values, 1)
        assert (found[0] > 0).all() and not np.array_equal(found[0], subject.values[0])


def test_broadcast_variants_keep_the_outputs_shape():
    with alive(Animal("f", "(Array x, Array y) -> Array", np.add, like, two), "parts") as op:
        subject = Subject(op.operator, list(two()))
        shapes = [tuple(v.shape for v in values) for values in broadcast(subject, subject.values)]
    assert ((3, 4), (4,)) in shapes and ((1, 4), (3, 4)) in shapes and ((3, 4), ()) in shapes
