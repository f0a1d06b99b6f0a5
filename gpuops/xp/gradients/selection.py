"""Order statistics, elements that are chosen, spreads without NaN, and sampled derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpuops import xp
from gpuops.errors import NoGradientError
from gpuops.symbols import product
from gpuops.xp._axes import axes_of, axis_of
from gpuops.xp.gradients._rules import composed, dividing, gradients, masked

__all__: list[str] = []


# -- order statistics ------------------------------------------------------------------------------


def _sorted(x: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """The elements that are reduced, sorted along one axis in front, and which axes they were."""
    gone = axes_of(axis, len(x.shape))
    rest = [a for a in range(len(x.shape)) if a not in gone]
    front = xp.permute_dims(x, (*gone, *rest)) if gone else x
    shape = (product(x.shape[a] for a in gone), *(x.shape[a] for a in rest))
    return xp.sort(xp.reshape(front, shape), axis=0), gone


def _kept(out: Any, gone: Sequence[int], keepdims: bool, before: int = 0) -> Any:
    places = tuple(before + a for a in gone)
    return xp.expand_dims(out, places) if keepdims and places else out


def _median(x: Any, axis: Any, keepdims: bool) -> Any:
    ordered, gone = _sorted(x, axis)
    count = ordered.shape[0]
    middle = ordered[(count - 1) // 2 : count // 2 + 1]
    return _kept(xp.mean(middle, axis=0), gone, keepdims)


def _quantile(x: Any, q: Any, axis: Any, keepdims: bool, method: str) -> Any:
    if method != "linear":
        raise NoGradientError(
            f"xp::quantile has a gradient for method='linear', and none for {method!r}"
        )
    ordered, gone = _sorted(x, axis)
    last = ordered.shape[0] - 1
    place = q * last
    if not hasattr(q, "dtype"):
        below = min(math.floor(place), max(last - 1, 0))
        low, high = ordered[below], ordered[min(below + 1, last)]
        return _kept(low + (high - low) * (place - below), gone, keepdims)
    below = xp.clip(xp.astype(xp.floor(place), "int64"), 0, max(last - 1, 0))
    low = xp.take(ordered, below, axis=0)
    high = xp.take(ordered, xp.clip(below + 1, 0, last), axis=0)
    weight = xp.reshape(place - below, (*q.shape, *(1,) * (len(ordered.shape) - 1)))
    return _kept(low + (high - low) * weight, gone, keepdims, len(q.shape))


gradients("median", x=composed(_median))
gradients("quantile", x=composed(_quantile), q=composed(_quantile, "q"))


# -- spreads and cumulative functions without NaN --------------------------------------------------


def _nanvar(x: Any, axis: Any, correction: float, keepdims: bool) -> Any:
    places = None if axis is None else tuple(axis)
    present = ~xp.isnan(x)
    number = xp.sum(xp.astype(present, xp.real(x).dtype), axis=places, keepdims=True)
    mean = xp.sum(masked(present, x), axis=places, keepdims=True) / number
    away = masked(present, x - mean)
    squares = xp.sum(xp.real(away * xp.conj(away)), axis=places, keepdims=True)
    out = squares / (number - correction)
    if keepdims:
        return out
    gone = axes_of(axis, len(x.shape))
    return xp.squeeze(out, axis=gone) if gone else out


def _nanstd(x: Any, axis: Any, correction: float, keepdims: bool) -> Any:
    return xp.sqrt(_nanvar(x, axis, correction, keepdims))


gradients("nanvar", x=composed(_nanvar))
gradients("nanstd", x=composed(_nanstd))
gradients("nancumsum", x=composed(lambda x, axis: xp.cumsum(masked(~xp.isnan(x), x), axis=axis)))
gradients(
    "nancumprod",
    x=composed(lambda x, axis: xp.cumprod(xp.where(xp.isnan(x), 1, x), axis=axis)),
)


# -- choosing --------------------------------------------------------------------------------------


def _select(g: Any, conditions: Sequence[Any]) -> list[Any]:
    """For each choice what came of it, and for the default the rest."""
    parts = []
    open_places: Any = True
    for condition in conditions:
        parts.append(masked(xp.logical_and(condition, open_places), g))
        open_places = xp.logical_and(open_places, ~condition)
    return [*parts, masked(open_places, g)]


gradients(
    "select",
    choices=lambda g, conditions: _select(g, conditions)[:-1],
    default=lambda g, conditions: _select(g, conditions)[-1],
)


def _choose(g: Any, x: Any, choices: Sequence[Any], mode: str) -> list[Any]:
    count = len(choices)
    if mode != "raise":
        x = xp.remainder(x, count) if mode == "wrap" else xp.clip(x, 0, count - 1)
    return [masked(xp.equal(x, number), g) for number in range(count)]


gradients("choose", choices=_choose)

for _name in ("ascontiguousarray", "asfortranarray"):
    gradients(_name, x=lambda g, x_shape: xp.reshape(g, tuple(x_shape)))


# -- sampled derivatives ---------------------------------------------------------------------------


def _gradient_along(x: Any, spacing: Any, axis: int, edge_order: int) -> Any:
    """The differences of ``numpy.gradient``, of second order between the ends."""
    place = axis_of(axis, len(x.shape))
    f = xp.moveaxis(x, place, 0)
    count = f.shape[0]
    if len(getattr(spacing, "shape", ())):
        steps = xp.diff(spacing)
    else:
        column = f[(slice(1, None), *(0,) * (len(f.shape) - 1))]
        steps = xp.multiply(xp.ones_like(xp.real(column)), spacing)
    h = xp.reshape(steps, (count - 1, *(1,) * (len(f.shape) - 1)))
    slopes = (f[1:] - f[:-1]) / h
    # Between two neighbours, the slopes on both sides weighted by the other's distance.
    before, after = h[:-1], h[1:]
    inner = (slopes[:-1] * after + slopes[1:] * before) / dividing(before + after)
    first, last = slopes[:1], slopes[-1:]
    if edge_order == 2:
        first = _edge(slopes[:1], slopes[1:2], h[:1], h[1:2])
        last = _edge(slopes[-1:], slopes[-2:-1], h[-1:], h[-2:-1])
    return xp.moveaxis(xp.concat([first, inner, last], axis=0), 0, place)


def _edge(near: Any, far: Any, h_near: Any, h_far: Any) -> Any:
    """The slope at an end of the parabola through the three points nearest to it."""
    return near + (near - far) * (h_near / (h_near + h_far))


gradients(
    "gradient_along",
    x=composed(_gradient_along),
    spacing=composed(_gradient_along, "spacing"),
)
