"""Decompositions, inverses and what is computed with them (the standard's extension linalg)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.symbols import sym_min
from gpuops.xp._gufuncs import gufunc_meta, matrices, matrix_dtypes, same_size, square
from gpuops.xp._meta import Meta, View, fresh, like
from gpuops.xp._reduce import reduced
from gpuops.xp._row import row
from gpuops.xp._ufuncs import ufunc_metas
from gpuops.xp.creation import tril
from gpuops.xp.products import matmul_meta, transposed

__all__: list[str] = []

_INTP = np.dtype(np.intp)


def _inexact(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that matrices of a dtype are computed in.

    Raises:
        TypeError: linear algebra has none.
    """
    return matrix_dtypes(np.linalg.inv, dtype)[0]


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.empty((0,), dtype).real.dtype


def _computed(operands: Any, core: tuple[Any, ...], dtype: np.dtype[Any]) -> Meta:
    """An output in the dtype that is asked for: NumPy computes in double precision and casts."""
    double = np.result_type(dtype, np.float64)
    meta = gufunc_meta(operands, core, double)
    return meta if dtype == double else like(meta, dtype)


# -- inverses and determinants ---------------------------------------------------------------------


def _inv(x: Any) -> Meta:
    n = square(x)
    return _computed([(x, 2)], (n, n), _inexact(x.dtype))


