"""Reductions, cumulative sums and products, differences, sorting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpuops import xp
from gpuops.symbols import product
from gpuops.xp._axes import axis_of
from gpuops.xp.gradients._rules import conjugate, dividing, gradients, masked, restore_axes

__all__ = ["exclusive_products"]


def _broadcast(g: Any, x_shape: Any, axis: Any, keepdims: bool) -> Any:
    return xp.broadcast_to(restore_axes(g, x_shape, axis, keepdims), tuple(x_shape))


def _count(x_shape: Any, axis: Any) -> Any:
    """How many elements go into each result."""
    if axis is None:
        return product(x_shape)
    return product(x_shape[place] for place in axis)


gradients("sum", x=_broadcast)
gradients(
    "mean",
    x=lambda g, x_shape, axis, keepdims: _broadcast(
        g / _count(x_shape, axis), x_shape, axis, keepdims
    ),
)


def _extreme(g: Any, x: Any, out: Any, axis: Any, keepdims: bool) -> Any:
    """Elements that share the extreme share its gradient."""
    chosen = xp.equal(x, restore_axes(out, x.shape, axis, keepdims))
    places = None if axis is None else tuple(axis)
    number = xp.sum(xp.astype(chosen, g.dtype), axis=places, keepdims=True)
    return masked(chosen, restore_axes(g, x.shape, axis, keepdims) / dividing(number))


gradients("max", x=_extreme)
gradients("min", x=_extreme)


def _deviations(x: Any, axis: Any) -> Any:
    return x - xp.mean(x, axis=None if axis is None else tuple(axis), keepdims=True)


def _var(g: Any, x: Any, axis: Any, correction: float, keepdims: bool) -> Any:
    scale = 2 / (_count(x.shape, axis) - correction)
    return restore_axes(g, x.shape, axis, keepdims) * (_deviations(x, axis) * scale)


def _std(g: Any, x: Any, out: Any, axis: Any, correction: float, keepdims: bool) -> Any:
    # Where all elements are equal the deviation has a kink, and zero is one of its slopes.
    slope = g / dividing(out) / (_count(x.shape, axis) - correction)
    return restore_axes(slope, x.shape, axis, keepdims) * _deviations(x, axis)


gradients("var", x=_var)
gradients("std", x=_std)

# -- without NaN -----------------------------------------------------------------------------------


def _nansum(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    return masked(~xp.isnan(x), restore_axes(g, x.shape, axis, keepdims))


def _nanmean(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    present = ~xp.isnan(x)
    places = None if axis is None else tuple(axis)
    number = xp.sum(xp.astype(present, g.dtype), axis=places, keepdims=True)
    return masked(present, restore_axes(g, x.shape, axis, keepdims) / dividing(number))


def _nanprod(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    missing = xp.isnan(x)
    return masked(~missing, _prod(g, xp.where(missing, 1, x), axis, keepdims))


gradients("nansum", x=_nansum)
gradients("nanmean", x=_nanmean)
gradients("nanprod", x=_nanprod)
gradients("nanmax", x=_extreme)
gradients("nanmin", x=_extreme)

# -- products --------------------------------------------------------------------------------------
# Not the product divided by the element, which may be 0.


def exclusive_products(x: Any) -> Any:
    """For each element along the last axis, the product of those before it."""
    first = xp.ones_like(x[..., :1])
    return xp.cumulative_prod(xp.concat([first, x[..., :-1]], axis=-1), axis=-1)


def _prod(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    ndim = len(x.shape)
    places = list(range(ndim)) if axis is None else sorted(axis_of(place, ndim) for place in axis)
    if not places:
        return g
    order = [place for place in range(ndim) if place not in places] + places
    moved = xp.permute_dims(x, tuple(order))
    kept = moved.shape[: ndim - len(places)]
    rows = xp.reshape(moved, (*kept, _count(x.shape, places)))
    before = exclusive_products(rows)
    after = xp.flip(exclusive_products(xp.flip(rows, axis=-1)), axis=-1)
    others = xp.reshape(conjugate(before * after), moved.shape)
    back = tuple(order.index(place) for place in range(ndim))
    return restore_axes(g, x.shape, axis, keepdims) * xp.permute_dims(others, back)


gradients("prod", x=_prod)

# -- along an axis ---------------------------------------------------------------------------------


def _last(x: Any, axis: int) -> Any:
    return xp.moveaxis(x, axis, -1) if x.ndim > 1 else x


def _without_initial(g: Any, include_initial: bool) -> Any:
    return g[..., 1:] if include_initial else g


def _summed_after(g: Any) -> Any:
    """For each element along the last axis, the sum of those from it on."""
    return xp.flip(xp.cumulative_sum(xp.flip(g, axis=-1), axis=-1), axis=-1)


def _on_axis(x_shape: Any, axis: int | None) -> tuple[int, bool]:
    """The axis, and whether the operator flattens the array first."""
    flattened = axis is None and len(x_shape) != 1
    return (0 if axis is None else axis_of(axis, len(x_shape))), flattened


def _cumulative_sum(g: Any, x_shape: Any, axis: int | None, include_initial: bool = False) -> Any:
    place, flattened = _on_axis(x_shape, axis)
    found = _summed_after(_without_initial(_last(g, place), include_initial))
    if flattened:
        return xp.reshape(found, x_shape)
    return xp.moveaxis(found, -1, place) if found.ndim > 1 else found


def _cumulative_prod(g: Any, x: Any, axis: int | None, include_initial: bool = False) -> Any:
    """With P the products of what is before, and S[k] = g[k] + x[k+1] S[k+1]: P[k] S[k].

    S is computed by doubling: after the step d, (a, b) stand for 2d steps of the recurrence
    (G. Blelloch: Prefix Sums and Their Applications, 1990, section 1.4).
    """
    place, flattened = _on_axis(x.shape, axis)
    given = _without_initial(_last(g, place), include_initial)
    rows = xp.reshape(x, (-1,)) if flattened else _last(x, place)
    values = conjugate(rows)
    size = values.shape[-1]
    one = xp.ones_like(values[..., :1])
    a = xp.concat([values[..., 1:], one], axis=-1) if size else values
    b = given
    step = 1
    while step < size:
        b = xp.concat([b[..., :-step] + a[..., :-step] * b[..., step:], b[..., -step:]], axis=-1)
        a = xp.concat([a[..., :-step] * a[..., step:], a[..., -step:]], axis=-1)
        step *= 2
    found = exclusive_products(values) * b if size else b
    if flattened:
        return xp.reshape(found, x.shape)
    return xp.moveaxis(found, -1, place) if found.ndim > 1 else found


gradients(
    "cumulative_sum",
    x=lambda g, x_shape, axis, include_initial: _cumulative_sum(g, x_shape, axis, include_initial),
)
gradients(
    "cumulative_prod",
    x=lambda g, x, axis, include_initial: _cumulative_prod(g, x, axis, include_initial),
)
gradients("cumsum", x=lambda g, x_shape, axis: _cumulative_sum(g, x_shape, axis))
gradients("cumprod", x=lambda g, x, axis: _cumulative_prod(g, x, axis))


def _joined_gradient(g: Any, n: int, axis: int) -> Any:
    """The gradient of the n-th differences with respect to the array, ends included."""
    place = axis_of(axis, len(g.shape))
    rows = _last(g, place)
    for _ in range(n):
        zero = xp.zeros_like(rows[..., :1]) if rows.shape[-1] else _zero_column(rows)
        rows = xp.concat([zero, rows], axis=-1) - xp.concat([rows, zero], axis=-1)
    return xp.moveaxis(rows, -1, place) if rows.ndim > 1 else rows


def _zero_column(rows: Any) -> Any:
    return xp.zeros((*rows.shape[:-1], 1), dtype=rows.dtype)


def _length(shape: Sequence[Any] | None, place: int) -> Any:
    """The size along the axis of what is put before or behind; a 0-d array is one element."""
    return 0 if shape is None else shape[place] if len(shape) else 1


def _diff(part: str) -> Callable[..., Any]:
    def rule(g: Any, x_shape: Any, prepend_shape: Any, append_shape: Any, n: int, axis: int) -> Any:
        if n == 0:
            return g if part == "x" else None
        place = axis_of(axis, len(x_shape))
        whole = _joined_gradient(g, n, place)
        first = _length(prepend_shape, place)
        last = first + x_shape[place]
        where = {
            "prepend": slice(0, first),
            "x": slice(first, last),
            "append": slice(last, last + _length(append_shape, place)),
        }
        return whole[(*(slice(None),) * place, where[part])]

    return rule


gradients("diff", x=_diff("x"), prepend=_diff("prepend"), append=_diff("append"))

# -- sorting ---------------------------------------------------------------------------------------


def _sort(g: Any, x: Any, axis: int | None, descending: bool, stable: bool) -> Any:
    flattened = axis is None
    rows = xp.reshape(x, (-1,)) if flattened else x
    if rows.ndim == 0:
        return g
    place = 0 if axis is None else axis
    order = xp.argsort(rows, axis=place, descending=descending, stable=True)
    back = xp.argsort(order, axis=place)
    found = xp.take_along_axis(g, back, axis=place)
    return xp.reshape(found, x.shape) if flattened else found


gradients("sort", x=_sort)


def _partition(g: Any, x: Any, out: Any, axis: int) -> Any:
    """Sorted, both are the same: so their orders say which element is which."""
    order, order_out = xp.argsort(x, axis=axis), xp.argsort(out, axis=axis)
    back = xp.argsort(order, axis=axis)
    return xp.take_along_axis(xp.take_along_axis(g, order_out, axis=axis), back, axis=axis)


gradients("partition", x=_partition)
