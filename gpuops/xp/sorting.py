"""Sorting functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.xp._axes import axis_of
from gpuops.xp._meta import Meta, fresh, like
from gpuops.xp._row import row

__all__: list[str] = []


def _flat(x: Any) -> Any:
    from gpuops.xp.manipulation import ravelled

    return ravelled(x)


def _sort(
    x: Any,
    axis: int | None = -1,
    *,
    descending: bool = False,
    stable: bool = True,
    kind: Any = None,
) -> Meta:
    if axis is None:
        flat = _flat(x)
        return fresh(flat.shape, x.dtype)
    place = axis_of(axis, len(x.shape))
    result = like(x, x.dtype)
    if not descending:
        return result
    # A copy of a view from the end.
    turned = [-s if a == place else s for a, s in enumerate(result.strides)]
    return like(Meta(result.shape, x.dtype, tuple(turned)), x.dtype)


@row(
    "sort(Array x, int? axis=-1, *, bool descending=False, bool stable=True, str? kind=None) "
    "-> Array",
    fake=_sort,
)
def sort(
    xp: Any,
    x: Any,
    axis: int | None = -1,
    *,
    descending: bool = False,
    stable: bool = True,
    kind: Any = None,
) -> Any:
    """A sorted copy.

    Args:
        x: an array of numbers.
        axis: the axis to sort along; None sorts the flattened array.
        descending: the greatest first.
        stable: kept for the standard: equal elements look alike.
        kind: kept for NumPy, whose ways of sorting give the same.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.sort(np.asarray([2, 3, 1]), descending=True)
    array([3, 2, 1])
    """
    out = xp.sort(x, axis) if xp is not np else xp.sort(x, axis, stable=stable)
    if descending:
        # NumPy gives new arrays the order of axes in memory that their model has.
        out = xp.flip(out, -1 if axis is None else axis).copy(order="K")
    return out


def _argsort(
    x: Any,
    axis: int | None = -1,
    *,
    descending: bool = False,
    stable: bool = True,
    kind: Any = None,
) -> Meta:
    intp = np.dtype(np.intp)
    if axis is None:
        return fresh(_flat(x).shape, intp)
    axis_of(axis, len(x.shape) or 1)
    return fresh(x.shape or (1,), intp)


@row(
    "argsort(Array x, int? axis=-1, *, bool descending=False, bool stable=True, str? kind=None) "
    "-> Array",
    fake=_argsort,
)
def argsort(
    xp: Any,
    x: Any,
    axis: int | None = -1,
    *,
    descending: bool = False,
    stable: bool = True,
    kind: Any = None,
) -> Any:
    """The places from which the elements have to be taken to be sorted.

    Args:
        x: an array of numbers.
        axis: the axis to sort along; None sorts the flattened array.
        descending: the greatest first.
        stable: leave equal elements in their order.
        kind: kept for NumPy: its ways of sorting that are not stable may give another order.

    Returns:
        Ints of NumPy's index dtype, of the shape of `x`.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.argsort(np.asarray([2, 3, 1]))
    array([2, 0, 1])
    """
    options = {"stable": stable} if xp is np else {}
    if not descending:
        return xp.argsort(x, axis, **options)
    if axis is None:
        x, axis = x.reshape(-1), 0
    if not x.ndim:
        return xp.argsort(x, axis, **options)
    # Equal elements stay in their order if the array is sorted from its end, and read from there.
    places = xp.argsort(xp.flip(x, axis), axis, **options)
    return xp.ascontiguousarray(x.shape[axis] - 1 - xp.flip(places, axis))
