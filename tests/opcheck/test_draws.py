"""What `opcheck` draws beyond the sample: that odd faults are found, and made small."""

import random
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import Animal, alive, like, matrix, two

import gpuops
from gpuops.opchecks import CHECKS
from gpuops.opchecks.api import _bound
from gpuops.opchecks.inputs import Pool, drawn
from gpuops.opchecks.subject import Subject
from gpuops.registry import as_operator

ONE = "(Array x) -> Array"


def _returns_view(test):
    """A kernel that returns a view of its first argument where the test says so, else a copy."""
    return lambda x, *rest: x[...] if test(x, *rest) else np.array(x, order="C")


def _odd(name, test, smallest, schema=ONE, sample=matrix, **more):
    return Animal(name, schema, _returns_view(test), like, sample, "test_schema", smallest, **more)


# Each fails at odd inputs only; the message is the smallest of them.
ODD = [
    _odd("size_7", lambda x: max(x.shape, default=0) >= 7, f"(x=float64[7] {[0.0] * 7})"),
    _odd("size_100", lambda x: max(x.shape, default=0) >= 100, "(x=float64[100])"),
    _odd("odd_size", lambda x: x.size > 2 and x.size % 2 == 1, f"(x=float64[3] {[0.0] * 3})"),
    _odd("int16", lambda x: x.dtype == np.int16, "(x=int16[] 0)"),
    _odd("float16", lambda x: x.dtype == np.float16, "(x=float16[] 0.0)"),
    _odd("complex64", lambda x: x.dtype == np.complex64, "(x=complex64[] 0j)"),
    _odd("bools", lambda x: x.dtype == np.bool_, "(x=bool[] False)"),
    _odd("rank_3", lambda x: x.ndim == 3, "(x=float64[0, 0, 0])"),
    _odd("rank_4", lambda x: x.ndim == 4, "(x=float64[0, 0, 0, 0])"),
    _odd("zero_d", lambda x: x.ndim == 0, "(x=float64[] 0.0)"),
    _odd("nan", lambda x: x.dtype.kind == "f" and np.isnan(x).any(), "(x=float64[] nan)"),
    _odd("inf", lambda x: x.dtype.kind == "f" and (x == np.inf).any(), "(x=float64[] inf)"),
    _odd(
        "minus_zero",
        lambda x: x.dtype.kind == "f" and (np.signbit(x) & (x == 0)).any(),
        "(x=float64[] -0.0)",
    ),
    _odd(
        "subnormal",
        lambda x: x.dtype.kind == "f" and ((x != 0) & (np.abs(x) < 1e-310)).any(),
        "(x=float64[] 5e-324)",
    ),
    _odd("empty", lambda x: x.size == 0, "(x=float64[0])"),
    _odd("all_1", lambda x: x.ndim > 1 and x.size == 1, "(x=float64[1, 1] [[0.0]])"),
    _odd("negative", lambda x: x.dtype.kind in "fi" and (x < 0).any(), "(x=float64[] -1.0)"),
    _odd(
        "ties",
        lambda x: x.size > 5 and len(set(x.ravel().tolist())) == 1,
        "(x=float64[6] [0.0, 0.0, 0.0, 0.0, 0.0, 0.0])",
    ),
    _odd(
        "fortran",
        lambda x: x.flags.f_contiguous and not x.flags.c_contiguous,
        "(x=float64[2, 2] with strides (8, 16) [[0.0, 0.0], [0.0, 0.0]])",
    ),
    _odd(
        "fortran_of_a_vector",
        lambda x: x.flags.f_contiguous and not x.flags.c_contiguous,
        "(x=float64[2, 2] with strides (8, 16) [[0.0, 0.0], [0.0, 0.0]])",
        sample=lambda: (np.arange(3.0),),
    ),
    _odd(
        "smallest_int",
        lambda x: x.dtype == np.int64 and (x == np.iinfo(np.int64).min).any(),
        "(x=int64[] -9223372036854775808)",
        sample=lambda: (np.arange(3),),
    ),
    _odd(
        "negative_scalar",
        lambda x, s: s < 0,
        "(x=float64[] 0.0, s=-1.0)",
        "(Array x, float s) -> Array",
        lambda: (*matrix(), 2.0),
    ),
    _odd(
        "negative_int",
        lambda x, s: s < 0,
        "(x=float64[] 0.0, s=-1)",
        "(Array x, int s=3) -> Array",
        lambda: (*matrix(), 4),
    ),
    _odd(
        "nan_scalar",
        lambda x, s: np.isnan(s),
        "(x=float64[] 0.0, s=nan)",
        "(Array x, float s) -> Array",
        lambda: (*matrix(), 2.0),
    ),
    _odd(
        "other_bool",
        lambda x, flag: not flag,
        "(x=float64[] 0.0, flag=False)",
        "(Array x, bool flag) -> Array",
        lambda: (*matrix(), True),
    ),
    _odd(
        "other_dtype",
        lambda x, dtype: dtype == np.int16,
        "(x=float64[] 0.0, dtype=dtype('int16'))",
        "(Array x, dtype dtype) -> Array",
        lambda: (*matrix(), np.dtype(np.float32)),
    ),
    _odd(
        "none",
        lambda x, y: y is None,
        "(x=float64[] 0.0, y=None)",
        "(Array x, Array? y=None) -> Array",
        two,
    ),
    _odd(
        "not_none",
        lambda x, y: y is not None,
        "(x=float64[] 0.0, y=float64[] 0.0)",
        "(Array x, Array? y=None) -> Array",
    ),
    _odd(
        "keyword_not_none",
        lambda x, scale: scale is not None,
        "(x=float64[] 0.0, scale=0.0)",
        "(Array x, float? scale=None) -> Array",
    ),
    _odd(
        "long_list",
        lambda x, ys: len(ys) > 2,
        "(x=float64[] 0.0, ys=[float64[] 0.0, float64[] 0.0, float64[] 0.0])",
        "(Array x, Array[] ys) -> Array",
        lambda: (*matrix(), [np.ones(3), np.zeros(2)]),
    ),
    _odd(
        "empty_list",
        lambda x, ys: not ys,
        "(x=float64[] 0.0, ys=[])",
        "(Array x, Array[] ys) -> Array",
        lambda: (*matrix(), [np.ones(3), np.zeros(2)]),
    ),
    _odd(
        "unlike_sizes",
        lambda x, y: x.shape != y.shape and x.ndim == y.ndim == 1,
        "(x=float64[0], y=float64[1] [0.0])",
        "(Array x, Array y) -> Array",
        lambda: (np.ones(4), np.ones(4)),
    ),
    _odd(
        "two_at_once",
        lambda x, s: s < 0 and x.dtype == np.float32,
        "(x=float32[] 0.0, s=-1.0)",
        "(Array x, float s) -> Array",
        lambda: (*matrix(), 2.0),
    ),
    Animal(
        "fake_of_int16",
        ONE,
        lambda x: np.array(x, order="C"),
        lambda x: x.new_empty(x.shape, np.int32 if x.dtype == np.int16 else x.dtype),
        matrix,
        "test_fake",
        "(x=int16[] 0)",
    ),
    Animal(
        "gradient_of_rank_3",  # where the gradient is batched, that of two axes
        ONE,
        lambda x: np.array(x * 2, order="C"),
        like,
        matrix,
        "test_autograd",
        "(x=float64[1, 1] [[0.0]])",
        backward=lambda ctx, g: g * (3 if ctx.saved_arrays[0].ndim == 3 else 2),
    ),
    Animal(
        "rule_of_rank_1",
        ONE,
        lambda x: np.array(x * 2, order="C"),
        like,
        matrix,
        "test_vmap",
        "(x=float64[1] [0.0])",
        vmap=lambda info, dims, x: (x * (3 if x.ndim == 2 else 2), dims[0]),
    ),
    Animal(
        "nan_unwritten",
        ONE,
        lambda x: (
            np.where(np.isnan(x), np.empty(x.shape), x) + 0.0
            if x.dtype.kind == "f" and x.ndim
            else np.array(x, order="C")
        ),
        like,
        matrix,
        "test_initialised",
        "(x=float64[1] [nan])",
    ),
    Animal(
        "divides_by_the_size",
        ONE,
        lambda x: np.array(x + 1 // x.size, order="C"),
        None,
        matrix,
        "test_schema",
        "(x=float64[0])",
    ),
]


@pytest.mark.parametrize("animal", ODD, ids=lambda animal: animal.name)
def test_faults_at_odd_inputs_are_found_and_made_small(animal):
    with alive(animal, "odd") as op, pytest.raises(gpuops.GpuopsError) as caught:
        gpuops.opcheck(op, animal.sample(), animal.kwargs, test_utils=animal.check)
    assert str(caught.value).startswith(f"{animal.check} failed: odd::{animal.name}")
    assert caught.value.case == f"odd::{animal.name}{animal.message}"
    assert f"\nSmallest case: {caught.value.case}\n" in str(caught.value)
    assert str(caught.value).endswith(caught.value.script)


def _failure(animal, **options):
    with alive(animal, "odd") as op, pytest.raises(gpuops.GpuopsError) as caught:
        gpuops.opcheck(op, animal.sample(), animal.kwargs, test_utils=animal.check, **options)
    return str(caught.value)


def test_a_seed_draws_the_same():
    odd = next(animal for animal in ODD if animal.name == "two_at_once")
    assert _failure(odd, seed=5) == _failure(odd, seed=5)
    with alive(odd, "odd") as op:
        subject = Subject(as_operator(op), _bound(as_operator(op), odd.sample(), {}))
        first, second = list(drawn(subject)), list(drawn(subject))
    assert [draw.name for draw in first] == [draw.name for draw in second]
    np.testing.assert_equal([d.values for d in first], [d.values for d in second])


def test_draws_differ_and_keep_what_the_sample_shows():
    animal = Animal("pair", "(Array x, Array y) -> Array", None, like, two)
    with alive(Animal(**{**_fields(animal), "kernel": lambda x, y: x + y}), "odd") as op:
        operator = as_operator(op)
        draws = list(drawn(Subject(operator, _bound(operator, two(), {}))))
    alike = [draw for draw in draws if not draw.tags & {"alone", "unlike"}]
    assert len(alike) > 100
    assert all(draw.values[0].shape == draw.values[1].shape for draw in alike)
    assert any(draw.values[0].shape != draw.values[1].shape for draw in draws)
    shown = [repr(draw.values) + str([v.strides for v in draw.values]) for draw in draws]
    assert len(draws) == len({draw.name for draw in draws}) or len(set(shown)) > 0.9 * len(shown)


def _fields(animal):
    return {name: getattr(animal, name) for name in animal.__dataclass_fields__}


def test_core_dimensions_of_a_signature_change_together():
    @gpuops.custom_op("odd::product", mutates_args=(), signature="(m,k),(k,n)->(m,n)")
    def product(x: gpuops.Array, y: gpuops.Array) -> gpuops.Array:
        return np.array(x @ y, order="C")

    operator = as_operator(product)
    sample = np.ones((3, 3)), np.ones((3, 3))
    draws = list(drawn(Subject(operator, _bound(operator, sample, {}))))
    sized = [d for d in draws if d.tags == {"sizes"}]
    shapes = {(d.values[0].shape, d.values[1].shape) for d in sized}
    assert all(left[1] == right[0] for left, right in shapes)
    assert any(left[0] != left[1] for left, _ in shapes)
    gpuops.opcheck(product, sample)
    product.undo()


def test_ints_that_are_sizes_follow_them():
    def kernel(x, n):
        if x.shape[-1] != n:
            raise ValueError("the last axis must have n elements")
        return x[...] if n > 7 else np.array(x, order="C")

    schema = "(Array x, int n) -> Array"
    animal = Animal("sized", schema, kernel, like, lambda: (np.ones((2, 5)), 5), "test_schema")
    assert "Smallest case: odd::sized(x=float64[8] [0.0," in _failure(animal)
    assert ", n=8)" in _failure(animal)


def test_a_large_sample_is_drawn_small():
    animal = Animal(
        "large", ONE, lambda x: np.array(x, order="C"), like, lambda: (np.ones((300, 300)),)
    )
    with alive(animal, "odd") as op:
        operator = as_operator(op)
        pool = Pool(Subject(operator, _bound(operator, animal.sample(), {})))
        draws = list(pool.accepted())
    assert len(draws) > 50
    assert all(draw.values[0].size <= 1 << 14 for draw in draws)
    assert sum(draw.values[0].size > 1 for draw in draws) > 30


def test_a_large_sample_of_blocks_is_drawn_in_blocks():
    def blocks(x):
        if x.ndim != 1 or x.size % 64:
            raise ValueError("x must be a vector of whole blocks of 64")
        return x[...] if x.size == 64 else np.array(x, order="C")

    animal = Animal("blocks", ONE, blocks, like, lambda: (np.ones(1 << 14),), "test_schema")
    assert "Smallest case: odd::blocks(x=float64[64])\n" in _failure(animal)


def test_refusals_are_no_failures():
    def particular(x):
        if x.ndim != 2 or x.dtype != np.float64 or 0 in x.shape:
            raise ValueError("x must be a float64 matrix with elements")
        return np.array(x, order="C")

    with alive(Animal("particular", ONE, particular, like, matrix), "odd") as op:
        assert gpuops.opcheck(op, matrix()) == dict.fromkeys(CHECKS, "SUCCESS")


@pytest.mark.parametrize("error", [KeyError, AssertionError, IndexError, RuntimeError])
def test_errors_at_other_dtypes_and_ranks_are_no_failures(error):
    def table(x):
        if x.dtype.name not in ("float64", "float32") or x.ndim != 2:
            raise error("no such kernel")
        return np.array(x, order="C")

    with alive(Animal("table", ONE, table, like, matrix), "odd") as op:
        assert set(
            gpuops.opcheck(op, matrix(), test_utils=["test_schema", "test_fake"]).values()
        ) == {"SUCCESS"}


def test_promotion_and_broadcasting_of_numpys_are_not_held_against_a_fake():
    half = Animal("half", ONE, lambda x: np.array(x / 2, order="C"), like, matrix)
    plus = Animal(
        "plus", "(Array x, Array y) -> Array", lambda x, y: np.array(x + y, order="C"), like, two
    )
    for animal in (half, plus):
        with alive(animal, "odd") as op:
            gpuops.opcheck(op, animal.sample())


def test_layouts_that_a_kernel_keeps_are_not_held_against_a_fake():
    with alive(Animal("kept", ONE, lambda x: np.array(x, order="K"), like, matrix), "odd") as op:
        gpuops.opcheck(op, matrix())
        with pytest.raises(gpuops.GpuopsError, match="the strides of the output"):
            gpuops.opcheck(op, (np.asfortranarray(matrix()[0]),), test_utils="test_fake")


@pytest.mark.parametrize(
    ("sample", "smallest"),
    [
        (np.array([1, "a", None], object), "(x=object[] 1)"),
        (np.array(["2020-01-01", "NaT"], "M8[D]"), "(x=datetime64[D][] 2020-01-01)"),
        (np.array([1, 2.5], ">f8"), "(x=>f8[] 0.0)"),
        (np.array([1, 2.5], np.longdouble), f"(x={np.dtype(np.longdouble)}[] 0.0)"),
    ],
    ids=["objects", "dates", "big-endian", "long double"],
)
def test_odd_dtypes(sample, smallest):
    kind = sample.dtype
    right = Animal("right", ONE, lambda x: np.array(x, order="C"), like, lambda: (sample,))
    wrong = _odd("wrong", lambda x: x.dtype == kind, smallest, sample=lambda: (sample,))
    with alive(right, "odd") as op:
        gpuops.opcheck(op, (sample,))
    with alive(wrong, "odd") as op, pytest.raises(gpuops.GpuopsError) as caught:
        gpuops.opcheck(op, (sample,), test_utils="test_schema")
    assert caught.value.case == f"odd::wrong{smallest}"


def test_failures_that_are_returned_have_case_and_script():
    with alive(ODD[0], "odd") as op:
        error = gpuops.opcheck(op, matrix(), raise_exception=False)["test_schema"]
    assert error.case == "odd::size_7" + ODD[0].message
    assert str(error).endswith(error.script)


def test_a_seed_is_an_int():
    with alive(ODD[0], "odd") as op, pytest.raises(gpuops.ArgumentError, match="seed must be an"):
        gpuops.opcheck(op, matrix(), seed="one")


# -- the caller's state ----------------------------------------------------------------------------


def test_the_callers_state_stays(recwarn):  # V16
    def noisy(x, xs):
        np.random.random()
        random.random()
        np.seterr(all="ignore")
        if threading.current_thread() is threading.main_thread():
            warnings.simplefilter("ignore")  # in a thread it would race with the others' warnings
        warnings.warn("noise", stacklevel=1)
        return np.array(x, order="C")

    animal = Animal("noisy", "(Array x, Array[] xs) -> Array", noisy, lambda x, xs: like(x), None)
    np.random.seed(3)
    random.seed(3)
    old = np.seterr(over="raise", invalid="warn")
    try:
        before = _state()
        with alive(animal, "odd") as op:
            x, xs = matrix()[0], [np.ones(2), np.full(3, np.nan)]
            gpuops.opcheck(op, (x, xs), raise_exception=False)
        assert _state() == before
    finally:
        np.seterr(**old)
    assert len(xs) == 2
    np.testing.assert_array_equal(x, matrix()[0])
    np.testing.assert_array_equal(xs[1], np.full(3, np.nan))
    assert not [w for w in recwarn.list if "noise" in str(w.message)]


def _state():
    kind, keys, *rest = np.random.get_state()
    return kind, keys.tolist(), rest, random.getstate(), np.geterr(), list(warnings.filters)


def test_a_stream_of_random_numbers_stays_where_it_is():  # V16
    gpuops.load_packs()
    rng = gpuops.random.RNGState(4)
    rng.reserve(7)
    gpuops.opcheck(gpuops.ops.gpuops_kernels.uniform, ([3], rng))
    assert rng.offset.tolist() == [7]


def test_operators_that_draw_from_numpys_generator_fail_the_same_each_time():
    animal = Animal(
        "noise",
        ONE,
        lambda x: np.array(x + np.random.standard_normal(), order="C"),
        like,
        matrix,
        "test_trace",
    )
    assert _failure(animal) == _failure(animal)


@settings(max_examples=5, deadline=None, database=None)
@given(st.integers(1, 3))
def test_within_a_hypothesis_test(size):
    with alive(Animal("inner", ONE, lambda x: np.array(x, order="C"), like, matrix), "odd") as op:
        gpuops.opcheck(op, (np.ones(size),), test_utils=["test_schema", "test_fake"])
