"""Norms, diagonals, traces."""

from __future__ import annotations

import math
from typing import Any

from gpuops import xp
from gpuops.xp._axes import axis_of
from gpuops.xp.gradients._rules import (
    composed,
    conjugate,
    dividing,
    gradients,
    masked,
    restore_axes,
)
from gpuops.xp.gradients.indexing import put_at

__all__: list[str] = []


def _vector_norm(g: Any, x: Any, out: Any, axis: Any, keepdims: bool, ord: float) -> Any:
    """By d|x| = sign(x) for the order p: ``(|x| / norm)**(p - 1) sign(x)``; zero at zero."""
    g = restore_axes(g, x.shape, axis, keepdims)
    norm = restore_axes(out, x.shape, axis, keepdims)
    if ord == 0:
        return None
    if ord == 1:
        return g * xp.sign(x)
    if ord == 2:
        return g * (x / dividing(norm))
    magnitude = xp.abs(x)
    if math.isinf(ord):
        chosen = xp.equal(magnitude, norm)
        places = None if axis is None else tuple(axis)
        number = xp.sum(xp.astype(chosen, norm.dtype), axis=places, keepdims=True)
        return masked(chosen, g / dividing(number)) * xp.sign(x)
    present = xp.not_equal(x, 0)
    share = xp.where(present, magnitude, 1) / dividing(norm)
    return masked(present, g * xp.pow(share, ord - 1) * xp.sign(x))


gradients("linalg_vector_norm", x=_vector_norm)


def _matrix_norm(x: Any, keepdims: bool, ord: float | None, kind: str) -> Any:
    """The norm as a composition of operators with gradients."""
    if ord is None and kind == "fro":
        out = xp.sqrt(xp.sum(xp.real(x * conjugate(x)), axis=(-2, -1)))
    elif ord is None:
        out = xp.sum(xp.linalg.svdvals(x), axis=-1)
    elif abs(ord) == 2:
        out = xp.linalg.svdvals(x)[..., 0 if ord > 0 else -1]
    else:
        sums = xp.sum(xp.abs(x), axis=-2 if abs(ord) == 1 else -1)
        out = xp.max(sums, axis=-1) if ord > 0 else xp.min(sums, axis=-1)
    return xp.expand_dims(out, (-2, -1)) if keepdims else out


gradients("linalg_matrix_norm", x=composed(_matrix_norm))

# -- diagonals -------------------------------------------------------------------------------------


def _diagonal(g: Any, x_shape: Any, offset: int, axis1: int, axis2: int) -> Any:
    ndim = len(x_shape)
    first, second = axis_of(axis1, ndim), axis_of(axis2, ndim)
    others = [axis for axis in range(ndim) if axis not in (first, second)]
    rows = xp.arange(g.shape[-1], device=g.device)
    shape = [x_shape[axis] for axis in (*others, first, second)]
    arrays = [rows + max(-offset, 0), rows + max(offset, 0)]
    found = put_at(g, shape, "eaa", [], arrays)
    order = [*others, first, second]
    return xp.permute_dims(found, tuple(order.index(axis) for axis in range(ndim)))


def _trace(g: Any, x_shape: Any, offset: int, axis1: int, axis2: int) -> Any:
    rows = x_shape[axis1] + min(offset, 0)
    columns = x_shape[axis2] - max(offset, 0)
    length = max(min(rows, columns), 0)
    spread = xp.broadcast_to(xp.expand_dims(g, -1), (*g.shape, length))
    return _diagonal(spread, x_shape, offset, axis1, axis2)


gradients("diagonal", x=_diagonal)
gradients("trace", x=_trace)
gradients(
    "diag_of",
    x=lambda g, x_shape, k: (
        xp.diagonal(g, k) if len(x_shape) == 1 else _diagonal(g, x_shape, k, 0, 1)
    ),
)
