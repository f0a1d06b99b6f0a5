"""Keys in brackets, `take`, and writing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops import xp
from gpuops.symbols import product
from gpuops.xp._axes import axis_of
from gpuops.xp._row import ROWS
from gpuops.xp.gradients._rules import gradients, masked

__all__ = ["along_axis_key", "put_at"]


def put_at(x: Any, shape: Any, layout: str, numbers: Any, arrays: Any) -> Any:
    """Call ``xp::put_at``."""
    return ROWS["put_at"].operator.call(x, list(shape), layout, list(numbers), list(arrays))


def _getitem(x: Any, layout: str, numbers: Any, arrays: Any) -> Any:
    return ROWS["getitem"].operator.call(x, layout, list(numbers), list(arrays))


gradients(
    "getitem",
    x=lambda g, x_shape, layout, numbers, arrays: put_at(g, x_shape, layout, numbers, arrays),
)
gradients("put_at", x=lambda g, layout, numbers, arrays: _getitem(g, layout, numbers, arrays))

# -- writing ---------------------------------------------------------------------------------------


def _setitem_array(g: Any, layout: str, numbers: Any, arrays: Any) -> Any:
    """What was there before counts where nothing was written."""
    ones = xp.ones_like(_getitem(g, layout, numbers, arrays))
    return masked(xp.equal(put_at(ones, g.shape, layout, numbers, arrays), 0), g)


def _setitem_value(g: Any, layout: str, numbers: Any, arrays: Any) -> Any:
    """Of an element that was written to several times, the last value counts."""
    found = _getitem(g, layout, numbers, arrays)
    if all(array.dtype.kind == "b" for array in arrays):
        return found
    order = xp.reshape(xp.arange(product(found.shape), device=g.device), found.shape)
    last = xp.full(g.shape, -1, dtype=order.dtype, device=g.device)
    ROWS["setitem"].operator.call(last, layout, list(numbers), list(arrays), order)
    return masked(xp.equal(_getitem(last, layout, numbers, arrays), order), found)


gradients("setitem", x=_setitem_array, value=_setitem_value)
gradients("copyto", dst=None, src=lambda g: g)

# -- take ------------------------------------------------------------------------------------------


def _take(g: Any, x_shape: Any, indices: Any, axis: int | None, mode: str) -> Any:
    shape = (product(x_shape),) if axis is None else x_shape
    place = 0 if axis is None else axis_of(axis, len(x_shape))
    if not hasattr(indices, "dtype"):
        indices = xp.full((), indices, dtype="int64", device=g.device)
    if mode == "wrap":
        indices = xp.remainder(indices, shape[place])
    elif mode == "clip":
        indices = xp.clip(indices, 0, shape[place] - 1)
    numbers = [None] * (3 * place)
    return xp.reshape(put_at(g, shape, "s" * place + "a", numbers, [indices]), x_shape)


def along_axis_key(indices: Any, axis: int) -> list[Any]:
    """The index arrays that pick what `take_along_axis` picks."""
    ndim = len(indices.shape)
    return [
        indices
        if place == axis
        else xp.reshape(
            xp.arange(indices.shape[place], device=indices.device),
            tuple(-1 if other == place else 1 for other in range(ndim)),
        )
        for place in range(ndim)
    ]


def _take_along_axis(g: Any, x_shape: Any, indices: Any, axis: int | None) -> Any:
    if axis is None:
        flat = (product(x_shape),)
        return xp.reshape(put_at(g, flat, "a", [], [indices]), x_shape)
    place = axis_of(axis, len(x_shape))
    # Where x has one element along another axis and the indices more, x is broadcast.
    shape: Sequence[Any] = [
        size if other == place else wanted
        for other, (size, wanted) in enumerate(zip(x_shape, g.shape, strict=True))
    ]
    if len(indices.shape) == len(x_shape):
        indices = xp.broadcast_to(
            indices,
            tuple(
                given if other == place else wanted
                for other, (given, wanted) in enumerate(zip(indices.shape, g.shape, strict=True))
            ),
        )
    return put_at(g, shape, "a" * len(x_shape), [], along_axis_key(indices, place))


gradients("take", x=_take)
gradients("take_along_axis", x=_take_along_axis)
