"""NumPy's functions of tables and signals: bins, interpolation, convolution, partial sorting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import known_equal, product, require_equal, sym_max, sym_min
from gpuops.xp._axes import axis_of, result_dtype
from gpuops.xp._meta import Meta, Size, fresh, like
from gpuops.xp._releases import INTERP_OF_NOTHING_NEEDS_NO_POINTS
from gpuops.xp._row import row

__all__: list[str] = []

_INTP = np.dtype(np.intp)
_MODES = ("full", "same", "valid")


def _one_axis(x: Any, what: str) -> Size:
    if len(x.shape) != 1:
        raise ValueError(f"{what} must have one axis, not {len(x.shape)}")
    return x.shape[0]


def _digitize(x: Any, bins: Any, right: bool = False) -> Meta:
    _one_axis(bins, "bins")
    if x.dtype.kind == "c" or bins.dtype.kind == "c":
        raise TypeError("x may not be complex")
    return fresh(x.shape, _INTP)


@row("digitize(Array x, Array bins, bool right=False) -> Array", fake=_digitize)
def digitize(xp: Any, x: Any, bins: Any, right: bool = False) -> Any:
    """The number of the bin that each element is in.

    Args:
        x: an array of real numbers.
        bins: the bins' edges, in ascending or descending order, of one axis.
        right: whether a bin's right edge is in it, in place of the left one.

    Returns:
        Ints of NumPy's index dtype, of the shape of `x`.

    Raises:
        ValueError: `bins` does not have one axis.
        TypeError: complex numbers.
    """
    if bins.ndim != 1:
        raise ValueError(f"bins must have one axis, not {bins.ndim}")
    return xp.digitize(x, bins, right)


def _interp(x: Any, xs: Any, ys: Any, left: Any = None, right: Any = None) -> Meta:
    count = _one_axis(xs, "xs")
    require_equal(count, _one_axis(ys, "ys"), "fp and xp are not of the same length")
    wanted = not INTERP_OF_NOTHING_NEEDS_NO_POINTS or not known_equal(product(x.shape), 0)
    if wanted and known_equal(count, 0):
        raise ValueError("array of sample points is empty")
    return fresh(x.shape, np.dtype(complex if ys.dtype.kind == "c" else float))


@row(
    "interp(Array x, Array xs, Array ys, float? left=None, float? right=None) -> Array",
    fake=_interp,
)
def interp(xp: Any, x: Any, xs: Any, ys: Any, left: Any = None, right: Any = None) -> Any:
    """Values of a function between the points at which it is known, on straight lines.

    Args:
        x: where the function is wanted.
        xs: where it is known, in ascending order, of shape (N,).
        ys: its values there, of shape (N,).
        left: its value before the first point; by default that at the first.
        right: its value behind the last point; by default that at the last.

    Returns:
        float64 (complex128 for complex `ys`), of the shape of `x`.

    Raises:
        ValueError: other shapes, or no point.
    """
    for name, points in (("xs", xs), ("ys", ys)):
        if points.ndim != 1:
            raise ValueError(f"{name} must have one axis, not {points.ndim}")
    return xp.interp(x, xs, ys, left, right)


def _convolve(x1: Any, x2: Any, mode: str = "full") -> Meta:
    n, m = _one_axis(x1, "x1"), _one_axis(x2, "x2")
    if known_equal(n, 0) or known_equal(m, 0):
        raise ValueError("a cannot be empty")
    if mode not in _MODES:
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    longer, shorter = sym_max(n, m), sym_min(n, m)
    size = {"full": n + m - 1, "same": longer, "valid": longer - shorter + 1}[mode]
    return fresh((size,), result_dtype(x1, x2).newbyteorder("="))


@row('convolve(Array x1, Array x2, str mode="full") -> Array', fake=_convolve)
def convolve(xp: Any, x1: Any, x2: Any, mode: str = "full") -> Any:
    """The convolution of two sequences.

    Args:
        x1: of shape (N,).
        x2: of shape (M,).
        mode: ``"full"`` gives all N + M - 1 sums, ``"same"`` max(N, M) of them, ``"valid"`` those
            that both sequences overlap in wholly.

    Raises:
        ValueError: other shapes, no element, or an unknown mode.
    """
    for name, x in (("x1", x1), ("x2", x2)):
        if x.ndim != 1:
            raise ValueError(f"{name} must have one axis, not {x.ndim}")
    return xp.convolve(x1, x2, mode)


@row('correlate(Array x1, Array x2, str mode="valid") -> Array', fake=_convolve)
def correlate(xp: Any, x1: Any, x2: Any, mode: str = "valid") -> Any:
    """The cross-correlation of two sequences.

    Args:
        x1: of shape (N,).
        x2: of shape (M,); it is conjugated.
        mode: as for `convolve`.

    Raises:
        ValueError: other shapes, no element, or an unknown mode.
    """
    for name, x in (("x1", x1), ("x2", x2)):
        if x.ndim != 1:
            raise ValueError(f"{name} must have one axis, not {x.ndim}")
    return xp.correlate(x1, x2, mode)


def _partition(x: Any, kth: Sequence[int], axis: int = -1) -> Meta:
    place = axis_of(axis, len(x.shape))
    _check_places(x, kth, place)
    return like(x, x.dtype)


def _check_places(x: Any, kth: Sequence[int], axis: int) -> None:
    size = x.shape[axis]
    empty = any(type(n) is int and n == 0 for n in x.shape)
    for k in kth:
        if type(size) is int and not -size <= k < size and not empty:
            raise ValueError(f"kth(={k}) out of bounds ({size})")


@row("partition(Array x, int[] kth, int axis=-1) -> Array", fake=_partition)
def partition(xp: Any, x: Any, kth: Any, axis: int = -1) -> Any:
    """A copy in which some places hold what sorting would put there, between less and greater ones.

    Args:
        x: an array of real numbers.
        kth: the places.
        axis: the axis.

    Raises:
        ValueError: a place that the axis does not have.
        AxisError: there is no such axis.
    """
    return xp.partition(x, tuple(kth) if len(kth) != 1 else kth[0], axis)


def _diag_of(x: Any, k: int = 0) -> Meta:
    size = _one_axis(x, "x") + abs(k)
    return fresh((size, size), x.dtype)


@row("diag_of(Array x, int k=0) -> Array", fake=_diag_of)
def diag_of(xp: Any, x: Any, k: int = 0) -> Any:
    """A matrix with a vector on a diagonal and zeros elsewhere.

    Args:
        x: of shape (N,).
        k: which diagonal; 0 is the main one, positive ones are above it.

    Raises:
        ValueError: another number of axes.
    """
    if x.ndim != 1:
        raise ValueError(f"x must have one axis, not {x.ndim}")
    return xp.diag(x, k)


def _argpartition(x: Any, kth: Sequence[int], axis: int = -1) -> Meta:
    place = axis_of(axis, len(x.shape) or 1)
    if x.shape:
        _check_places(x, kth, place)
    elif any(not -1 <= k < 1 for k in kth):
        raise ValueError("kth out of bounds (1)")
    return fresh(x.shape or (1,), _INTP)


@row("argpartition(Array x, int[] kth, int axis=-1) -> Array", fake=_argpartition)
def argpartition(xp: Any, x: Any, kth: Any, axis: int = -1) -> Any:
    """The places from which the elements have to be taken to be in the order of `partition`.

    Args:
        x: an array of real numbers.
        kth: the places.
        axis: the axis.

    Returns:
        Ints of NumPy's index dtype, of the shape of `x`.

    Raises:
        ValueError: a place that the axis does not have.
        AxisError: there is no such axis.
    """
    return xp.argpartition(x, tuple(kth) if len(kth) != 1 else kth[0], axis)
