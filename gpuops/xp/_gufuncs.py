"""Layouts of generalised ufuncs: loop axes keep the inputs' order, core axes are C-ordered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from gpuops.symbols import broadcast_shapes, require_equal
from gpuops.xp._meta import Meta, Size, minor_first, operand_strides, sorted_strides

__all__ = ["gufunc_meta", "matrix_dtypes", "same_size", "square"]


def gufunc_meta(
    operands: Sequence[tuple[Any, int]], core: Sequence[Size], dtype: np.dtype[Any]
) -> Meta:
    """One output of a generalised ufunc.

    Args:
        operands: the inputs, each with its number of core axes.
        core: the sizes of the output's core axes.
        dtype: the output's dtype.

    Raises:
        ShapeError: the loop axes cannot be broadcast together.
    """
    loops = []
    for x, count in operands:
        end = len(x.shape) - count
        loops.append(Meta(x.shape[:end], x.dtype, x.strides[:end]))
    shape = broadcast_shapes(*(loop.shape for loop in loops))
    rows = [[*operand_strides(loop, shape), *(0,) * len(core)] for loop in loops]
    full = (*shape, *core)
    order = minor_first(list(zip(*rows, strict=True)))
    return Meta(full, dtype, sorted_strides(full, dtype.itemsize, order))


def same_size(a: Size, b: Size, name: str) -> Size:
    """The size of a core axis that two operands share.

    Raises:
        ShapeError: they differ.
    """
    return require_equal(a, b, f"{name}: mismatch in the core dimension")


def square(x: Any) -> Size:
    """The size of square matrices.

    Raises:
        LinAlgError: `x` has fewer than two axes, or the last two differ.
    """
    matrices(x)
    if type(x.shape[-1]) is int and type(x.shape[-2]) is int and x.shape[-1] != x.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    return require_equal(x.shape[-2], x.shape[-1], "Last 2 dimensions of the array must be square")


def matrices(x: Any) -> tuple[Size, Size]:
    """The sizes of the last two axes.

    Raises:
        LinAlgError: `x` has fewer than two axes.
    """
    if len(x.shape) < 2:
        raise np.linalg.LinAlgError(
            f"{len(x.shape)}-dimensional array given. Array must be at least two-dimensional"
        )
    return x.shape[-2], x.shape[-1]


@lru_cache(maxsize=2048)
def matrix_dtypes(function: Callable[..., Any], *dtypes: np.dtype[Any]) -> list[np.dtype[Any]]:
    """The dtypes of what a function of matrices gives; asked of NumPy with matrices of one 1.

    Raises:
        TypeError: what NumPy raises.
    """
    with np.errstate(all="ignore"):
        out = function(*(np.ones((1, 1), dtype) for dtype in dtypes))
    return [np.asarray(item).dtype for item in (out if isinstance(out, tuple) else (out,))]
