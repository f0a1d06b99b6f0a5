"""The namespace `gpuops.xp.linalg`: the standard's extension for linear algebra."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from gpuops.xp import decompositions, norms, products
from gpuops.xp._row import ROWS
from gpuops.xp.norms import linalg_diagonal as diagonal
from gpuops.xp.norms import linalg_trace as trace
from gpuops.xp.norms import matrix_norm as matrix_norm
from gpuops.xp.products import tensordot_axes as tensordot

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

_SHARED = ("matmul", "matrix_transpose", "vecdot")
_CHAPTERS = (decompositions, norms, products)  # imported for their rows

EighResult = namedtuple("EighResult", ["eigenvalues", "eigenvectors"])
QRResult = namedtuple("QRResult", ["Q", "R"])
SlogdetResult = namedtuple("SlogdetResult", ["sign", "logabsdet"])
SVDResult = namedtuple("SVDResult", ["U", "S", "Vh"])


def __getattr__(name: str) -> Any:
    row = ROWS.get(name if name in _SHARED else f"linalg_{name}")
    if row is None or name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = row.function
    return function


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """NumPy's norm of vectors or matrices; the standard has `vector_norm` and `matrix_norm`.

    Args:
        x: an array of numbers.
        ord: which norm; None for the Euclidean one (Frobenius).
        axis: one axis for vectors, two for matrices; None for all.
        keepdims: leave the axes in the result with size 1.

    Raises:
        ValueError: no such norm.
    """
    from gpuops.xp import shorthands  # it needs the rows of all chapters

    return shorthands.norm(x, ord, axis, keepdims)


def eigh(x: Any) -> EighResult:
    """The eigenvalues and eigenvectors of Hermitian matrices.

    Args:
        x: an array of shape (..., M, M); its lower triangles are used.

    Returns:
        A named tuple: `eigenvalues` in ascending order, of shape (..., M), and `eigenvectors` as
        columns of an array of shape (..., M, M).

    Raises:
        LinAlgError: the matrices are not square.
    """
    return EighResult(*decompositions.linalg_eigh.function(x))


def qr(x: Any, *, mode: str = "reduced") -> QRResult:
    """The QR decomposition ``x = q @ r``.

    Args:
        x: an array of shape (..., M, N).
        mode: ``"reduced"`` gives `Q` min(M, N) columns, ``"complete"`` gives it M.

    Returns:
        A named tuple: `Q` with orthonormal columns, and `R`, upper triangular.

    Raises:
        LinAlgError: fewer than two axes.
        ValueError: an unknown mode.
    """
    return QRResult(*decompositions.linalg_qr.function(x, mode=mode))


def slogdet(x: Any) -> SlogdetResult:
    """The signs of determinants and the logarithms of their absolute values.

    Args:
        x: an array of shape (..., M, M).

    Returns:
        A named tuple: `sign` and `logabsdet`, both of shape (...).

    Raises:
        LinAlgError: the matrices are not square.
    """
    return SlogdetResult(*decompositions.linalg_slogdet.function(x))


def svd(x: Any, *, full_matrices: bool = True) -> SVDResult:
    """The singular value decomposition ``x = u @ diag(s) @ vh``.

    Args:
        x: an array of shape (..., M, N).
        full_matrices: give square `U` and `Vh`; otherwise min(M, N) columns and rows of them.

    Returns:
        A named tuple: `U`, `S` in descending order, of shape (..., min(M, N)), and `Vh`.

    Raises:
        LinAlgError: fewer than two axes.
    """
    return SVDResult(*decompositions.linalg_svd.function(x, full_matrices=full_matrices))
