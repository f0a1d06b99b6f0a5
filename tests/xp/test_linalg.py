"""Linear algebra: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.xp.common import ALL, agree, arrays, axes, laid_out, quick, shapes

pairs = ["float32", "float64", "int8", "bool", "complex64", ">f8"]


@st.composite
def factors(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays that can be multiplied as matrices, most of the time."""
    loop = draw(shapes(0, 2))
    m, k, n = (draw(st.integers(0, 3)) for _ in range(3))
    wrong = draw(st.integers(0, 9)) == 0

    def cut(loop: tuple[int, ...]) -> tuple[int, ...]:
        kept = loop[draw(st.integers(0, len(loop))) :]
        return tuple(1 if draw(st.integers(0, 4)) == 0 else size for size in kept)

    left = (*cut(loop), m, k)[-draw(st.sampled_from([1, 4, 4, 4])) :]
    right = (*cut(loop), k + wrong, n)
    if draw(st.integers(0, 3)) == 0:
        right = (k,)
    dtypes = [draw(st.sampled_from(pairs)) for _ in range(2)]
    return laid_out(left, dtypes[0], draw), laid_out(right, dtypes[1], draw)


@quick
@given(factors())
def test_matmul(operands: tuple[np.ndarray, np.ndarray]) -> None:
    agree("matmul", *operands)
    agree("dot", *operands)
    agree("outer", *operands)


@quick
@given(arrays(dtypes=pairs), arrays(dtypes=pairs))
def test_products_of_anything(x: np.ndarray, y: np.ndarray) -> None:
    agree("matmul", x, y)
    agree("dot", x, y)
    agree("vecdot", x, x)
    agree("matrix_transpose", x)


@quick
@given(arrays(dtypes=pairs, max_dims=4), axes, st.integers(0, 2), st.sampled_from(pairs))
def test_vecdot(x: np.ndarray, axis: int, dropped: int, dtype: str) -> None:
    agree(
        "vecdot",
        x,
        x[dropped % (x.shape[0] or 1)].real.astype(dtype) if x.ndim > 1 and x.size else x,
        axis,
    )
    agree("vecdot", x, x.real.astype(dtype), axis)


@quick
@given(arrays(dtypes=pairs), st.data())
def test_tensordot(x: np.ndarray, data: Any) -> None:
    first = data.draw(st.lists(st.integers(-x.ndim, x.ndim), max_size=2))
    kept = [x.shape[a] if -x.ndim <= a < x.ndim else 2 for a in first]
    shape = [*kept, *data.draw(shapes(0, 2))]
    second = list(range(len(first)))
    y = laid_out(shape, data.draw(st.sampled_from(pairs)), data.draw)
    agree("tensordot", x, y, first, second)


@st.composite
def matrices(
    draw: Any, square: bool = False, dtypes: Any = ("float32", "float64", "complex64", "int8")
) -> np.ndarray:
    """Matrices of full rank, with any layout."""
    loop = draw(shapes(0, 2))
    m = draw(st.integers(0, 3))
    n = m if square and draw(st.integers(0, 9)) else draw(st.integers(0, 3))
    shape = (*loop, m, n)[-draw(st.sampled_from([4, 4, 4, 4, 1])) :]
    x = laid_out(shape, draw(st.sampled_from(dtypes)), draw)
    if len(shape) > 1:
        x[...] = np.eye(m, n) * 3
    return x


all_dtypes = ("float32", "float64", "complex64", "int8", "float16", "bool", ">f8")


@quick
@given(matrices(square=True, dtypes=all_dtypes), st.booleans())
def test_square_matrices(x: np.ndarray, upper: bool) -> None:
    agree("linalg_inv", x)
    agree("linalg_det", x)
    agree("linalg_slogdet", x)
    agree("linalg_cholesky", x, upper=upper)
    agree("linalg_eigh", x)
    agree("linalg_eigvalsh", x)


@quick
@given(matrices(square=True), st.integers(-3, 5))
def test_matrix_power(x: np.ndarray, n: int) -> None:
    agree("linalg_matrix_power", x, n)


@quick
@given(matrices(square=True), st.data())
def test_solve(x: np.ndarray, data: Any) -> None:
    m = x.shape[-1] if x.ndim else 2
    shape = (*x.shape[:-2], m, data.draw(st.integers(0, 2)))
    shape = data.draw(st.sampled_from([shape, shape[-2:], (m,), (*shape[:-2], 2, 2), ()]))
    agree("linalg_solve", x, laid_out(shape, data.draw(st.sampled_from(["f4", "i8"])), data.draw))


@quick
@given(matrices(dtypes=all_dtypes), st.booleans(), st.sampled_from(["reduced", "complete", "x"]))
def test_rectangular_matrices(x: np.ndarray, full: bool, mode: str) -> None:
    agree("linalg_svd", x, full_matrices=full)
    agree("linalg_svdvals", x)
    agree("linalg_qr", x, mode=mode)
    agree("linalg_pinv", x)
    agree("linalg_matrix_rank", x)


@quick
@given(
    arrays(dtypes=[*ALL], max_dims=4),
    st.one_of(st.none(), st.lists(axes, min_size=1, max_size=2)),
    st.booleans(),
    st.sampled_from([2.0, 1.0, 0.0, 3.0, float("inf"), -float("inf")]),
)
def test_vector_norm(x: np.ndarray, axis: Any, keepdims: bool, ord: float) -> None:
    agree("linalg_vector_norm", x, axis, keepdims=keepdims, ord=ord)


@quick
@given(
    arrays(dtypes=["float32", "int8", "complex64", "float16"], max_dims=4),
    st.booleans(),
    st.sampled_from([None, 2.0, -2.0, 1.0, -1.0, 3.0, float("inf"), -float("inf")]),
    st.sampled_from(["fro", "nuc", "xyz"]),
)
def test_matrix_norm(x: np.ndarray, keepdims: bool, ord: Any, kind: str) -> None:
    agree("linalg_matrix_norm", x, keepdims=keepdims, ord=ord, kind=kind)


@quick
@given(arrays(), st.integers(-2, 3), axes, axes)
def test_diagonals(x: np.ndarray, offset: int, axis1: int, axis2: int) -> None:
    agree("diagonal", x, offset, axis1, axis2)
    agree("trace", x, offset, axis1, axis2)
    agree("diagonal", x)


@quick
@given(st.data(), axes)
def test_cross(data: Any, axis: int) -> None:
    shape = data.draw(shapes(0, 2))
    shape = (*shape[:1], 3, *shape[1:])
    x = laid_out(shape, data.draw(st.sampled_from(pairs)), data.draw)
    y = laid_out(
        shape[data.draw(st.integers(0, 1)) :], data.draw(st.sampled_from(pairs)), data.draw
    )
    agree("linalg_cross", x, y, axis=axis)


@quick
@given(arrays(max_dims=2), arrays(max_dims=2))
def test_outer(x: np.ndarray, y: np.ndarray) -> None:
    agree("linalg_outer", x, y)


@quick
@given(factors(), factors())
def test_matrices_and_vectors(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> None:
    agree("matvec", one[0], other[0])
    agree("vecmat", one[0], other[1])
    if one[0].ndim > 1:
        agree("matvec", one[0], one[0][..., 0, :] if one[0].shape[-2] else one[0])
        agree("vecmat", one[0][..., 0], one[0]) if one[0].shape[-1] else None
