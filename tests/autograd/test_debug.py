"""Debug mode in differentiations: writes that nobody declared are errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, GradientError, grad, vjp, xp

X = np.array([0.5, 1.0, 2.0])


@pytest.fixture
def double(ns: str) -> Any:
    @gpuops.custom_op(f"{ns}::double", mutates_args=())
    def double(x: Array, ys: list[Array]) -> tuple[Array, list[Array]]:
        return x * 2, [y * 3 for y in ys]

    return double


def loss(double: Any) -> Any:
    def f(x: Any) -> Any:
        first, rest = double(x * 1.0, [x * 1.0, X * 1.0])
        return xp.sum(first) + xp.sum(rest[0] * X)

    return f


def keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[0])


def right(ctx: Any, g: Any, gs: Any) -> Any:
    return g * 2, [gs[0] * 3, None]


def writes_to_a_gradient(ctx: Any, g: Any, gs: Any) -> Any:
    gs[0] *= 3
    return g * 2, [gs[0], None]


def writes_to_what_was_saved(ctx: Any, g: Any, gs: Any) -> Any:
    ctx.saved_arrays[0][0] = 0
    return right(ctx, g, gs)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (writes_to_a_gradient, r"wrote to the gradient of output 1, numpy.ndarray float64\[3\]"),
        (writes_to_what_was_saved, r"wrote to saved array 0, numpy.ndarray float64\[3\]"),
    ],
)
def test_what_a_formula_is_given_is_not_its_own(
    ns: str, double: Any, formula: Any, message: str
) -> None:
    double.register_autograd(right, setup_context=keep)
    with gpuops.debug():
        expected = grad(loss(double))(X)
    np.testing.assert_array_equal(expected, 2 + 3 * X)
    double.register_autograd(formula, setup_context=keep)
    with gpuops.debug(), pytest.raises(GradientError, match=message) as caught:
        grad(loss(double))(X)
    assert f"{ns}::double: backward (registered at" in str(caught.value)
    assert "which others need too: compute a new array" in str(caught.value)


@pytest.mark.parametrize("when", ["before", "after", "between"])
def test_writes_of_numpy_to_constants(when: str) -> None:
    constant = X.copy()

    def f(x: Any) -> Any:
        if when == "before":
            constant[0] = 7
        first = x * constant if when != "between" else x + constant
        if when != "before":
            constant[0] = 7
        return xp.sum(first + x * constant if when == "between" else first)

    with gpuops.debug():
        if when == "after":
            with pytest.raises(GradientError, match="xp::multiply.*modified since the call"):
                grad(f)(X)
        else:
            np.testing.assert_array_equal(grad(f)(X), constant + (when == "between"))


def test_large_arguments_are_looked_at_too() -> None:
    x = np.ones(2**20)
    with gpuops.debug():
        _, back = vjp(lambda x: x * x, x)
        x[5] = 7
        with pytest.raises(GradientError, match="modified since the call"):
            back(np.ones_like(x))
