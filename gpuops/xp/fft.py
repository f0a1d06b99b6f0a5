"""The namespace `gpuops.xp.fft`: Fourier transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpuops.xp import fourier
from gpuops.xp._releases import RFFTN_LAST_AXES_FIRST
from gpuops.xp._row import ROWS
from gpuops.xp.joining import roll

__all__ = [
    *fourier.TRANSFORMS,
    "fftfreq",
    "fftn",
    "fftshift",
    "ifftn",
    "ifftshift",
    "irfftn",
    "rfftfreq",
    "rfftn",
]

_1D = (*fourier.TRANSFORMS, "fftfreq", "rfftfreq")


def __getattr__(name: str) -> Any:
    if name not in _1D:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = ROWS[f"fft_{name}"].function
    return function


def _call(name: str) -> Callable[..., Any]:
    return ROWS[f"fft_{name}"].function


def _sizes_and_axes(
    x: Any, s: Sequence[Any] | None, axes: Sequence[int] | None, *, inverse_real: bool = False
) -> tuple[list[Any], list[int]]:
    ndim = len(x.shape)
    if axes is None:
        axes = range(ndim) if s is None else range(-len(s), 0)
    places = list(axes)
    if s is None:
        sizes: list[Any] = [x.shape[a] for a in places]
        if inverse_real and sizes:
            sizes[-1] = (sizes[-1] - 1) * 2
    else:
        sizes = [x.shape[a] if n == -1 else n for n, a in zip(s, places, strict=True)]
    return sizes, places


def fftn(
    x: Any,
    s: Sequence[Any] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Any:
    """The Fourier transform along several axes.

    Args:
        x: an array of numbers.
        s: the number of points along each of the axes; by default as many as there are.
        axes: the axes; all by default.
        norm: as for `fft`.

    Raises:
        ValueError: other numbers of sizes and axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.fft.fftn(np.ones((2, 2))).real
    array([[4., 0.],
           [0., 0.]])
    """
    return _along_axes(x, s, axes, norm, "fft")


def ifftn(
    x: Any,
    s: Sequence[Any] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Any:
    """The inverse of `fftn`.

    Args:
        x: an array of numbers.
        s: the number of points along each of the axes; by default as many as there are.
        axes: the axes; all by default.
        norm: as for `fft`.

    Raises:
        ValueError: other numbers of sizes and axes.
    """
    return _along_axes(x, s, axes, norm, "ifft")


def _along_axes(x: Any, s: Any, axes: Any, norm: str, name: str) -> Any:
    sizes, places = _sizes_and_axes(x, s, axes)
    for size, axis in reversed(list(zip(sizes, places, strict=True))):
        x = _call(name)(x, size, axis, norm)
    return x


def rfftn(
    x: Any,
    s: Sequence[Any] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Any:
    """The Fourier transform of real numbers along several axes.

    Args:
        x: an array of real numbers.
        s: the number of points along each of the axes; by default as many as there are.
        axes: the axes; all by default. Along the last of them, only the non-negative frequencies
            are in the result.
        norm: as for `fft`.

    Raises:
        ValueError: other numbers of sizes and axes.
    """
    sizes, places = _sizes_and_axes(x, s, axes)
    x = _call("rfft")(x, sizes[-1], places[-1], norm)
    others = list(zip(sizes[:-1], places[:-1], strict=True))
    for size, axis in reversed(others) if RFFTN_LAST_AXES_FIRST else others:
        x = _call("fft")(x, size, axis, norm)
    return x


def irfftn(
    x: Any,
    s: Sequence[Any] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Any:
    """The inverse of `rfftn`.

    Args:
        x: an array of numbers.
        s: the number of points of the result along each of the axes.
        axes: the axes; all by default.
        norm: as for `fft`.

    Raises:
        ValueError: other numbers of sizes and axes.
    """
    sizes, places = _sizes_and_axes(x, s, axes, inverse_real=True)
    for size, axis in zip(sizes[:-1], places[:-1], strict=True):
        x = _call("ifft")(x, size, axis, norm)
    return _call("irfft")(x, sizes[-1], places[-1], norm)


def fftshift(x: Any, axes: int | Sequence[int] | None = None) -> Any:
    """The frequency 0 moved to the middle.

    Args:
        x: an array.
        axes: the axes; all by default.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.fft.fftshift(np.asarray([0, 1, -2, -1]))
    array([-2, -1,  0,  1])
    """
    places = _places(x, axes)
    return roll.function(x, [x.shape[a] // 2 for a in places], places)


def ifftshift(x: Any, axes: int | Sequence[int] | None = None) -> Any:
    """The inverse of `fftshift`.

    Args:
        x: an array.
        axes: the axes; all by default.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.fft.ifftshift(np.asarray([-2, -1, 0, 1]))
    array([ 0,  1, -2, -1])
    """
    places = _places(x, axes)
    return roll.function(x, [-(x.shape[a] // 2) for a in places], places)


def _places(x: Any, axes: int | Sequence[int] | None) -> list[int]:
    if axes is None:
        return list(range(len(x.shape)))
    return [axes] if isinstance(axes, int) else list(axes)


def fft2(
    x: Any,
    s: Sequence[Any] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str = "backward",
) -> Any:
    """The Fourier transform along two axes; see `fftn`.

    Args:
        x: an array of numbers.
        s: the number of points along each of the axes; by default as many as there are.
        axes: the two axes.
        norm: as for `fft`.
    """
    return fftn(x, s, axes, norm)


def ifft2(
    x: Any,
    s: Sequence[Any] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str = "backward",
) -> Any:
    """The inverse of `fft2`.

    Args:
        x: an array of numbers.
        s: the number of points along each of the axes; by default as many as there are.
        axes: the two axes.
        norm: as for `fft`.
    """
    return ifftn(x, s, axes, norm)


def rfft2(
    x: Any,
    s: Sequence[Any] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str = "backward",
) -> Any:
    """The Fourier transform of real numbers along two axes; see `rfftn`.

    Args:
        x: an array of real numbers.
        s: the number of points along each of the axes; by default as many as there are.
        axes: the two axes.
        norm: as for `fft`.
    """
    return rfftn(x, s, axes, norm)


def irfft2(
    x: Any,
    s: Sequence[Any] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str = "backward",
) -> Any:
    """The inverse of `rfft2`.

    Args:
        x: an array of numbers.
        s: the number of points of the result along each of the axes.
        axes: the two axes.
        norm: as for `fft`.
    """
    return irfftn(x, s, axes, norm)
