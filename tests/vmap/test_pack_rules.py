"""Every operator of the pack: batched, it does what a loop over the elements does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
import gpuops_kernels
from gpuops import RandomnessError, VmapError, vmap, xp
from gpuops.batching import VMAP
from gpuops.cases import load_cases
from gpuops.random import RNGState
from gpuops.registry import registry
from tests.vmap.batches import leaves, with_arrays

NAMES = sorted(gpuops_kernels.__all__)
RANDOM = ["dropout", "dropout_forward", "normal", "random_bits", "uniform"]


def operator(name: str) -> Any:
    return gpuops.ops.gpuops_kernels.__getattr__(name).operator


def some_cases(name: str) -> list[Any]:
    """Each shape and layout in one of its dtypes."""
    cases = load_cases(f"gpuops_kernels::{name}").cases
    return [case for index, case in enumerate(cases) if index % 3 == 0 or "finite" in case.id]


DETERMINISTIC = [
    pytest.param(name, case, id=f"{name}-{case.id}")
    for name in NAMES
    if name not in RANDOM
    for case in some_cases(name)
]


@pytest.mark.parametrize("name", NAMES)
def test_there_is_a_rule(name: str) -> None:
    assert registry.rule(operator(name), VMAP) is not None


def batch_of(x: np.ndarray, dim: int) -> np.ndarray:
    rolled = np.roll(x.reshape(-1), 3).reshape(x.shape)
    return np.stack([x, rolled, x], axis=dim)


def moved(x: Any, device: str) -> Any:
    return gpuops.asarray(x, device=device) if isinstance(x, np.ndarray) else x


def compare(name: str, case: Any, device: str) -> None:
    args, kwargs = case.build(np.random.default_rng(5))
    places = leaves(args)
    arrays = [args[index] for index, _ in places]
    rng = np.random.default_rng(len(case.id))
    fixed = {"dropout_apply": 1}.get(name, len(arrays))
    masks = [
        (True,) * len(arrays),
        *(tuple(n == m for n in range(len(arrays))) for m in range(fixed)),
    ]
    if name == "dropout_apply":
        masks[0] = (True, False, True)

    def function(*given: Any) -> Any:
        return operator(name)(*with_arrays(args, places, given), **kwargs)

    for mask in dict.fromkeys(masks):
        dims = [
            int(rng.integers(-x.ndim - 1, x.ndim + 1)) if on else None
            for x, on in zip(arrays, mask, strict=True)
        ]
        given = [x if d is None else batch_of(x, d) for x, d in zip(arrays, dims, strict=True)]
        expected = [
            function(
                *(
                    moved(x if d is None else np.moveaxis(x, d, 0)[i, ...], device)
                    for x, d in zip(given, dims, strict=True)
                )
            )
            for i in range(3)
        ]
        found = vmap(function, tuple(dims), out_dims=0)(*(moved(x, device) for x in given))
        several = isinstance(found, tuple)
        for index, got in enumerate(found if several else (found,)):
            assert gpuops.device_of(got).type == device
            each = [out[index] if several else out for out in expected]
            if device == "cuda":
                got, each = got.get(), [x.get() for x in each]
            wanted = np.stack(each)
            assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
            rtol, atol = case.tolerances(got.dtype)
            np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("name", "case"), DETERMINISTIC)
def test_batched_it_is_a_loop_over_the_elements(name: str, case: Any) -> None:
    if name == "nonzero":
        return compare_counts(case)
    return compare(name, case, "cpu")


def compare_counts(case: Any) -> None:
    (x,), _ = case.build(np.random.default_rng(5))
    found = vmap(operator("nonzero"), -1)(np.stack([x, x], axis=-1))
    assert np.array_equal(found, [operator("nonzero")(x)] * 2)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in (*RANDOM, "nonzero")])
def test_on_the_simulated_device_too(name: str, simulated_cuda: Any) -> None:
    cases = load_cases(f"gpuops_kernels::{name}").cases
    small = [c for c in cases if c.build(np.random.default_rng(5))[0][0].size in range(1, 200)]
    for case in small[:2]:
        compare(name, case, "cuda")


def test_elements_with_different_numbers_of_nonzeros_are_refused() -> None:
    with pytest.raises(
        ValueError, match="nonzero: the elements .* as many nonzeros each, got 1, 2"
    ):
        vmap(operator("nonzero"))(np.array([[1, 0], [1, 1]]))
    assert vmap(operator("nonzero"))(np.zeros((0, 4))).shape == (0, 0, 1)


# A batch axis is never taken for an axis of an element.
@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("softmax", (np.ones(3), -1), "softmax: x has 0 axes"),
        ("rms_norm", (np.ones(3), np.ones((3, 3))), "at least one axis"),
        ("linear", (np.ones(3), np.ones((3, 3))), "at least one axis"),
        ("linear", (np.ones((3, 3)), np.ones((3, 3))), "weight must have 2 axes, got 1"),
        ("silu_mul", (np.ones((3, 3)), np.ones(3)), "silu_mul: "),
        ("nonzero", (np.ones(3),), "at least one axis"),
    ],
)
def test_elements_that_the_operator_does_not_take_are_refused(
    name: str, args: Any, message: str
) -> None:
    dims = (0, *(0 if isinstance(a, np.ndarray) else None for a in args[1:]))
    if name == "linear" and args[0].ndim == 1:
        dims = (0, None)
    with pytest.raises(ValueError, match=message):
        vmap(operator(name), dims)(*args)


# -- random numbers --------------------------------------------------------------------------------


# S5
@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("batched", [True, False])
def test_random_operators_are_refused_unless_told_what_to_do(name: str, batched: bool) -> None:
    rng = RNGState(1)
    with pytest.raises(
        RandomnessError, match=rf"random operator gpuops_kernels::{name} .*randomness='different'"
    ):
        vmap(lambda x: draw(name, x if batched else np.ones(5), rng))(np.ones((3, 5)))
    assert rng == RNGState(1)


def draw(name: str, x: Any, rng: RNGState) -> Any:
    call = operator(name)
    if name == "dropout_forward":
        return call(x, 0.5, rng)[0]
    return call(x, 0.5, rng) if name == "dropout" else call([5], rng)


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("batched", [True, False])
def test_different_draws_independent_numbers_reproducibly(name: str, batched: bool) -> None:
    def run(chunk: int | None = None, in_dim: int = 0) -> Any:
        rng = RNGState(3)
        x = np.ones((64, 5)) if in_dim == 0 else np.ones((5, 64))
        return vmap(
            lambda x: draw(name, x if batched else np.ones(5), rng) + x * 0,
            in_dim,
            randomness="different",
            chunk_size=chunk,
        )(x), rng

    (first, state), (again, state_2) = run(), run()
    assert np.array_equal(first, again)
    assert state == state_2 != RNGState(3)
    assert np.array_equal(first, run(in_dim=1)[0])
    assert len(np.unique(first, axis=0)) > 20
    assert len(np.unique(run(chunk=7)[0], axis=0)) > 20


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("batched", [True, False])
def test_same_draws_one_elements_numbers_for_all(name: str, batched: bool) -> None:
    rng, alone = RNGState(3), RNGState(3)
    x = np.arange(1.0, 11.0).reshape(2, 5)
    found = vmap(lambda x: draw(name, x if batched else np.ones(5), rng), randomness="same")(x)
    copies = [draw(name, e if batched else np.ones(5), alone.copy()) for e in x]
    assert np.array_equal(found, copies)
    draw(name, np.ones(5), alone)
    assert rng == alone


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_of_what_is_not_finite_with_the_same_mask(p: float) -> None:
    x = np.array([[np.inf, np.nan, 1, 2, 3], [65000, np.inf, 1, np.nan, 3]], np.float16)
    rng = RNGState(1)
    expected = [operator("dropout")(e, p, rng.copy()) for e in x]
    found = vmap(lambda e: operator("dropout")(e, p, rng), randomness="same")(x)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("inner", ["different", "same"])
@pytest.mark.parametrize("outer", ["different", "same", "error"])
def test_nested_randomness(inner: str, outer: str) -> None:
    rng = RNGState(3)

    def function(x: Any) -> Any:
        return (
            vmap(lambda y: operator("uniform")([5], rng) + y * 0, randomness=inner)(np.ones((4, 5)))
            + x * 0
        )

    both = vmap(function, randomness=outer)
    if outer == "error":
        with pytest.raises(RandomnessError):
            both(np.ones((3, 5)))
        return
    rows = both(np.ones((3, 5))).reshape(12, 5)
    expected = (4 if inner == "different" else 1) * (3 if outer == "different" else 1)
    assert len(np.unique(rows, axis=0)) == expected


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_a_random_operator_without_a_rule_loops(randomness: str) -> None:
    @gpuops.custom_op("vmap_test::noise", mutates_args=())
    def noise(x: gpuops.Array, rng: RNGState) -> gpuops.Array:
        return x + operator("uniform")(list(x.shape), rng)

    rng, alone = RNGState(3), RNGState(3)
    x = np.zeros((3, 4), np.float32)
    with pytest.warns(gpuops.PerformanceWarning, match="vmap_test::noise"):
        found = vmap(lambda x: noise(x, rng), randomness=randomness)(x)
    if randomness == "different":
        expected = [noise(e, alone) for e in x]
    else:
        expected = [noise(e, alone.copy()) for e in x]
        noise(x[0], alone)
    assert np.array_equal(found, expected)
    assert rng == alone
    noise.undo()


def test_random_operators_outside_of_a_vmap_are_not_affected() -> None:
    assert xp.sum(draw("uniform", None, RNGState(1))) > 0


@pytest.mark.parametrize("name", [n for n in NAMES if n not in (*RANDOM, "nonzero")])
def test_nested_it_is_a_loop_in_a_loop(name: str) -> None:
    cases = load_cases(f"gpuops_kernels::{name}").cases
    case = next(c for c in cases if c.build(np.random.default_rng(5))[0][0].size in range(2, 200))
    args, kwargs = case.build(np.random.default_rng(5))
    places = leaves(args)
    # The numbers that an element's mask is made of are not batched: they have shapes of their own.
    fixed = 1 if name == "dropout_apply" else len(places)
    arrays = [batch_of(batch_of(args[index], 0), 1) for index, _ in places[:fixed]]

    def function(*given: Any) -> Any:
        return operator(name)(*with_arrays(args, places[:fixed], given), **kwargs)

    found = vmap(vmap(function), 1)(*arrays)
    for i in range(3):
        for j in range(3):
            one = function(*(x[j, i] for x in arrays))
            for got, wanted in zip(
                found if isinstance(found, tuple) else (found,),
                one if isinstance(one, tuple) else (one,),
                strict=True,
            ):
                rtol, atol = case.tolerances(wanted.dtype)
                np.testing.assert_allclose(got[i, j], wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("name", ["dropout", "normal"])
def test_parts_of_a_batch_draw_the_same_numbers_too(name: str, size: int) -> None:
    x = np.ones((5, 5))

    def function(row: Any, rng: RNGState, other: RNGState) -> Any:
        first = draw(name, row, rng)
        # A second draw, and of another state.
        return first, draw(name, row, rng) + draw(name, row, other)

    def run(chunk_size: int | None) -> Any:
        states = RNGState(3), RNGState(4)
        states[1].jump(10)
        found = vmap(function, (0, None, None), randomness="same", chunk_size=chunk_size)
        return found(x, *states), states

    (first, second), states = run(size)
    (whole_first, whole_second), whole_states = run(None)
    np.testing.assert_array_equal(first, whole_first)
    np.testing.assert_array_equal(second, whole_second)
    assert (first == first[0]).all() and not (first == second).all()
    assert states == whole_states


def test_parts_that_draw_the_same_numbers_are_no_graph() -> None:
    def function(x: Any, rng: RNGState) -> Any:
        return vmap(lambda row: row + draw("uniform", row, rng), randomness="same", chunk_size=2)(x)

    x = np.ones((5, 5))
    assert gpuops.trace(function, "fake")(x[:2], RNGState(1))(x[:2], RNGState(1)).shape == (2, 5)
    with pytest.raises(VmapError, match=r"every part .* which a graph cannot say"):
        gpuops.trace(function, "fake")(x, RNGState(1))
