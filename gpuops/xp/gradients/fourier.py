"""Fourier transforms: linear maps, so that the gradient is the adjoint map."""

from __future__ import annotations

from typing import Any

from gpuops import xp
from gpuops.xp._axes import axis_of
from gpuops.xp.gradients._rules import composed, gradients

__all__: list[str] = []

# The adjoint of a transform is the other one, with the scaling on the other side.
_SWAPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _fitted(x: Any, size: Any, axis: int) -> Any:
    """Cut, or filled up with zeros, to a size along an axis: the adjoint of what `n` does."""
    place = axis_of(axis, x.ndim)
    before = (slice(None),) * place
    if size <= x.shape[place]:
        return x[(*before, slice(0, size))]
    shape = (*x.shape[:place], size - x.shape[place], *x.shape[place + 1 :])
    return xp.concat([x, xp.zeros(shape, dtype=x.dtype, device=x.device)], axis=place)


def _fft(g: Any, x_shape: Any, axis: int, norm: str) -> Any:
    return _fitted(xp.fft.ifft(g, axis=axis, norm=_SWAPPED[norm]), x_shape[axis], axis)


def _ifft(g: Any, x_shape: Any, axis: int, norm: str) -> Any:
    return _fitted(xp.fft.fft(g, axis=axis, norm=_SWAPPED[norm]), x_shape[axis], axis)


def _rfft(g: Any, x_shape: Any, n: Any, axis: int, norm: str) -> Any:
    """As of the whole transform, of which the half that was not returned has no gradient."""
    size = x_shape[axis] if n is None else n
    whole = _fitted(g, size, axis)
    found = xp.real(xp.fft.ifft(whole, axis=axis, norm=_SWAPPED[norm]))
    return _fitted(found, x_shape[axis], axis)


def _irfft(g: Any, x_shape: Any, axis: int, norm: str) -> Any:
    """All but the first and, of an even number, the middle one stand for two coefficients."""
    place = axis_of(axis, g.ndim)
    size = g.shape[place]
    found = xp.fft.rfft(g, axis=axis, norm=_SWAPPED[norm])
    half = found.shape[place]
    index = xp.arange(half, device=g.device)
    single = xp.equal(index, 0) | xp.equal(index * 2, size)
    weight = xp.where(single, xp.ones_like(g, dtype=g.dtype)[(0,) * g.ndim], 2)
    shape = tuple(half if other == place else 1 for other in range(g.ndim))
    return _fitted(found * xp.reshape(weight, shape), x_shape[axis], axis)


gradients("fft_fft", x=_fft)
gradients("fft_ifft", x=_ifft)
gradients("fft_rfft", x=_rfft)
gradients("fft_irfft", x=_irfft)


def _hfft(x: Any, n: Any, axis: int, norm: str) -> Any:
    size = 2 * (x.shape[axis] - 1) if n is None else n
    return xp.fft.irfft(xp.conj(x), n=size, axis=axis, norm=_SWAPPED[norm])


def _ihfft(x: Any, n: Any, axis: int, norm: str) -> Any:
    return xp.conj(xp.fft.rfft(x, n=n, axis=axis, norm=_SWAPPED[norm]))


gradients("fft_hfft", x=composed(_hfft))
gradients("fft_ihfft", x=composed(_ihfft))
