"""Reductions: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xp.common import agree, arrays, axes, quick

reduced_axes = st.one_of(st.none(), st.lists(axes, max_size=3))
dtypes = st.one_of(st.none(), st.sampled_from([np.dtype("float32"), np.dtype("int16")]))


@pytest.mark.parametrize("name", ["sum", "prod", "mean"])
@quick
@given(arrays(max_dims=4), reduced_axes, st.booleans(), dtypes)
def test_sums(name: str, x: np.ndarray, axis, keepdims: bool, dtype) -> None:
    agree(name, x, axis, dtype, keepdims=keepdims)


@pytest.mark.parametrize("name", ["max", "min", "all", "any"])
@quick
@given(arrays(max_dims=4), reduced_axes, st.booleans())
def test_choices(name: str, x: np.ndarray, axis, keepdims: bool) -> None:
    agree(name, x, axis, keepdims=keepdims)


@pytest.mark.parametrize("name", ["var", "std"])
@quick
@given(arrays(max_dims=4), reduced_axes, st.booleans(), st.integers(0, 1))
def test_moments(name: str, x: np.ndarray, axis, keepdims: bool, correction: int) -> None:
    agree(name, x, axis, None, keepdims=keepdims, correction=float(correction))


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
@quick
@given(arrays(), st.one_of(st.none(), axes), st.booleans(), dtypes)
def test_cumulative(name: str, x: np.ndarray, axis, initial: bool, dtype) -> None:
    agree(name, x, axis, include_initial=initial, dtype=dtype)


@quick
@given(arrays(), st.one_of(st.none(), axes), dtypes)
def test_numpys_cumulative(x: np.ndarray, axis, dtype) -> None:
    agree("cumsum", x, axis, dtype)
    agree("cumprod", x, axis, dtype)
