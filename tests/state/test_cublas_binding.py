"""What a handle asks of cuBLAS, with a stand-in that does what cuBLAS documents, on the host.

This shows that transposes, leading dimensions, types and scalars are right. That the library is
CuPy's and the memory a GPU's is for ``-m cuda``.
"""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuops.cuda.handles import _Cublas


def _matrix(pointer: int, rows: int, columns: int, leading: int, dtype: Any) -> np.ndarray:
    """The column-major matrix at an address, as cuBLAS reads it."""
    if leading < max(1, rows):
        raise ValueError(f"leading dimension {leading} of a matrix of {rows} rows")
    count = leading * columns
    if not count:
        return np.zeros((rows, columns), dtype)
    raw = (ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(pointer)
    return np.frombuffer(raw, dtype).reshape(columns, leading)[:, :rows].T


class HostBlas:
    """GEMM as the documentation of cuBLAS has it: C = alpha op(A) op(B) + beta C."""

    CUBLAS_OP_N, CUBLAS_OP_T = 0, 1
    CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT = 68, -1

    def __init__(self) -> None:
        self.streams: list[int] = []

    def setStream(self, context: int, stream: int) -> None:  # its name
        assert context == 17
        self.streams.append(stream)

    def _gemm(self, dtype: Any, scalar: Any, ops: Any, sizes: Any, rest: Any) -> None:
        (ta, tb), (m, n, k) = ops, sizes
        alpha, a, lda, b, ldb, beta, c, ldc = rest
        left = _matrix(a, *((k, m) if ta else (m, k)), lda, dtype)
        right = _matrix(b, *((n, k) if tb else (k, n)), ldb, dtype)
        left, right = (x.T if t else x for x, t in ((left, ta), (right, tb)))
        out = _matrix(c, m, n, ldc, dtype)
        factor, old = (float(scalar.from_address(p).value) for p in (alpha, beta))
        wide = np.promote_types(dtype, np.float32)
        result = factor * (left.astype(wide) @ right.astype(wide))
        # A beta of 0 means that C is not read: it may hold anything, also NaN.
        out[...] = result + old * out.astype(wide) if old else result

    def sgemm(self, context: int, ta: int, tb: int, m: int, n: int, k: int, *rest: int) -> None:
        self._gemm(np.float32, ctypes.c_float, (ta, tb), (m, n, k), rest)

    def dgemm(self, context: int, ta: int, tb: int, m: int, n: int, k: int, *rest: int) -> None:
        self._gemm(np.float64, ctypes.c_double, (ta, tb), (m, n, k), rest)

    def gemmEx(  # its name
        self, context: int, ta: int, tb: int, m: int, n: int, k: int, *rest: int
    ) -> None:
        alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc, compute, algorithm = rest
        assert a_type == b_type == c_type == 2  # CUDA_R_16F
        assert compute == self.CUBLAS_COMPUTE_32F and algorithm == self.CUBLAS_GEMM_DEFAULT
        given = (alpha, a, lda, b, ldb, beta, c, ldc)
        self._gemm(np.float16, ctypes.c_float, (ta, tb), (m, n, k), given)


@pytest.fixture(scope="module")
def library() -> _Cublas:
    made = _Cublas.__new__(_Cublas)
    made._set_up(_cupy(), HostBlas())
    return made


def _cupy() -> Any:
    stream = SimpleNamespace(ptr=23)
    return SimpleNamespace(cuda=SimpleNamespace(get_current_stream=lambda: stream))


def on_device(array: np.ndarray) -> Any:
    """An array as CuPy has it: no data to look at, but a pointer."""
    return SimpleNamespace(
        shape=array.shape, dtype=array.dtype, data=SimpleNamespace(ptr=array.ctypes.data)
    )


@given(
    st.tuples(*[st.integers(0, 5)] * 3),
    st.sampled_from(["float16", "float32", "float64"]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_products_are_asked_for_rightly(
    library: _Cublas, sizes: tuple[int, int, int], dtype: str, accumulate: bool, seed: int
) -> None:
    rows, inner, columns = sizes
    if not rows * columns:
        return  # `CublasHandle.product` has nothing to do then
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 5, (rows, inner)).astype(dtype)
    weight = rng.integers(-4, 5, (columns, inner)).astype(dtype)
    out = np.full((rows, columns), 3 if accumulate else np.nan, dtype)
    blas: Any = library._blas
    blas.streams.clear()
    library.product(17, on_device(x), on_device(weight), on_device(out), accumulate)
    # Small whole numbers: nothing is rounded.
    np.testing.assert_array_equal(out, x @ weight.T + (3 if accumulate else 0))
    assert blas.streams == [23], "products run on the current stream"
