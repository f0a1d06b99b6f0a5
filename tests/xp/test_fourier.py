"""Fourier transforms: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuops import xp
from gpuops.xp.fourier import TRANSFORMS
from tests.xp.common import agree, arrays, axes, quick


@quick
@given(
    st.sampled_from(sorted(TRANSFORMS)),
    arrays(),
    st.one_of(st.none(), st.integers(0, 5)),
    axes,
    st.sampled_from(["backward", "ortho", "forward", "sideways"]),
)
def test_transforms(name: str, x: np.ndarray, n: Any, axis: int, norm: str) -> None:
    agree(f"fft_{name}", x, n, axis, norm)


@quick
@given(st.integers(1, 6), st.sampled_from([1.0, 0.5]))
def test_frequencies(n: int, d: float) -> None:
    agree("fft_fftfreq", n, d)
    agree("fft_rfftfreq", n, d)


@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
@quick
@given(
    arrays(
        dtypes=["float32", "float64"],
        min_dims=1,
        shape=st.lists(st.integers(2, 3), min_size=1, max_size=3).map(tuple),
    ),
    st.booleans(),
)
def test_several_axes(name: str, x: np.ndarray, some: bool) -> None:
    axes = (0,) if some else None
    expected = getattr(np.fft, name)(x, axes=axes)
    result = getattr(xp.fft, name)(x, axes=axes)
    assert (result.shape, result.dtype, result.strides) == (
        expected.shape,
        expected.dtype,
        expected.strides,
    )
    assert np.array_equal(result, expected)


@quick
@given(arrays(dtypes=["float32"], min_dims=1))
def test_shifts(x: np.ndarray) -> None:
    assert np.array_equal(xp.fft.fftshift(x), np.fft.fftshift(x))
    assert np.array_equal(xp.fft.ifftshift(xp.fft.fftshift(x)), x)