@row("linalg_inv(Array x) -> Array", fake=_inv)
def linalg_inv(xp: Any, x: Any) -> Any:
    """The inverses of square matrices.

    Args:
        x: an array of shape (..., M, M).

    Raises:
        LinAlgError: the matrices are not square, or one is singular.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.inv(np.asarray([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return xp.linalg.inv(x)


def _det(x: Any) -> Meta:
    square(x)
    return _computed([(x, 2)], (), _inexact(x.dtype))


@row("linalg_det(Array x) -> Array", fake=_det)
def linalg_det(xp: Any, x: Any) -> Any:
    """The determinants of square matrices.

    Args:
        x: an array of shape (..., M, M).

    Returns:
        An array of shape (...).

    Raises:
        LinAlgError: the matrices are not square.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.det(np.asarray([[2.0, 0.0], [0.0, 4.0]]))
    array(8.)
    """
    return xp.linalg.det(x)


def _slogdet(x: Any) -> tuple[Meta, Meta]:
    square(x)
    dtype = _inexact(x.dtype)
    return _computed([(x, 2)], (), dtype), _computed([(x, 2)], (), _real(dtype))


@row("linalg_slogdet(Array x) -> (Array, Array)", fake=_slogdet)
def linalg_slogdet(xp: Any, x: Any) -> Any:
    """The signs of determinants and the logarithms of their absolute values.

    Args:
        x: an array of shape (..., M, M).

    Returns:
        Two arrays of shape (...).

    Raises:
        LinAlgError: the matrices are not square.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.slogdet(np.eye(2))
    (array(1.), array(0.))
    """
    return tuple(xp.linalg.slogdet(x))


def _solve(x1: Any, x2: Any) -> Meta:
    n = square(x1)
    dtype = np.result_type(_inexact(x1.dtype), _inexact(x2.dtype))
    vector = len(x2.shape) == 1
    if not x2.shape:
        raise ValueError("solve: the right-hand side does not have enough dimensions")
    same_size(n, x2.shape[-1 if vector else -2], "solve")
    if vector:
        return _computed([(x1, 2), (x2, 1)], (n,), dtype)
    return _computed([(x1, 2), (x2, 2)], (n, x2.shape[-1]), dtype)


@row("linalg_solve(Array x1, Array x2) -> Array", fake=_solve)
def linalg_solve(xp: Any, x1: Any, x2: Any) -> Any:
    """The solutions of systems of linear equations.

    Args:
        x1: the matrices, of shape (..., M, M).
        x2: the right-hand sides, of shape (M,) or (..., M, K).

    Returns:
        An array of shape (..., M) or (..., M, K).

    Raises:
        LinAlgError: the matrices are not square, or one is singular.
        ValueError: the shapes do not go together.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.solve(np.asarray([[2.0, 0.0], [0.0, 4.0]]), np.asarray([2.0, 2.0]))
    array([1. , 0.5])
    """
    return xp.linalg.solve(x1, x2)


def _matrix_power(x: Any, n: int) -> Meta:
    square(x)
    if n == 0:
        return like(x, x.dtype)
    if n < 0:
        x, n = _inv(x), -n
    if n == 1:
        return x if type(x) is Meta else View(x.shape, x.dtype, x.strides)
    if n == 2:
        return matmul_meta(x, x)
    if n == 3:
        return matmul_meta(matmul_meta(x, x), x)
    power = result = None
    while n > 0:
        power = x if power is None else matmul_meta(power, power)
        n, bit = divmod(n, 2)
        if bit:
            result = power if result is None else matmul_meta(result, power)
    assert result is not None
    return Meta(result.shape, result.dtype, result.strides)


@row("linalg_matrix_power(Array(a) x, int n) -> Array(a)", fake=_matrix_power)
def linalg_matrix_power(xp: Any, x: Any, n: int) -> Any:
    """Square matrices multiplied by themselves.

    Args:
        x: an array of shape (..., M, M).
        n: how often; of negative numbers, the inverse is multiplied. 1 gives `x` itself.

    Raises:
        LinAlgError: the matrices are not square.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.matrix_power(np.asarray([[2.0, 0.0], [0.0, 3.0]]), 2)
    array([[4., 0.],
           [0., 9.]])
    """
    return xp.linalg.matrix_power(x, n)


# -- decompositions --------------------------------------------------------------------------------


def _cholesky(x: Any, *, upper: bool = False) -> Meta:
    return _inv(x)


@row("linalg_cholesky(Array x, *, bool upper=False) -> Array", fake=_cholesky)
def linalg_cholesky(xp: Any, x: Any, *, upper: bool = False) -> Any:
    """The Cholesky factors of positive definite matrices.

    Args:
        x: an array of shape (..., M, M), Hermitian.
        upper: give the upper factor in place of the lower one.

    Raises:
        LinAlgError: the matrices are not square, or one is not positive definite.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.cholesky(np.asarray([[4.0, 0.0], [0.0, 9.0]]))
    array([[2., 0.],
           [0., 3.]])
    """
    if xp is np:
        return np.linalg.cholesky(x, upper=upper)
    lower = xp.linalg.cholesky(x)
    return xp.conj(xp.swapaxes(lower, -1, -2)).copy() if upper else lower


def _eigh(x: Any) -> tuple[Meta, Meta]:
    n = square(x)
    dtype = _inexact(x.dtype)
    return _computed([(x, 2)], (n,), _real(dtype)), _computed([(x, 2)], (n, n), dtype)


@row("linalg_eigh(Array x) -> (Array, Array)", fake=_eigh)
def linalg_eigh(xp: Any, x: Any) -> Any:
    """The eigenvalues and eigenvectors of Hermitian matrices.

    Args:
        x: an array of shape (..., M, M); its lower triangles are used.

    Returns:
        The eigenvalues in ascending order, of shape (..., M), and the eigenvectors as columns of
        an array of shape (..., M, M).

    Raises:
        LinAlgError: the matrices are not square.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.eigh(np.asarray([[1.0, 0.0], [0.0, 4.0]]))[0]
    array([1., 4.])
    """
    return tuple(xp.linalg.eigh(x))


def _eigvalsh(x: Any) -> Meta:
    return _eigh(x)[0]


@row("linalg_eigvalsh(Array x) -> Array", fake=_eigvalsh)
def linalg_eigvalsh(xp: Any, x: Any) -> Any:
    """The eigenvalues of Hermitian matrices, in ascending order.

    Args:
        x: an array of shape (..., M, M); its lower triangles are used.

    Returns:
        An array of shape (..., M).

    Raises:
        LinAlgError: the matrices are not square.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.eigvalsh(np.asarray([[1.0, 0.0], [0.0, 4.0]]))
    array([1., 4.])
    """
    return xp.linalg.eigvalsh(x)


def svd_metas(x: Any, *, full_matrices: bool = True) -> tuple[Meta, Meta, Meta]:
    """What ``numpy.linalg.svd`` gives."""
    m, n = matrices(x)
    dtype = _inexact(x.dtype)
    k = sym_min(m, n)
    left, right = (m, n) if full_matrices else (k, k)
    operands = [(x, 2)]
    return (
        _computed(operands, (m, left), dtype),
        _computed(operands, (k,), _real(dtype)),
        _computed(operands, (right, n), dtype),
    )


def _svd(x: Any, *, full_matrices: bool = True) -> tuple[Meta, Meta, Meta]:
    return svd_metas(x, full_matrices=full_matrices)


@row("linalg_svd(Array x, *, bool full_matrices=True) -> (Array, Array, Array)", fake=_svd)
def linalg_svd(xp: Any, x: Any, *, full_matrices: bool = True) -> Any:
    """The singular value decomposition ``x = u @ diag(s) @ vh``.

    Args:
        x: an array of shape (..., M, N).
        full_matrices: give square `u` and `vh`; otherwise min(M, N) columns and rows of them.

    Returns:
        `u`, `s` in descending order, of shape (..., min(M, N)), and `vh`.

    Raises:
        LinAlgError: fewer than two axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.svd(np.asarray([[3.0, 0.0], [0.0, 2.0]]))[1]
    array([3., 2.])
    """
    return tuple(xp.linalg.svd(x, full_matrices=full_matrices))


def _svdvals(x: Any) -> Meta:
    return svd_metas(x)[1]


@row("linalg_svdvals(Array x) -> Array", fake=_svdvals)
def linalg_svdvals(xp: Any, x: Any) -> Any:
    """The singular values of matrices, in descending order.

    Args:
        x: an array of shape (..., M, N).

    Returns:
        An array of shape (..., min(M, N)).

    Raises:
        LinAlgError: fewer than two axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.svdvals(np.asarray([[3.0, 0.0], [0.0, 2.0]]))
    array([3., 2.])
    """
    return xp.linalg.svd(x, compute_uv=False)


def _qr(x: Any, *, mode: str = "reduced") -> tuple[Meta, Meta]:
    m, n = matrices(x)
    if mode not in ("reduced", "complete"):
        raise ValueError(f"Unrecognized mode {mode!r}")
    dtype = _inexact(x.dtype)
    computed = like(x, np.result_type(dtype, np.float64))
    inner = sym_min(m, n)
    if mode == "complete":
        inner = m
    tau = gufunc_meta([(computed, 2)], (sym_min(m, n),), computed.dtype)
    q = gufunc_meta([(computed, 2), (tau, 1)], (m, inner), computed.dtype)
    part = Meta((*x.shape[:-2], inner, n), computed.dtype, computed.strides)
    r = tril.fake(part)
    return tuple(meta if dtype == computed.dtype else like(meta, dtype) for meta in (q, r))  # type: ignore[return-value]


@row('linalg_qr(Array x, *, str mode="reduced") -> (Array, Array)', fake=_qr)
def linalg_qr(xp: Any, x: Any, *, mode: str = "reduced") -> Any:
    """The QR decomposition ``x = q @ r``.

    Args:
        x: an array of shape (..., M, N).
        mode: ``"reduced"`` gives `q` min(M, N) columns, ``"complete"`` gives it M.

    Returns:
        `q` with orthonormal columns, and `r`, upper triangular.

    Raises:
        LinAlgError: fewer than two axes.
        ValueError: an unknown mode.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> q, r = xp.linalg.qr(np.ones((3, 2)))
    >>> q.shape, r.shape
    ((3, 2), (2, 2))
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"Unrecognized mode {mode!r}")
    return tuple(xp.linalg.qr(x, mode=mode))


