"""Every differentiable operator of ``xp::`` against finite differences, once and twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuops import gradcheck, gradgradcheck
from gpuops.formulas import AUTOGRAD
from gpuops.transforms.autograd.rules import Rules
from gpuops.transforms.providers import find_rule
from gpuops.xp import ROWS
from tests.autograd.xp_samples import CASES, SAMPLES

SHAPES = st.lists(st.integers(1, 2), max_size=2).map(tuple)

# Why an operator has no gradient. Results of integers and bools are constants anyway.
WITHOUT = {
    "integers or bools": """argmax argmin count_nonzero nonzero searchsorted bitwise_count
        bitwise_invert isfinite isinf isnan isnat logical_not signbit bitwise_and
        bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor equal gcd greater
        greater_equal lcm less less_equal logical_and logical_or logical_xor not_equal isin isclose
        linalg_matrix_rank argsort all any digitize argpartition nanargmax nanargmin""",
    "no array is given": "empty zeros ones full eye arange linspace fft_fftfreq fft_rfftfreq",
    "steps of the number format": "spacing nextafter",
    "which elements are counted changes in jumps": """histogram unique_all unique_counts
        unique_inverse unique_values""",
}


def test_each_operator_has_samples_or_a_reason() -> None:
    without = {name for names in WITHOUT.values() for name in names.split()}
    assert without.isdisjoint(SAMPLES)
    assert without | set(SAMPLES) == set(ROWS)
    for name in SAMPLES:
        entry = find_rule(ROWS[name].operator, AUTOGRAD)
        assert entry is not None, name
        assert isinstance(entry.value, Rules)
        arrays = {p.name for p in ROWS[name].operator.schema.array_parameters}
        assert set(entry.value.rules) <= arrays, name


# Inputs that have no gradient beside others that do: always integers or bools.
@pytest.mark.parametrize("name", SAMPLES)
def test_rules_are_for_all_inputs_but_indices(name: str) -> None:
    entry = find_rule(ROWS[name].operator, AUTOGRAD)
    assert entry is not None
    arrays = {p.name for p in ROWS[name].operator.schema.array_parameters}
    indices = (
        {"condition", "conditions", "indices", "arrays", "repeats"} if name != "stack" else set()
    )
    if name in ("bincount", "choose", "ldexp"):
        indices |= {"x", "x2"}
    assert arrays - set(entry.value.rules) <= indices


def _build(name: str, index: int, shape: tuple[int, ...], seed: int) -> Any:
    return SAMPLES[name][index](np.random.default_rng(seed), shape)


@pytest.mark.parametrize(("name", "index"), CASES)
@settings(max_examples=3, deadline=None, derandomize=True)
@given(shape=SHAPES, seed=st.integers(0, 99))
def test_gradients(name: str, index: int, shape: tuple[int, ...], seed: int) -> None:
    function, arrays = _build(name, index, shape, seed)
    assert gradcheck(function, arrays)


# Scaled by a function of the input, so that the gradients of linear operators depend on it.
@pytest.mark.parametrize(("name", "index"), CASES)
def test_second_gradients(name: str, index: int) -> None:
    function, arrays = _build(name, index, (2,), 7)
    assert gradgradcheck(function, arrays, atol=1e-4)
