"""Fourier transforms along one axis; `gpuops.xp.fft` has those along several."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gpuops.xp._axes import axis_of
from gpuops.xp._meta import Meta, Size, fresh, like
from gpuops.xp._row import Row, row

__all__ = ["TRANSFORMS"]

# Operator -> (how many points the output has for n, whether they are real, the summary).
TRANSFORMS: Final[dict[str, tuple[str, bool, str]]] = {
    "fft": ("same", False, "The discrete Fourier transform along an axis."),
    "ifft": ("same", False, "The inverse of `fft`."),
    "rfft": ("half", False, "The Fourier transform of real numbers: the non-negative frequencies."),
    "irfft": ("double", True, "The inverse of `rfft`."),
    "hfft": ("double", True, "The Fourier transform of one half of a Hermitian signal."),
    "ihfft": ("half", False, "The inverse of `hfft`."),
}

_NORMS = ("backward", "ortho", "forward")

_ARGUMENTS = """

    Args:
        x: an array of numbers.
        n: the number of points along the axis{which}; what is missing is 0. By default {default}.
        axis: the axis.
        norm: which direction is scaled by 1/n: ``"backward"``, ``"forward"``, or both by its root,
            ``"ortho"``.

    Raises:
        ValueError: fewer than 1 point, or an unknown norm.
        AxisError: there is no such axis.
    """


def _rule(name: str, points: str, real: bool) -> Any:
    def rule(x: Any, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Meta:
        if n is None:
            n = x.shape[axis]
            if points == "double":
                n = (n - 1) * 2
        if type(n) is int and n < 1:
            raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
        if norm not in _NORMS:
            raise ValueError(
                f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".'
            )
        axis = axis_of(axis, len(x.shape))
        if points == "half" and x.dtype.kind == "c":
            raise TypeError(f"{name} takes real numbers, not {x.dtype}")
        parts = np.result_type(np.empty((0,), x.dtype).real.dtype, 1.0)
        dtype = parts if real else np.result_type(x.dtype, 1j)
        shape = (*x.shape[:axis], n // 2 + 1 if points == "half" else n, *x.shape[axis + 1 :])
        return like(x, dtype, shape)

    rule.__name__ = f"_{name}"
    return rule


def _transform(name: str, points: str, real: bool, summary: str) -> Row:
    def kernel(xp: Any, x: Any, n: Any = None, axis: int = -1, norm: str = "backward") -> Any:
        return getattr(xp.fft, name)(x, n, axis, norm)

    kernel.__name__ = kernel.__qualname__ = f"fft_{name}"
    kernel.__doc__ = summary + _ARGUMENTS.format(
        which=" of the result" if points == "double" else "",
        default="twice as many as `x` has but one" if points == "double" else "as many as `x` has",
    )
    schema = 'Array x, SymInt? n=None, int axis=-1, str norm="backward"'
    return row(f"fft_{name}({schema}) -> Array", fake=_rule(name, points, real))(kernel)


for _name, (_points, _real, _summary) in TRANSFORMS.items():
    _transform(_name, _points, _real, _summary)


def _fftfreq(n: Size, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Meta:
    return fresh((n,), dtype or np.dtype(float))


def _rfftfreq(n: Size, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Meta:
    return fresh((n // 2 + 1,), dtype or np.dtype(float))


_FREQUENCIES = "(SymInt n, float d=1.0, *, dtype? dtype=None, device? device=None) -> Array"


@row(f"fft_fftfreq{_FREQUENCIES}", fake=_fftfreq)
def fft_fftfreq(xp: Any, n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of the points that `fft` gives.

    Args:
        n: the number of points.
        d: the distance of samples.
        dtype: the dtype; float64 by default.
        device: such as ``"cuda:0"``; the host by default.

    >>> from gpuops import xp
    >>> xp.fft.fftfreq(4)
    array([ 0.  ,  0.25, -0.5 , -0.25])
    """
    out = xp.fft.fftfreq(n, d)
    return out if dtype is None else out.astype(dtype)


@row(f"fft_rfftfreq{_FREQUENCIES}", fake=_rfftfreq)
def fft_rfftfreq(xp: Any, n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of the points that `rfft` gives.

    Args:
        n: the number of points of the signal.
        d: the distance of samples.
        dtype: the dtype; float64 by default.
        device: such as ``"cuda:0"``; the host by default.

    >>> from gpuops import xp
    >>> xp.fft.rfftfreq(4)
    array([0.  , 0.25, 0.5 ])
    """
    out = xp.fft.rfftfreq(n, d)
    return out if dtype is None else out.astype(dtype)