# -- what comes of the singular values -------------------------------------------------------------


def _pinv(x: Any, rtol: Any = None) -> Meta:
    m, n = matrices(x)
    if any(type(size) is int and size == 0 for size in (m, n)):
        return fresh((*x.shape[:-2], n, m), x.dtype)
    u, s, vt = svd_metas(ufunc_metas(np.conjugate, [x])[0], full_matrices=False)
    grown = Meta((*s.shape, 1), s.dtype, (*s.strides, 0))
    scaled = ufunc_metas(np.multiply, [grown, transposed(u)])[0]
    return matmul_meta(transposed(vt), scaled)


@row("linalg_pinv(Array x, Array? rtol=None) -> Array", fake=_pinv, scalars=("rtol",))
def linalg_pinv(xp: Any, x: Any, rtol: Any = None) -> Any:
    """The pseudo-inverses of matrices.

    Args:
        x: an array of shape (..., M, N).
        rtol: singular values below this part of the greatest count as 0: a number, or one for
            each matrix; by default max(M, N) times the dtype's precision.

    Returns:
        An array of shape (..., N, M).

    Raises:
        LinAlgError: fewer than two axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.pinv(np.zeros((3, 2))).shape
    (2, 3)
    """
    if x.ndim < 2:
        raise np.linalg.LinAlgError(f"{x.ndim}-dimensional array given")
    if rtol is None:
        computed = np.result_type(x.dtype, np.float32) if x.dtype.kind in "fc" else np.float64
        rtol = max(x.shape[-2:]) * float(np.finfo(computed).eps)
    return xp.linalg.pinv(x, rcond=rtol)


def _matrix_rank(x: Any, *, rtol: Any = None) -> Meta:
    matrices(x)
    values = svd_metas(x)[1]
    mask = ufunc_metas(np.greater, [values, reduced(values, [-1], True, values.dtype)])[0]
    return reduced(mask, [-1], False, _INTP)


@row(
    "linalg_matrix_rank(Array x, *, Array? rtol=None) -> Array",
    fake=_matrix_rank,
    scalars=("rtol",),
)
def linalg_matrix_rank(xp: Any, x: Any, *, rtol: Any = None) -> Any:
    """The ranks of matrices.

    Args:
        x: an array of shape (..., M, N).
        rtol: singular values below this part of the greatest count as 0: a number, or one for
            each matrix; by default max(M, N) times the dtype's precision.

    Returns:
        Ints of NumPy's index dtype, of shape (...).

    Raises:
        LinAlgError: fewer than two axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.linalg.matrix_rank(np.ones((2, 2)))
    array(1)
    """
    if x.ndim < 2:
        raise np.linalg.LinAlgError(f"{x.ndim}-dimensional array given")
    values = xp.linalg.svd(x, compute_uv=False)
    if rtol is None:
        rtol = max(x.shape[-2:]) * float(np.finfo(values.dtype).eps)
    if not values.shape[-1]:
        return xp.zeros(values.shape[:-1], dtype=np.intp)
    if hasattr(rtol, "dtype"):
        rtol = rtol[..., None]
    bound = values.max(axis=-1, keepdims=True) * rtol
    return (values > bound).sum(axis=-1, dtype=np.intp)
