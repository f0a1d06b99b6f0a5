"""Searching, sorting and set functions: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuops.xp import searching, sets
from tests.xp.common import agree, arrays, axes, broadcastable, quick

maybe_axis = st.one_of(st.none(), axes)
several = st.one_of(st.none(), st.lists(axes, max_size=3))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@quick
@given(arrays(), maybe_axis, st.booleans())
def test_places_of_extremes(name: str, x: np.ndarray, axis: int | None, keepdims: bool) -> None:
    agree(name, x, axis, keepdims=keepdims)


@quick
@given(arrays(max_dims=4), several, st.booleans())
def test_count_nonzero(x: np.ndarray, axis: Any, keepdims: bool) -> None:
    agree("count_nonzero", x, axis, keepdims=keepdims)


@quick
@given(arrays())
def test_nonzero(x: np.ndarray) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "dynamic_size", lambda low, high: int(np.count_nonzero(x)))
        agree("nonzero", x)


@quick
@given(
    arrays(max_dims=2, dtypes=["int8", "float32"]),
    arrays(dtypes=["int64", "uint8", "bool"]),
    st.sampled_from(["left", "right", "middle"]),
)
def test_searchsorted(x: np.ndarray, y: np.ndarray, side: str) -> None:
    agree("searchsorted", np.sort(x) if x.ndim else x, y, side)
    if x.ndim == 1:
        agree("searchsorted", x, y, "left", np.argsort(x))


@quick
@given(broadcastable(3))
def test_where(operands: list[np.ndarray]) -> None:
    agree("where", *operands)


@quick
@given(broadcastable(2), st.sampled_from([1, 300, 2.5, 1j, True, 2**70]))
def test_where_with_a_number(operands: list[np.ndarray], number: Any) -> None:
    agree("where", operands[0], number, operands[1], overload="scalar_x1")
    agree("where", operands[0], operands[1], number, overload="scalar_x2")
    agree("where", operands[0], number, 0, overload="scalar_x1_x2")


@quick
@given(arrays(), maybe_axis, st.booleans())
def test_sorting(x: np.ndarray, axis: int | None, descending: bool) -> None:
    agree("sort", x, axis, descending=descending)
    agree("argsort", x, axis, descending=descending)


@given(st.lists(st.integers(0, 5), max_size=12))
def test_descending_is_stable(values: list[int]) -> None:
    from gpuops import xp

    x = np.asarray(values, dtype=np.int64)
    places = xp.argsort(x, descending=True)
    expected = sorted(range(len(values)), key=lambda i: -values[i])
    assert places.tolist() == expected
    assert xp.sort(x, descending=True).tolist() == sorted(values, reverse=True)


@pytest.mark.parametrize("name", ["unique_all", "unique_counts", "unique_inverse", "unique_values"])
@quick
@given(arrays())
def test_sets(name: str, x: np.ndarray) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "dynamic_size", lambda low, high: len(np.unique(x, equal_nan=False)))
        agree(name, x)
