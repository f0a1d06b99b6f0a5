"""NumPy's functions beyond the standard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops import xp
from gpuops.symbols import product
from gpuops.xp._axes import axis_of
from gpuops.xp.gradients._rules import composed, gradients, masked
from gpuops.xp.gradients.indexing import put_at

__all__: list[str] = []


def _repeat_each(g: Any, x_shape: Any, repeats: Any, axis: int | None) -> Any:
    shape = (product(x_shape),) if axis is None else tuple(x_shape) or (1,)
    place = 0 if axis is None else axis_of(axis, len(shape))
    indices = xp.arange(shape[place], device=g.device)
    # Which element each one of the result came from.
    came_from = xp.repeat(indices, repeats)
    found = put_at(g, shape, "s" * place + "a", [None] * (3 * place), [came_from])
    return xp.reshape(found, x_shape)


gradients("repeat_each", x=_repeat_each)


def _pad(g: Any, x_shape: Any, widths: Sequence[Any], mode: str) -> Any:
    """What each element of the result was copied from, for each axis in turn."""
    ndim = len(x_shape)
    pairs = [(widths[2 * axis], widths[2 * axis + 1]) for axis in range(ndim)]
    if mode == "constant":
        return g[tuple(slice(a, a + n) for (a, _), n in zip(pairs, x_shape, strict=True))]
    for axis, (before, after) in enumerate(pairs):
        places = xp.pad(xp.arange(x_shape[axis]), (before, after), mode=mode)
        shape = (*g.shape[:axis], x_shape[axis], *g.shape[axis + 1 :])
        g = put_at(g, shape, "s" * axis + "a", [None] * (3 * axis), [places])
    return g


gradients("pad", x=_pad)
gradients("bincount", weights=lambda g, x: xp.take(g, x))
gradients("nan_to_num", x=lambda g, x: masked(xp.isfinite(x), g))


def _interp(x: Any, xs: Any, ys: Any, left: float | None, right: float | None) -> Any:
    """The line between the points beside x; beyond the first and the last one, a constant."""
    last = xs.shape[0] - 1
    index = xp.clip(xp.searchsorted(xs, x, side="right"), 1, last) if last else None
    if index is None:
        out = xp.take(ys, 0) + 0 * x
    else:
        x0, x1 = xp.take(xs, index - 1), xp.take(xs, index)
        y0, y1 = xp.take(ys, index - 1), xp.take(ys, index)
        out = y0 + (y1 - y0) * ((x - x0) / (x1 - x0))
    below = ys[0] if left is None else left
    above = ys[last] if right is None else right
    return xp.where(xp.less(x, xs[0]), below, xp.where(xp.greater(x, xs[last]), above, out))


gradients("interp", **{name: composed(_interp, name) for name in ("x", "xs", "ys")})
