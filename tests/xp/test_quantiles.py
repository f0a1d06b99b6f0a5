"""Medians and quantiles: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.xp.common import agree, arrays, axes, laid_out, quick

some_axes = st.one_of(st.none(), st.lists(axes, max_size=3))
METHODS = ["linear", "lower", "higher", "nearest", "midpoint", "hazen", "inverted_cdf", "sideways"]
METHODS += ["averaged_inverted_cdf", "closest_observation", "weibull", "median_unbiased"]


@quick
@given(arrays(max_dims=4), some_axes, st.booleans())
def test_median(x: np.ndarray, axis: Any, keepdims: bool) -> None:
    agree("median", x, axis, keepdims=keepdims)


@quick
@given(
    arrays(dtypes=["float32", "float64", "float16", "int8", "int64", "bool", "complex64", ">f8"]),
    some_axes,
    st.booleans(),
    st.sampled_from(METHODS),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(["float32", "float64"]),
    st.data(),
)
def test_quantile(
    x: np.ndarray,
    axis: Any,
    keepdims: bool,
    method: str,
    shape: list[int],
    dtype: str,
    data: Any,
) -> None:
    q = np.asarray(laid_out(shape, dtype, data.draw) / 8)
    options = {"keepdims": keepdims, "method": method}
    agree("quantile", x, q, axis, **options)
    agree("quantile", x, 0.3, axis, overload="scalar_q", **options)
