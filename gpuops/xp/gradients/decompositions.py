"""Inverses, determinants, factorisations.

Source, unless another is named: M. Giles: Collected Matrix Derivative Results for Forward and
Reverse Mode Algorithmic Differentiation, 2008. Of complex matrices, the transpose is the adjoint.
"""

from __future__ import annotations

from typing import Any

from gpuops import xp
from gpuops.errors import GradientError
from gpuops.xp.gradients._rules import composed, conjugate, gradients

__all__: list[str] = []


def _adjoint(x: Any) -> Any:
    return conjugate(xp.matrix_transpose(x))


def _column(x: Any) -> Any:
    """With two axes of size 1 behind, to go with matrices."""
    return x[..., None, None]


def _inv(g: Any, out: Any) -> Any:
    adjoint = _adjoint(out)
    return -(adjoint @ g @ adjoint)


gradients("linalg_inv", x=_inv)
gradients(
    "linalg_det",
    x=lambda g, x, out: _column(g * conjugate(out)) * _adjoint(xp.linalg.inv(x)),
)


def _slogdet(g: Any, x: Any, out: Any) -> Any:
    """With t the trace of ``inv(x) dx``: d(log|det|) = real t, d(sign) = i sign imag t."""
    of_sign, of_log = g
    weight = of_log
    if x.dtype.kind == "c" and of_sign is not None:
        turned = xp.imag(conjugate(of_sign) * out[0]) * -1j
        weight = turned if of_log is None else of_log + turned
    if weight is None:
        return None
    return _column(weight) * _adjoint(xp.linalg.inv(x))


gradients("linalg_slogdet", x=_slogdet)


def _solve_2(g: Any, x1: Any, x2_ndim: int) -> Any:
    if x2_ndim == 1:
        # One vector for all matrices: the gradient has one for each.
        return xp.linalg.solve(_adjoint(x1), g[..., None])[..., 0]
    return xp.linalg.solve(_adjoint(x1), g)


def _solve_1(g: Any, x1: Any, out: Any, x2_ndim: int) -> Any:
    if x2_ndim == 1:
        g, out = g[..., None], out[..., None]
    return -(xp.linalg.solve(_adjoint(x1), g) @ _adjoint(out))


gradients("linalg_solve", x1=_solve_1, x2=_solve_2)


def _matrix_power(x: Any, n: int) -> Any:
    base = xp.linalg.inv(x) if n < 0 else x
    # Squaring: of n in binary, the powers whose digit is 1.
    found = None
    rest = abs(n)
    while rest:
        if rest & 1:
            found = base if found is None else found @ base
        rest >>= 1
        if rest:
            base = base @ base
    return x * 0 + xp.eye(x.shape[-1], dtype=x.dtype, device=x.device) if found is None else found


gradients("linalg_matrix_power", x=composed(_matrix_power))


def _lower_half(x: Any) -> Any:
    """The lower triangle, with half of the diagonal."""
    lower = xp.tril(x)
    return lower - xp.tril(xp.triu(x)) / 2


def _cholesky(g: Any, out: Any, upper: bool) -> Any:
    """Source: I. Murray: Differentiation of the Cholesky decomposition, 2016, equation 8."""
    factor, gradient = (_adjoint(out), _adjoint(g)) if upper else (out, g)
    inner = _lower_half(_adjoint(factor) @ gradient)
    inverse = xp.linalg.inv(factor)
    found = _adjoint(inverse) @ inner @ inverse
    return (found + _adjoint(found)) / 2


gradients("linalg_cholesky", x=_cholesky)


def _gaps(values: Any) -> Any:
    """``1 / (values[j] - values[i])``, zero on the diagonal."""
    difference = values[..., None, :] - values[..., :, None]
    same = xp.equal(difference, 0)
    return xp.where(same, 0, 1 / xp.where(same, 1, difference))


def _eigh(g: Any, out: Any) -> Any:
    """Eigenvectors are determined up to a factor (a phase), which must not matter to the result."""
    of_values, of_vectors = g
    values, vectors = out
    inner = None
    if of_vectors is not None:
        inner = (_adjoint(vectors) @ of_vectors) * _gaps(values)
    if of_values is not None:
        diagonal = of_values[..., None] * xp.eye(
            values.shape[-1], dtype=values.dtype, device=values.device
        )
        inner = diagonal if inner is None else inner + diagonal
    found = vectors @ inner @ _adjoint(vectors)
    return (found + _adjoint(found)) / 2


gradients("linalg_eigh", x=_eigh)


