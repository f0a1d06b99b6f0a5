"""`gradcheck` and `gradgradcheck`: they refuse planted errors, each with its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, GradcheckError, UsageError, gradcheck, gradgradcheck, xp

X = np.array([0.5, 1.5, -2.5])


@pytest.fixture
def planted(ns: str) -> Any:
    """An operator x**3 with a formula of one's own."""

    @gpuops.custom_op(f"{ns}::cube", mutates_args=())
    def cube(x: Array) -> Array:
        return np.asarray(x**3)

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    def plant(formula: Any) -> Any:
        def backward(ctx: Any, g: Any) -> Any:
            return formula(g, *ctx.saved_arrays)

        cube.register_autograd(backward, setup_context=setup)
        return cube

    return plant


def test_a_right_formula_passes(planted: Any) -> None:
    cube = planted(lambda g, x: g * 3 * x * x)
    assert gradcheck(cube, X)
    assert gradcheck(cube, (X,), raise_exception=False)
    assert gradgradcheck(cube, X)
    assert gradgradcheck(cube, X, np.ones(3))


@pytest.mark.parametrize(
    "formula",
    [
        lambda g, x: g * 2 * x * x,
        lambda g, x: -g * 3 * x * x,
        lambda g, x: 3 * x * x,
        lambda g, x: g * 3 * x,
        lambda g, x: None,
        lambda g, x: g * 3 * x * x + np.array([0, 0, 1e-2]),
        lambda g, x: g[::-1] * 3 * x * x,
        lambda g, x: g * np.nan,
    ],
)
def test_wrong_formulas_are_refused(planted: Any, formula: Any) -> None:
    cube = planted(formula)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(cube, X)
    text = str(caught.value)
    assert (
        "the gradient of cube with respect to input 0 (numpy.ndarray float64[3]) is wrong" in text
    )
    assert "numerical" in text and "analytical" in text
    assert not gradcheck(cube, X, raise_exception=False)


def test_the_element_is_named(planted: Any) -> None:
    cube = planted(lambda g, x: g * 3 * x * x + np.array([0, 0, 1e-2]))
    with pytest.raises(GradcheckError, match=r"at element \(2,\)"):
        gradcheck(cube, X)
    assert gradcheck(cube, X, atol=0.1)


def test_a_formula_that_is_right_once_only(planted: Any) -> None:
    """Its gradient is a constant to the second pass."""
    cube = planted(lambda g, x: g * gpuops.stop_gradient(3 * x * x))
    assert gradcheck(cube, X)
    with pytest.raises(GradcheckError):
        gradgradcheck(cube, X)


def test_one_that_is_not_reproducible(planted: Any) -> None:
    calls: list[int] = []
    cube = planted(lambda g, x: calls.append(1) or g * 3 * x * x * (1 + 1e-9 * len(calls)))
    with pytest.raises(GradcheckError, match="not reproducible: two reverse passes differ"):
        gradcheck(cube, X)


def test_a_wrong_conjugate_is_found() -> None:
    z = X + 1j
    assert gradcheck(lambda z: z * z, z)

    def right(z: Any) -> Any:
        return xp.real(z * xp.conj(z)), xp.imag(z)

    assert gradcheck(right, z)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradcheck(xp.sin, np.arange(3)), "at least one floating-point or complex array"),
        (lambda: gradcheck(xp.sin, ()), "among the inputs, got none"),
        (lambda: gradcheck(xp.sin, X.astype(np.float32)), "input 0 is float32; finite differences"),
        (lambda: gradcheck(lambda x: 3, X), "must return arrays, got int 3"),
        (lambda: gradgradcheck(lambda x: 3, X), "gradgradcheck: .* must return arrays, got int 3"),
        (lambda: gradcheck(3, X), "gradcheck takes a function, got int 3"),
        (lambda: gradgradcheck(3, X), "gradgradcheck takes a function, got int 3"),
        (lambda: gradgradcheck(xp.sin, ()), "gradgradcheck: .*among the inputs, got none"),
        (lambda: gradcheck(xp.sin, X, eps=0), "eps must be above 0, got 0"),
        (lambda: gradgradcheck(xp.sin, X, X[:2]), r"grad_outputs .* shapes .*\[3\]; got .*\[2\]"),
        (
            lambda: gradcheck(lambda d: d["a"], {"a": X.astype(np.float32)}),
            r"input 0\['a'\] is float32",
        ),
    ],
)
def test_what_cannot_be_checked(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_other_arguments_and_several_outputs() -> None:
    def f(x: Any, n: int, y: Any, order: Any) -> Any:
        return {"a": x * n + y, "b": [xp.take(y, order), xp.argsort(y)]}

    assert gradcheck(f, (X, 3, X * 2, np.array([2, 0])))
    assert gradgradcheck(lambda x, n: x**n, (X, 3))


def test_pytrees_of_arrays() -> None:
    def f(weights: Any, x: Any) -> Any:
        return weights["a"][0] * x + weights["b"] * weights["n"]

    given = {"a": [X, None], "b": X * 2, "n": 3}
    assert gradcheck(f, (given, X))
    assert gradgradcheck(f, (given, X))
    assert gradcheck(lambda weights: f(weights, X), given)

    def wrong(weights: Any) -> Any:
        return gpuops.stop_gradient(weights["a"][0]) * weights["b"]

    with pytest.raises(GradcheckError, match=r"with respect to input 0\['a'\]\[0\] \(numpy.nd"):
        gradcheck(wrong, given)
    with pytest.raises(GradcheckError, match=r"with respect to input \d+ \(numpy.ndarray"):
        gradgradcheck(lambda w: gpuops.stop_gradient(w["b"]) * w["b"], given)


@pytest.mark.parametrize(
    ("formula", "first", "second"),
    [
        (lambda g, x: g * 3 * x * abs(x), False, True),  # wrong for negative numbers only
        (lambda g, x: gpuops.stop_gradient(g) * 3 * x * x, True, False),
        (lambda g, x: g * 3 * gpuops.stop_gradient(x) * x, True, False),
        # Steps, the gradient of which is 0 as it should be.
        (lambda g, x: xp.astype(g * 3 * x * x, np.int64), False, True),
        # Cast to the input's dtype, and no worse than finite differences are.
        (lambda g, x: xp.astype(g * 3 * x * x, np.float32), True, False),
    ],
)
def test_what_each_check_finds(planted: Any, formula: Any, first: bool, second: bool) -> None:
    cube = planted(formula)
    assert gradcheck(cube, X, raise_exception=False) is first
    assert gradgradcheck(cube, X, raise_exception=False) is second


def test_functions_that_return_numpys_scalars() -> None:
    assert gradgradcheck(lambda x: np.sum(x * x * x), X)
