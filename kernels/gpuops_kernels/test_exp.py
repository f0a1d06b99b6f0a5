"""The error bounds that the exponentials promise, in units in the last place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

from gpuops_kernels._exp import exp32, exp32_below_0, exp64, logistic, order, unorder

LEAST_NORMAL = float(np.finfo(np.float32).tiny)


@njit
def _each32(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = exp32(x[i])


@njit
def _each32_below_0(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = exp32_below_0(x[i])


@njit
def _each64(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = exp64(x[i])


@njit
def _each_logistic(x: Any, share: Any, rest: Any) -> None:
    for i in range(x.size):
        share[i], rest[i] = logistic(x[i])


def every_float32(step: int) -> np.ndarray:
    """Every `step`-th float32 there is, by its bits, nan left out."""
    x = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    return x[~np.isnan(x)]


def ulps(got: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The errors in units in the last place of the rounded exact results."""
    unit = np.spacing(exact.astype(got.dtype)).astype(exact.dtype)
    return np.abs(got.astype(exact.dtype) - exact) / unit


# A prime, so that the samples fall on all kinds of last digits; 21 million numbers.
SAMPLES = every_float32(211)


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_exp32_over_the_whole_range() -> None:
    got = np.empty_like(SAMPLES)
    _each32(SAMPLES, got)
    exact = np.exp(SAMPLES.astype(np.float64))
    overflows = exact.astype(np.float32) == np.inf
    assert (got[overflows] == np.inf).all() and np.isfinite(got[~overflows]).all()
    normal = ~overflows & (exact >= LEAST_NORMAL)
    assert ulps(got[normal], exact[normal]).max() < 1.1
    subnormal = exact < LEAST_NORMAL
    assert ulps(got[subnormal], exact[subnormal]).max() < 1.5


def test_exp32_below_0_over_the_whole_range() -> None:
    x = SAMPLES[SAMPLES <= 0]
    got = np.empty_like(x)
    _each32_below_0(x, got)
    exact = np.exp(x.astype(np.float64))
    normal = x >= np.float32(-87.3365)
    assert ulps(got[normal], exact[normal]).max() < 1.1
    assert (got[~normal] == 0).all()
    assert exact[~normal].max() < LEAST_NORMAL


@pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 60, reason="long double is no wider than double here"
)
def test_exp64() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.uniform(-746, 709.78, 2_000_000), rng.uniform(-1, 1, 1_000_000), [-0.0, 709.782712893]]
    )
    got = np.empty_like(x)
    _each64(x, got)
    exact = np.exp(x.astype(np.longdouble))
    normal = exact >= np.finfo(np.float64).tiny
    assert ulps(got[normal], exact[normal]).max() < 1.1
    assert ulps(got[~normal], exact[~normal]).max() < 1.5


@pytest.mark.parametrize(("loop", "dtype"), [(_each32, "float32"), (_each64, "float64")])
def test_special_values(loop: Any, dtype: str) -> None:
    x = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30], dtype)
    got = np.empty_like(x)
    loop(x, got)
    np.testing.assert_array_equal(got, [np.nan, np.nan, np.inf, 0, 1, 1, np.inf, 0])


def test_below_0_keeps_every_nan() -> None:
    bits = np.array([0x7FC00000, 0x7F800001, 0xFFC12345, 0x7FFFFFFF], np.uint32)
    got = np.empty(4, np.float32)
    _each32_below_0(bits.view(np.float32), got)
    assert np.isnan(got).all()


def _check_logistic(x: np.ndarray, wide: Any) -> None:
    share, rest = np.empty_like(x), np.empty_like(x)
    _each_logistic(x, share, rest)
    least = np.finfo(x.dtype).tiny
    for got, argument in ((share, x), (rest, -x)):
        # Of the function's two forms, the one that does not overflow.
        small = np.exp(-np.abs(argument.astype(wide)))
        exact = np.where(argument < 0, small, 1) / (1 + small)
        normal = exact >= least
        assert ulps(got[normal], exact[normal]).max() < 2.5
        assert ulps(got[~normal], exact[~normal]).max() < 1.5


def test_logistic32_over_the_whole_range() -> None:
    near = np.linspace(-105, 105, 2_000_001, dtype=np.float32)
    _check_logistic(np.concatenate([SAMPLES[::16], near]), np.float64)


@pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 60, reason="long double is no wider than double here"
)
def test_logistic64() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-750, 750, 500_000), rng.uniform(-1, 1, 500_000), [1e300]])
    _check_logistic(x, np.longdouble)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logistic_of_special_values(dtype: str) -> None:
    x = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e38, -1e38], dtype)
    share, rest = np.empty_like(x), np.empty_like(x)
    _each_logistic(x, share, rest)
    np.testing.assert_array_equal(share[2:], [1, 0, 0.5, 0.5, 1, 0])
    np.testing.assert_array_equal(rest[2:], [0, 1, 0.5, 0.5, 0, 1])
    # Of nan, a product with it is what has to be nan.
    assert np.isnan(share[:2] * x[:2]).all()


def test_logistic_outside_of_compiled_code() -> None:
    share, rest = logistic(np.float64(0.5))
    assert share == pytest.approx(1 / (1 + np.exp(-0.5))) and share + rest == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_logistic_loop_is_vector_code(dtype: str) -> None:
    arrays = [np.zeros(4, dtype) for _ in range(3)]
    _each_logistic(*arrays)
    known = _each_logistic.inspect_llvm().items()
    (text,) = (code for key, code in known if key[0].dtype.name == dtype)
    assert f"x {'float' if dtype == 'float32' else 'double'}>" in text
    assert "expf" not in text and "@exp(" not in text and "llvm.exp" not in text


@pytest.mark.parametrize(("loop", "dtype"), [(_each32, "float32"), (_each64, "float64")])
def test_the_loops_are_vector_code(loop: Any, dtype: str) -> None:
    """No call in the loop, and more than one element at a time."""
    loop(np.zeros(4, dtype), np.zeros(4, dtype))
    (text,) = (code for key, code in loop.inspect_llvm().items() if key[0].dtype.name == dtype)
    letter, wide = ("float", "4 x float") if dtype == "float32" else ("double", "2 x double")
    assert f"x {letter}>" in text, f"expected vectors of at least <{wide}>"
    assert "expf" not in text and "@exp(" not in text and "llvm.exp" not in text


@njit
def _there_and_back(x: Any, k: Any, out: Any) -> None:
    for i in range(x.size):
        k[i] = order(x[i])
        out[i] = unorder(order(x[i]))


@pytest.mark.parametrize(("dtype", "whole"), [("float32", "int32"), ("float64", "int64")])
def test_order(dtype: str, whole: str) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([-np.inf, -1e30, -1, -tiny, -0.0, 0.0, tiny, 1, 1e30, np.inf, np.nan], dtype)
    k, back = np.empty(x.size, whole), np.empty_like(x)
    _there_and_back(x, k, back)
    assert (np.diff(k) > 0).all()
    np.testing.assert_array_equal(back, x)
    with pytest.raises(NotImplementedError, match="compiled code only"):
        order(1.0)
