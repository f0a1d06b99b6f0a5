"""Utility functions: all, any, diff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.xp._axes import axis_of
from gpuops.xp._meta import Meta
from gpuops.xp._reduce import prototype, reduced
from gpuops.xp._row import row
from gpuops.xp._ufuncs import ufunc_metas
from gpuops.xp.joining import concat_meta
from gpuops.xp.manipulation import broadcast_to_meta

__all__: list[str] = []


def _all(x: Any, axis: Sequence[int] | None = None, *, keepdims: bool = False) -> Meta:
    return reduced(x, axis, keepdims, prototype(np.all, x.dtype))


@row("all(Array x, int[]? axis=None, *, bool keepdims=False) -> Array", fake=_all)
def all(xp: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Whether all elements along axes are true (not zero).

    Args:
        x: an array.
        axis: the axes; None for all.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.all(np.asarray([[True, False], [True, True]]), axis=1)
    array([False,  True])
    """
    return xp.all(x, axis=None if axis is None else tuple(axis), keepdims=keepdims)


@row("any(Array x, int[]? axis=None, *, bool keepdims=False) -> Array", fake=_all)
def any(xp: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Whether an element along axes is true (not zero).

    Args:
        x: an array.
        axis: the axes; None for all.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.any(np.asarray([0, 3]))
    array(True)
    """
    return xp.any(x, axis=None if axis is None else tuple(axis), keepdims=keepdims)


def _diff(
    x: Any, n: int = 1, axis: int = -1, prepend: Any | None = None, append: Any | None = None
) -> Meta:
    if n == 0:
        return Meta(x.shape, x.dtype, x.strides)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    if not x.shape:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = axis_of(axis, len(x.shape))
    parts = []
    for part in (prepend, x, append):
        if part is None:
            continue
        if part is not x and not part.shape:
            one = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
            part = broadcast_to_meta(part, one)
        parts.append(part)
    result = concat_meta(parts, axis, None) if len(parts) > 1 else x
    ufunc = np.not_equal if result.dtype == np.dtype(bool) else np.subtract
    for _ in range(n):
        size = result.shape[axis]
        size = size - 1 if type(size) is not int or size else 0
        shape = (*result.shape[:axis], size, *result.shape[axis + 1 :])
        part = Meta(shape, result.dtype, result.strides)
        result = ufunc_metas(ufunc, [part, part])[0]
    return result


@row(
    "diff(Array(a) x, int n=1, int axis=-1, Array? prepend=None, Array? append=None) -> Array(a)",
    fake=_diff,
)
def diff(
    xp: Any, x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None
) -> Any:
    """The differences of neighbours along an axis.

    Args:
        x: an array of at least one axis.
        n: how often differences are taken; 0 gives `x` itself.
        axis: the axis.
        prepend: what is put before the elements of `x` first.
        append: what is put behind them.

    Raises:
        ValueError: `x` has no axes, or `n` is negative.
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.diff(np.asarray([1, 4, 9]))
    array([3, 5])
    """
    ends = {
        name: value
        for name, value in (("prepend", prepend), ("append", append))
        if value is not None
    }
    return xp.diff(x, n, axis, **ends)
