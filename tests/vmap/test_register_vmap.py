"""`register_vmap`: what rules are told, what they may return, and what happens without one.

There is no `autograd.Function` here, whose two ways to give a rule could contradict each other
(second half of S11): an operator has the rule that was registered last.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, BatchDimensionError, Library, PerformanceWarning, VmapError, vmap, xp

X = np.arange(6.0).reshape(3, 2)


@pytest.fixture
def double() -> Iterator[Any]:
    @gpuops.custom_op("vmap_test::double", mutates_args=())
    def double(x: Array) -> Array:
        return x * 2

    yield double
    double.undo()


@pytest.fixture
def scale() -> Iterator[Any]:
    @gpuops.custom_op("vmap_test::scale", mutates_args=())
    def scale(x: Array, y: Array | None = None, s: float = 2.0, *, t: int = 1) -> Array:
        return x * s * t if y is None else x * y * s * t

    yield scale
    scale.undo()


@pytest.fixture
def split() -> Iterator[Any]:
    @gpuops.custom_op("vmap_test::split", mutates_args=())
    def split(x: Array) -> tuple[Array, Array]:
        return x + 1, x + 2

    yield split
    split.undo()


def rule(info: Any, in_dims: Any, x: Any) -> Any:
    return x * 2, in_dims[0]


# -- registering -----------------------------------------------------------------------------------


# S1
@pytest.mark.parametrize("by", ["object", "name", "overload", "method", "library"])
@pytest.mark.parametrize("decorator", [False, True])
def test_register_vmap_by_object_name_overload_method_and_library(
    double: Any, by: str, decorator: bool
) -> None:
    seen = []

    def counted(info: Any, in_dims: Any, x: Any) -> Any:
        seen.append(in_dims)
        return rule(info, in_dims, x)

    library = Library("vmap_test", "FRAGMENT")
    target = {
        "name": "vmap_test::double",
        "overload": gpuops.ops.vmap_test.double.default,
    }.get(by, double)
    if by == "method":
        kept = double.register_vmap()(counted) if decorator else double.register_vmap(counted)
        assert kept is counted
    elif decorator:
        lib = library if by == "library" else None
        assert gpuops.register_vmap(target, lib=lib)(counted) is counted
    elif by == "library":
        library.register_vmap("double", counted)
    else:
        handle = gpuops.register_vmap(target, counted)
        assert isinstance(handle, gpuops.Registration)
    assert np.array_equal(vmap(double)(X), X * 2)
    assert seen == [(0,)]
    library.destroy()


# S1
def test_registering_again_replaces_and_undoing_restores(double: Any) -> None:
    double.register_vmap(lambda info, in_dims, x: (x * 0, in_dims[0]))
    handle = gpuops.register_vmap(double, lambda info, in_dims, x: (x * 1, in_dims[0]))
    assert np.array_equal(vmap(double)(X), X)
    double.register_vmap(rule)
    assert np.array_equal(vmap(double)(X), X * 2)
    double.register_vmap()(lambda info, in_dims, x: (x * 5, in_dims[0]))
    assert np.array_equal(vmap(double)(X), X * 5)
    handle.undo()
    assert np.array_equal(vmap(double)(X), X * 5)


# S1
def test_what_cannot_be_a_rule_is_refused_at_once(double: Any) -> None:
    with pytest.raises(TypeError, match="the batching rule of vmap_test::double is required to be"):
        gpuops.register_vmap(double, 3)
    with pytest.raises(
        RuntimeError,
        match=r"<lambda>\(x\) at .*test_register_vmap.py:\d+ cannot take .*\(info, in_dims, x\)",
    ):
        gpuops.register_vmap(double, lambda x: x)
    with pytest.raises(gpuops.OperatorNotFoundError, match="Did you mean 'double'"):
        gpuops.register_vmap("vmap_test::doubel", rule)


# N1: a new operator of the same name does not inherit the rule.
def test_a_replaced_operator_loses_its_rule(double: Any) -> None:
    double.register_vmap(lambda info, in_dims, x: (x * 0, in_dims[0]))
    again = gpuops.custom_op(
        "vmap_test::double", lambda x: x * 3, mutates_args=(), schema="(Array x) -> Array"
    )
    with pytest.warns(PerformanceWarning, match="vmap_test::double has no batching rule"):
        assert np.array_equal(vmap(again)(X), X * 3)


# -- what a rule is told ---------------------------------------------------------------------------


# S2
def test_the_callers_in_dims_and_out_dims_are_honoured(double: Any) -> None:
    seen = []

    @double.register_vmap
    def _(info: Any, in_dims: Any, x: Any) -> Any:
        seen.append((in_dims, x.shape))
        return x * 2, in_dims[0]

    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(vmap(double, 1, 1)(x), x * 2)
    assert seen == [((1,), (2, 3, 4))]
    assert vmap(double, -1, -1)(x).shape == (2, 3, 4)
    assert np.array_equal(vmap(double, -1, 0)(x), np.moveaxis(x, -1, 0) * 2)
    assert seen[-1] == ((2,), (2, 3, 4))


# S3
@pytest.mark.parametrize("dims", [((0, None), (None, 0)), ((None, 0), (0, None))])
def test_nested_it_gives_the_outer_product(dims: Any) -> None:
    a, b = np.arange(3.0), np.arange(4.0) + 1
    outer = vmap(vmap(lambda x, y: x * y, dims[1]), dims[0])(a, b)
    expected = np.outer(a, b) if dims[0] == (0, None) else np.outer(b, a)
    assert np.array_equal(outer, expected)


# S4
def test_keyword_only_scalars_and_defaults_reach_the_rule(scale: Any) -> None:
    seen = []

    @scale.register_vmap
    def _(info: Any, in_dims: Any, x: Any, y: Any, s: float, *, t: int) -> Any:
        seen.append((in_dims, y, s, t))
        return scale(x, y, s, t=t), in_dims[0]

    assert np.array_equal(vmap(scale)(X), X * 2)
    assert np.array_equal(vmap(lambda x: scale(x, s=3, t=2))(X), X * 6)
    assert seen == [((0, None, None), None, 2.0, 1), ((0, None, None), None, 3.0, 2)]


# S5
@pytest.mark.parametrize("randomness", ["error", "different", "same"])
def test_info_tells_the_size_of_the_batch_and_randomness(double: Any, randomness: str) -> None:
    seen = []

    @double.register_vmap
    def _(info: Any, in_dims: Any, x: Any) -> Any:
        seen.append((info.batch_size, info.randomness, dict(info.keyword_in_dims)))
        return x * 2, in_dims[0]

    vmap(double, randomness=randomness)(X)
    vmap(double, 1, randomness=randomness)(X)
    assert seen == [(3, randomness, {}), (2, randomness, {})]


# S6
def test_in_dims_is_a_tuple_with_one_per_argument(scale: Any) -> None:
    seen = []

    @scale.register_vmap
    def _(info: Any, in_dims: Any, x: Any, y: Any, s: float, *, t: int) -> Any:
        seen.append(in_dims)
        return xp.zeros((info.batch_size, 1)), 0

    vmap(scale, (0, 1))(X, X.T)
    vmap(scale, (None, 1))(X[0], X.T)
    vmap(lambda x: scale(X[0], x))(X)
    assert seen == [(0, 1, None, None)[:3], (None, 1, None), (None, 0, None)]
    assert type(seen[0]) is tuple


# S6
def test_list_arguments_give_a_list_of_dims_inside() -> None:
    @gpuops.custom_op("vmap_test::total", mutates_args=())
    def total(xs: list[Array], y: Array) -> Array:
        return sum(xs) + y

    seen = []

    @total.register_vmap
    def _(info: Any, in_dims: Any, xs: Any, y: Any) -> Any:
        seen.append(in_dims)
        return sum(xp.moveaxis(x, d or 0, 0) for x, d in zip(xs, in_dims[0], strict=True)) + y, 0

    vmap(lambda a, b: total([a, b, np.ones(2)], np.ones(2)), (0, 1))(X, X.T)
    assert seen == [([0, 1, None], None)]
    total.undo()


def test_keyword_only_arrays_have_their_dims_in_info() -> None:
    @gpuops.custom_op("vmap_test::shifted", mutates_args=())
    def shifted(x: Array, *, by: Array) -> Array:
        return x + by

    seen = []

    @shifted.register_vmap
    def _(info: Any, in_dims: Any, x: Any, *, by: Any) -> Any:
        seen.append((in_dims, dict(info.keyword_in_dims)))
        return x + by, 0

    assert np.array_equal(vmap(lambda y: shifted(np.ones(2), by=y))(X), X + 1)
    assert seen == [((None,), {"by": 0})]
    shifted.undo()


# S7
def test_the_rule_is_not_called_when_no_input_is_batched(double: Any) -> None:
    double.register_vmap(lambda info, in_dims, x: pytest.fail("the rule was called"))
    constant = np.ones(2)
    assert np.array_equal(vmap(lambda x: x + double(constant))(X), X + 2)
    # Nor by the inner of two, for an array of the outer one.
    calls = []
    double.register_vmap(lambda info, in_dims, x: (calls.append(info.batch_size), (x * 2, 0))[1])
    vmap(lambda x: vmap(lambda y: y + double(x))(np.ones((5, 2))))(X)
    assert calls == [3]


# -- what a rule returns ---------------------------------------------------------------------------


# S8
def test_out_dims_none_means_the_same_for_all(split: Any) -> None:
    split.register_vmap(lambda info, in_dims, x: ((x[0] * 0, x + 2), (None, 0)))
    first, second = vmap(split)(X)
    assert np.array_equal(first, np.zeros((3, 2)))
    assert np.array_equal(second, X + 2)
    split.register_vmap(lambda info, in_dims, x: ((x[0], x[0]), None))
    assert [x.shape for x in vmap(split)(X)] == [(3, 2), (3, 2)]
    assert [x.shape for x in vmap(split, out_dims=None)(X)] == [(2,), (2,)]
    split.register_vmap(lambda info, in_dims, x: ([x.T + 1, x.T + 2], 1))
    assert np.array_equal(vmap(split)(X)[0], X + 1)


# S9
@pytest.mark.parametrize("wrong", [X, (X,), (X, 0, 0), None, [X, 0]])
def test_a_rule_that_returns_no_pair_is_refused(double: Any, wrong: Any) -> None:
    double.register_vmap(lambda info, in_dims, x: wrong)
    with pytest.raises(RuntimeError, match="vmap_test::double .* to have two returns.*got") as info:
        vmap(double)(X)
    assert re.search(r"\(at .*test_register_vmap.py:\d+\)", str(info.value))


# S9
@pytest.mark.parametrize(
    ("out", "dims"),
    [
        ((X, X), (0, 0, 0)),
        ((X, X), "00"),
        ((X, X), ((0, 0), 0)),
        (X, 0),
        ((X, X, X), 0),
        ((X, 3), 0),
        ((X, 3), (0, None)),
        ((X, None), (0, None)),
        ((X, None), 0),
        ((X, [X]), 0),
        ((X, X), {0: 0}),
    ],
)
def test_out_dims_of_another_structure_are_refused(split: Any, out: Any, dims: Any) -> None:
    split.register_vmap(lambda info, in_dims, x: (out, dims))
    with pytest.raises(VmapError, match=r"vmap_test::split .*incompatible \(output, out_dims\)"):
        vmap(split)(X)


# S9
@pytest.mark.parametrize("out", [None, X])
def test_the_rule_of_an_operator_that_returns_nothing(out: Any) -> None:
    @gpuops.custom_op("vmap_test::clear", mutates_args={"x"})
    def clear(x: Array) -> None:
        x[...] = 0

    def rule(info: Any, in_dims: Any, x: Any) -> Any:
        clear(x)
        return out, None

    clear.register_vmap(rule)
    x = np.ones((3, 2))
    try:
        if out is None:
            vmap(lambda row: clear(row) or row)(x)
            assert not x.any()
        else:
            with pytest.raises(VmapError, match="vmap_test::clear .* so None was expected"):
                vmap(clear)(x)
    finally:
        clear.undo()


# S10
@pytest.mark.parametrize("dim", [2, -3])
def test_an_out_dim_out_of_range_is_an_index_error(double: Any, dim: int) -> None:
    double.register_vmap(lambda info, in_dims, x: (x, dim))
    with pytest.raises(IndexError, match=f"out_dim {dim} for its output, which has 2 axes: expect"):
        vmap(double)(X)


# S10
def test_negative_out_dims_count_from_the_end(double: Any) -> None:
    double.register_vmap(lambda info, in_dims, x: (xp.moveaxis(x * 2, in_dims[0], -1), -1))
    assert np.array_equal(vmap(double)(X), X * 2)


# S10
def test_a_wrong_batch_size_is_an_error(double: Any, split: Any) -> None:
    double.register_vmap(lambda info, in_dims, x: (x.T, 0))
    with pytest.raises(
        BatchDimensionError, match="its output with the size 2 along its out_dim 0.*the size 3"
    ):
        vmap(double)(X)
    split.register_vmap(lambda info, in_dims, x: ((x, x[:1]), 0))
    with pytest.raises(BatchDimensionError, match="output 1 with the size 1 along its out_dim 0"):
        vmap(split)(X)


# -- without a rule --------------------------------------------------------------------------------


# S11
def test_without_a_rule_it_loops_and_warns_once_per_operator(double: Any, split: Any) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert np.array_equal(vmap(double)(X), X * 2)
        assert np.array_equal(vmap(double, 1)(X), X.T * 2)
        first, second = vmap(split, 1, (0, 1))(X)
    assert "vmap runs it 3 times, once per element. Register one with" in str(seen[0].message)
    assert all(w.category is PerformanceWarning for w in seen)
    assert [str(w.message).split()[0] for w in seen] == ["vmap_test::double", "vmap_test::split"]
    assert seen[0].filename == __file__
    assert np.array_equal(first, X.T + 1)
    assert np.array_equal(second, X + 2)


# S11
def test_the_loop_nests_and_takes_lists_and_keywords() -> None:
    @gpuops.custom_op("vmap_test::mixed", mutates_args=())
    def mixed(xs: list[Array], y: Array | None = None, *, z: Array) -> list[Array]:
        assert all(x.ndim == 1 for x in xs)
        return [x + z for x in xs]

    x = np.arange(12.0).reshape(2, 3, 2)
    with pytest.warns(PerformanceWarning, match="vmap_test::mixed"):
        found = vmap(vmap(lambda a, b: mixed([a, b], z=a), (0, None)), (0, None))(x, np.ones(2))
    assert np.array_equal(found[0], x * 2)
    assert np.array_equal(found[1], x + 1)
    mixed.undo()


# S11
def test_the_loop_says_what_cannot_be_stacked() -> None:
    @gpuops.custom_op("vmap_test::ragged", mutates_args=())
    def ragged(x: Array) -> Array:
        return np.ones(int(x))

    @gpuops.custom_op("vmap_test::number", mutates_args=())
    def number(x: Array) -> int:
        return int(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PerformanceWarning)
        with pytest.raises(VmapError, match=r"ragged returned arrays of the shapes \(1,\), \(2,\)"):
            vmap(ragged)(np.array([1, 2]))
        with pytest.raises(VmapError, match="number returned different values .* int 1 and int 2"):
            vmap(lambda x: x + number(x))(np.array([1, 1, 2]))
        assert np.array_equal(vmap(lambda x: x + number(x))(np.array([2, 2])), [4, 4])
        with pytest.raises(VmapError, match="number has no elements"):
            vmap(number)(np.ones(0))
    ragged.undo()
    number.undo()


def test_a_batch_without_elements_has_the_shape_that_the_fake_kernel_tells() -> None:
    @gpuops.custom_op("vmap_test::pair", mutates_args=())
    def pair(x: Array) -> Array:
        return np.stack([x, x])

    pair.register_fake(lambda x: x.new_empty((2, *x.shape)))
    with pytest.warns(PerformanceWarning, match="0 times"):
        out = vmap(pair)(np.ones((0, 3), np.float32))
    assert (out.shape, out.dtype) == ((0, 2, 3), np.float32)
    assert vmap(lambda x: xp.reshape(x, (-1, 2)).sum(axis=0))(np.ones((0, 3, 4))).shape == (0, 2)
    pair.undo()


def test_operators_that_write_write_to_the_batch() -> None:
    @gpuops.custom_op("vmap_test::fill", mutates_args={"x"})
    def fill(x: Array, y: Array) -> None:
        x[...] = y

    x, y = np.zeros((2, 3)), np.arange(3.0)
    with pytest.warns(PerformanceWarning, match="vmap_test::fill"):
        vmap(lambda a, b: fill(a, b) or a, (1, 0))(x, y)
    assert np.array_equal(x, [y, y])
    with pytest.raises(
        VmapError, match="vmap_test::fill writes to the argument 'x'.* not batched, while 'y' is"
    ):
        vmap(lambda b: fill(np.zeros(2), b))(y)
    fill.undo()


def test_in_place_operators_return_the_very_argument() -> None:
    @gpuops.custom_op("vmap_test::add_", mutates_args={"x"}, tags=gpuops.Tag.inplace)
    def add_(x: Array, y: Array) -> Array:
        x += y
        return x

    @add_.register_vmap
    def _(info: Any, in_dims: Any, x: Any, y: Any) -> Any:
        add_(xp.moveaxis(x, in_dims[0], 0), xp.moveaxis(y, in_dims[1], 0))
        return x, in_dims[0]

    same = []

    def function(x: Any, y: Any) -> Any:
        out = add_(x, y)
        same.append(out is x)
        return out

    x = np.ones((3, 2))
    vmap(function)(x, X)
    assert same == [True]
    assert np.array_equal(x, X + 1)
    add_.undo()


def test_a_wrong_rule_is_found_by_comparing_with_a_loop(double: Any) -> None:
    from tests.vmap.batches import check

    double.register_vmap(lambda info, in_dims, x: (x + x[:1], 0))
    with pytest.raises(AssertionError):
        check(double, [X], [0])
    double.register_vmap(rule)
    check(double, [X], [0])


@pytest.mark.filterwarnings("ignore::gpuops.errors.PerformanceWarning")
def test_a_loop_over_a_batch_is_traced_with_symbols_for_the_sizes(ns: str) -> None:
    with gpuops.Library(ns, "DEF") as library:
        library.define("double(Array x) -> Array")
        library.impl("double", lambda x: x * 2, "cpu")
        library.register_fake("double", lambda x: x.new_empty(x.shape))
        double = getattr(gpuops.ops, ns).double
        graph = gpuops.trace(lambda x: gpuops.vmap(double)(x), "symbolic")(np.ones((2, 3)))
        np.testing.assert_array_equal(graph(np.ones((2, 5))), np.full((2, 5), 2.0))
