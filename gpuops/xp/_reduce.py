"""Layouts and dtypes of reductions over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from gpuops.xp._axes import axes_of, without
from gpuops.xp._meta import Meta, dense, minor_first, operand_strides, sorted_strides

__all__ = ["prototype", "reduced", "refuse_empty"]


@lru_cache(maxsize=4096)
def prototype(
    function: Callable[..., Any], given: np.dtype[Any], /, **options: Any
) -> np.dtype[Any]:
    """The dtype of what a NumPy function gives for one zero of a dtype; asked of NumPy itself.

    Raises:
        TypeError: what NumPy raises.
    """
    with np.errstate(all="ignore"):
        found: np.dtype[Any] = np.asarray(function(np.zeros((1,), given), **options)).dtype
    return found


def reduced(x: Any, axes: Sequence[int] | None, keepdims: bool, dtype: np.dtype[Any]) -> Meta:
    """A reduction by a ufunc: the remaining axes keep the order that they have in memory.

    Raises:
        AxisError: there is no such axis.
        ValueError: one comes twice.
    """
    ndim = len(x.shape)
    gone = frozenset(axes_of(axes, ndim))
    shape = tuple(1 if axis in gone else size for axis, size in enumerate(x.shape))
    if len(gone) == ndim:
        return Meta(shape, dtype, dense(shape, dtype.itemsize)) if keepdims else Meta((), dtype, ())
    order = minor_first([(stride,) for stride in operand_strides(x, x.shape)])
    strides = sorted_strides(shape, dtype.itemsize, order)
    if keepdims:
        return Meta(shape, dtype, strides)
    return Meta(without(shape, gone), dtype, without(strides, gone))


def refuse_empty(x: Any, axes: Sequence[int] | None, what: str) -> None:
    """Refuse to reduce no elements with a function that has no identity.

    Raises:
        ValueError: one of the axes has no element.
    """
    for axis in axes_of(axes, len(x.shape)):
        if type(x.shape[axis]) is int and x.shape[axis] == 0:
            raise ValueError(f"zero-size array to reduction operation {what} which has no identity")
