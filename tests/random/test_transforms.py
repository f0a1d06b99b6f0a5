"""Operators that draw, on fakes and in graphs: fakes draw nothing, graphs draw anew in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import FakeArray, FakeMode
from gpuops.random import RNGState
from gpuops_kernels import dropout, dropout_apply, normal, random_bits, uniform

X = np.linspace(1, 2, 12, dtype=np.float32).reshape(3, 4)


def test_fakes_draw_nothing() -> None:
    rng, mode = RNGState(3), FakeMode()
    with mode:
        drawn = [
            uniform([2, 3], rng),
            normal([2, 3], rng, dtype=np.float64, device="cuda:1"),
            random_bits([2, 3], rng),
            dropout(mode.from_array(X), 0.5, rng),
        ]
    assert [type(fake) for fake in drawn] == [FakeArray] * 4
    assert [str(fake.dtype) for fake in drawn] == ["float32", "float64", "uint32", "float32"]
    assert [str(fake.device) for fake in drawn] == ["cpu", "cuda:1", "cpu", "cpu"]
    # A fake tells nothing of where numbers come from: the state need not be there.
    assert dropout(FakeArray((2**30, 2**30), "float16", "cuda:7"), 0.5, rng).device == "cuda:7"
    key, offset = FakeArray((2,), "uint32"), FakeArray((1,), "uint64")
    assert dropout_apply(FakeArray((5,)), 0.5, key, offset).shape == (5,)
    assert rng == RNGState(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda rng: uniform([2], rng, dtype=np.int8), TypeError, "uniform: dtype must be"),
        (lambda rng: normal([-2], rng), ValueError, "normal: shape must have no negative"),
        (lambda rng: random_bits([-2], rng), ValueError, "random_bits: shape must have no"),
        (lambda rng: dropout(FakeArray((2,)), 2.0, rng), ValueError, "dropout: p must be"),
        (lambda rng: dropout(FakeArray((2,), "int8"), 0.1, rng), TypeError, "dropout: x must be"),
        (lambda rng: dropout_apply(FakeArray((2,)), 0.1, FakeArray((2,)), FakeArray((1,))),
         TypeError, "dropout_apply: key must be uint32"),
    ],
)  # fmt: skip
def test_fakes_refuse_what_kernels_refuse(call: Any, error: type, message: str) -> None:  # P3
    with FakeMode(), pytest.raises(error, match=message):
        call(RNGState(1))


def draws(x: Any, rng: RNGState) -> Any:
    """Three draws in a row, of which one is not used."""
    first = dropout(x, 0.5, rng)
    random_bits([5], rng)
    return first, normal([x.shape[0], 2], rng)


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_a_graph_draws_as_the_function_does(mode: str) -> None:
    traced_with = RNGState(3)
    graph = gpuops.trace(draws, tracing_mode=mode)(X, traced_with)
    if mode != "real":
        assert traced_with == RNGState(3), "tracing with fakes draws nothing"
    # The draw that is not used stays: without it the next would get other numbers.
    assert [text for text in ("dropout", "random_bits", "normal") if text in graph.code] == [
        "dropout", "random_bits", "normal",
    ]  # fmt: skip
    here, there = RNGState(8), RNGState(8)
    for _ in range(2):  # and other numbers at each replay
        for got, expected in zip(graph(X, there), draws(X, here), strict=True):
            assert np.array_equal(got, expected)
        assert here == there


def test_a_graph_goes_on_with_the_state_that_it_closes_over() -> None:
    rng = RNGState(3)
    graph = gpuops.trace(lambda x: dropout(x, 0.5, rng), tracing_mode="fake")(X)
    expected = rng.copy()
    for _ in range(3):
        assert np.array_equal(graph(X), dropout(X, 0.5, expected))
    assert rng == expected