def _eigvalsh(g: Any, x: Any) -> Any:
    _, vectors = xp.linalg.eigh(x)
    return (vectors * g[..., None, :]) @ _adjoint(vectors)


gradients("linalg_eigvalsh", x=_eigvalsh)


def _svdvals(g: Any, x: Any) -> Any:
    u, _, vh = xp.linalg.svd(x, full_matrices=False)
    return (u * g[..., None, :]) @ vh


gradients("linalg_svdvals", x=_svdvals)


def _svd(g: Any, x: Any, out: Any, full_matrices: bool) -> Any:
    """Source: J. Townsend: Differentiating the Singular Value Decomposition, 2016; the term for
    the phase of complex vectors as in Z. Wan, S. Zhang: Automatic Differentiation for Complex
    Valued SVD, 2019, equation 7.
    """
    of_u, of_s, of_vh = g
    size = out[1].shape[-1]
    if full_matrices and x.shape[-2] != x.shape[-1] and (of_u is not None or of_vh is not None):
        raise GradientError(
            "xp::linalg_svd: with full_matrices=True the vectors beyond the singular values are "
            f"not determined, so those of matrices of {x.shape[-2]} x {x.shape[-1]} have no "
            "gradient: "
            "pass full_matrices=False"
        )
    u, s, vh = out
    rows, columns = x.shape[-2:]
    v = _adjoint(vh)
    squares = _gaps(s * s)
    inner = None if of_s is None else of_s[..., None] * _identity(s)
    found = None
    if of_u is not None:
        j = (_adjoint(u) @ of_u) * squares
        part = (j + _adjoint(j)) * s[..., None, :]
        inner = part if inner is None else inner + part
        if x.dtype.kind == "c":
            along = xp.imag(_adjoint(u) @ of_u) * _identity(s)
            inner = inner + along * 1j / s[..., None, :]
        if rows > size:
            rest = of_u - u @ (_adjoint(u) @ of_u)
            found = (rest / s[..., None, :]) @ vh
    if of_vh is not None:
        of_v = _adjoint(of_vh)
        k = (vh @ of_v) * squares
        part = s[..., :, None] * (k + _adjoint(k))
        inner = part if inner is None else inner + part
        if columns > size:
            rest = of_v - v @ (vh @ of_v)
            part = (u / s[..., None, :]) @ _adjoint(rest)
            found = part if found is None else found + part
    if inner is not None:
        part = u @ inner @ vh
        found = part if found is None else found + part
    return found


def _identity(s: Any) -> Any:
    return xp.eye(s.shape[-1], dtype=s.dtype, device=s.device)


gradients("linalg_svd", x=_svd)


def _qr(g: Any, x_shape: Any, out: Any, mode: str) -> Any:
    """Of matrices with at least as many rows as columns.

    Source: H.-J. Liao et al.: Differentiable Programming Tensor Networks, 2019, equation 5.
    """
    of_q, of_r = g
    q, r = out
    if x_shape[-2] < x_shape[-1] or (mode == "complete" and x_shape[-2] != x_shape[-1]):
        raise GradientError(
            f"xp::linalg_qr: with mode={mode!r}, matrices of {x_shape[-2]} x {x_shape[-1]} have no "
            "gradient: Q and R are determined with mode='reduced' and at least as many rows as "
            "columns"
        )
    m = None if of_r is None else r @ _adjoint(of_r)
    if of_q is not None:
        part = _adjoint(of_q) @ q
        m = -part if m is None else m - part
    assert m is not None
    lower = xp.tril(m, -1)
    real_diagonal = xp.real(xp.tril(xp.triu(m)))
    symmetric = lower + _adjoint(lower) + real_diagonal
    inner = q @ symmetric
    if of_q is not None:
        inner = of_q + inner
    return inner @ _adjoint(xp.linalg.inv(r))


gradients("linalg_qr", x=_qr)


def _pinv(g: Any, x: Any, out: Any) -> Any:
    """Source: G. Golub, V. Pereyra: The Differentiation of Pseudo-Inverses and Nonlinear Least
    Squares Problems Whose Variables Separate, 1973, equation 4.12.
    """
    p, ph, gh = out, _adjoint(out), _adjoint(g)
    first = -(ph @ g @ ph)
    rows = gh - x @ (p @ gh)
    columns = gh - (gh @ p) @ x
    return first + rows @ (p @ ph) + (ph @ p) @ columns


gradients("linalg_pinv", x=_pinv, rtol=None)
