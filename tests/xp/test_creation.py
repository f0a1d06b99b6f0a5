"""Creation functions: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.xp.common import agree, arrays, quick

dtypes = st.one_of(
    st.none(), st.sampled_from(["bool", "int8", "float32", "complex64"]).map(np.dtype)
)
sizes = st.lists(st.integers(-1, 3), max_size=3)
orders = st.sampled_from(["C", "F", "X"])
scalars = st.one_of(st.integers(-3, 9), st.sampled_from([0.5, -1.5, 2.0, True, 1j, 300]))


@quick
@given(sizes, dtypes, orders, scalars)
def test_by_shape(shape: list[int], dtype: Any, order: str, value: Any) -> None:
    for name in ("empty", "zeros", "ones"):
        agree(name, shape, dtype, order)
    agree("full", shape, value, dtype, order)


@quick
@given(st.integers(-1, 4), st.one_of(st.none(), st.integers(0, 4)), st.integers(-2, 2), dtypes)
def test_eye(rows: int, columns: int | None, k: int, dtype: Any) -> None:
    agree("eye", rows, columns, k, dtype)


real = st.one_of(st.integers(-5, 9), st.sampled_from([0.5, -1.5, 2.0, True, 1e30, float("nan")]))


@quick
@given(real, st.one_of(st.none(), real), real, dtypes)
def test_arange(start: Any, stop: Any, step: Any, dtype: Any) -> None:
    if dtype is not None and dtype.kind == "c":
        dtype = None
    agree("arange", start, stop, step, dtype=dtype)


@quick
@given(scalars, scalars, st.integers(-1, 5), dtypes, st.booleans())
def test_linspace(start: Any, stop: Any, num: int, dtype: Any, endpoint: bool) -> None:
    agree("linspace", start, stop, num, dtype=dtype, endpoint=endpoint)


@quick
@given(arrays(max_dims=4), dtypes, scalars)
def test_like(x: np.ndarray, dtype: Any, value: Any) -> None:
    for name in ("empty_like", "zeros_like", "ones_like"):
        agree(name, x, dtype)
        agree(name, x, dtype, shape=list(x.shape[::-1]))
        agree(name, x, dtype, shape=[2, 3])
    agree("full_like", x, value, dtype)


@quick
@given(
    arrays(max_dims=4),
    dtypes,
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.sampled_from("KCFAX"),
)
def test_conversion(x: np.ndarray, dtype: Any, copy: bool, may_copy: Any, order: str) -> None:
    agree("astype", x, dtype or x.dtype, copy=copy)
    agree("asarray", x, dtype, copy=may_copy)
    agree("copy", x, order)


@quick
@given(st.lists(arrays(max_dims=2), max_size=3), st.sampled_from(["xy", "ij", "yx"]))
def test_meshgrid(operands: list[np.ndarray], indexing: str) -> None:
    agree("meshgrid", operands, indexing=indexing)


@quick
@given(arrays(max_dims=4), st.integers(-2, 2))
def test_triangles(x: np.ndarray, k: int) -> None:
    agree("tril", x, k)
    agree("triu", x, k)
