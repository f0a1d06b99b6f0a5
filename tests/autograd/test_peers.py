"""The same functions in gpuops, HIPS/autograd and jax, in one run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpuops import grad, xp

pytest.importorskip("autograd", reason="HIPS/autograd is a peer: make bench installs it")
pytest.importorskip("jax", reason="jax is a peer: make bench installs it")

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2))
SQUARE = RNG.standard_normal((3, 3)) + 4 * np.eye(3)
POSITIVE = RNG.uniform(0.5, 2, (3, 4))
ORDER = np.array([2, 0, 0])

# np is each library's own NumPy.
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "mlp": (lambda np, a, b: np.sum(np.tanh(a @ b) ** 2), (A, B)),
    "logsumexp": (
        lambda np, a: np.sum(np.log(np.sum(np.exp(a - np.max(a, axis=1, keepdims=True)), axis=1))),
        (A,),
    ),
    "softmax": (lambda np, a: np.sum((np.exp(a) / np.sum(np.exp(a), axis=0)) ** 3), (A,)),
    "norms": (lambda np, a: np.sum(np.sqrt(np.sum(a * a, axis=1))) + np.std(a) * np.var(a), (A,)),
    "powers": (lambda np, a, b: np.sum(a**2.5 + b**a - np.log1p(a) / b), (POSITIVE, POSITIVE + 1)),
    "trigonometry": (
        lambda np, a: np.sum(np.arctan2(np.sin(a), np.cosh(a)) * np.arcsinh(a)), (A,)
    ),
    "indexing": (lambda np, a: np.sum(a[ORDER] * a[::-1, 1:2]) + a[1, 2] ** 2, (A,)),
    "shapes": (
        lambda np, a: np.sum(
            np.concatenate([np.reshape(a, (4, 3)).T, np.swapaxes(a, 0, 1).T, np.roll(a, 1)], axis=1)
            * np.tile(np.expand_dims(a[0], 0), (3, 3))
        ),
        (A,),
    ),
    "reductions": (
        lambda np, a: np.prod(a[0]) + np.max(a) * np.min(a) + np.mean(a) * np.sum(np.cumsum(a, 1)),
        (A,),
    ),
    "where": (lambda np, a, b: np.sum(np.where(a > 0, a * b, np.maximum(a, b))), (A, POSITIVE)),
    "einsum": (lambda np, a, b: np.sum(np.einsum("ij,jk->ki", a, b) ** 2), (A, B)),
    "tensordot": (lambda np, a, b: np.sum(np.tensordot(a, b, 1) ** 3), (A, B)),
    "linear_algebra": (
        lambda np, a: np.sum(np.linalg.inv(a)) * np.linalg.det(a)
        + np.sum(np.linalg.solve(a, a[0])),
        (SQUARE,),
    ),
    "cholesky": (lambda np, a: np.sum(np.linalg.cholesky(a @ a.T)), (SQUARE,)),
    "eigenvalues": (lambda np, a: np.sum(np.linalg.eigh(a + a.T)[0] ** 3), (SQUARE,)),
    "sort": (lambda np, a: np.sum(np.sort(a[0]) * POSITIVE[0]), (A,)),
    "fourier": (lambda np, a: np.sum(np.abs(np.fft.fft(a)) ** 2), (A,)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_the_peers(name: str) -> None:
    function, arrays = FUNCTIONS[name]
    every = tuple(range(len(arrays)))
    found = grad(lambda *a: function(xp, *a), every)(*arrays)
    numpy: Any = importlib.import_module("autograd.numpy")
    hips = importlib.import_module("autograd").grad
    jax = importlib.import_module("jax")
    with jax.enable_x64(True):
        of_jax = jax.grad(lambda *a: function(jax.numpy, *a), every)(*arrays)
        of_jax = [np.asarray(gradient) for gradient in of_jax]
    for index in every:
        of_hips = hips(lambda *a: function(numpy, *a), index)(*arrays)
        np.testing.assert_allclose(found[index], of_hips, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found[index], of_jax[index], rtol=1e-9, atol=1e-9)
