"""Shapes: what is moved, joined, repeated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from gpuops import xp
from gpuops.errors import NoGradientError
from gpuops.symbols import product
from gpuops.xp._axes import axis_of
from gpuops.xp.gradients._rules import gradients

__all__: list[str] = []

# A gradient of the broadcast shape is summed to that of the input.
gradients("broadcast_to", x=lambda g: g)
gradients("broadcast_arrays", arrays=lambda g: g)


def _reshaped(g: Any, x_shape: Any) -> Any:
    return xp.reshape(g, x_shape)


gradients("reshape", x=lambda g, x_shape, order: _in_order(g, x_shape, order))
gradients("ravel", x=_reshaped)
gradients("expand_dims", x=_reshaped)
gradients("squeeze", x=_reshaped)


def _in_order(g: Any, shape: Any, order: str) -> Any:
    if order not in ("C", "F"):
        # What was taken first depended on the layout of the argument, which is not known here.
        raise NoGradientError(
            f"xp::reshape has a gradient for order='C' and order='F', and none for {order!r}"
        )
    return xp.reshape(g, shape) if order == "C" else xp.reshape(g, shape, order)


def _concat(g: Any, arrays_shapes: Any, axis: int | None) -> list[Any]:
    if axis is None:
        sizes = [product(shape) for shape in arrays_shapes]
        place = 0
    else:
        place = axis_of(axis, len(arrays_shapes[0]))
        sizes = [shape[place] for shape in arrays_shapes]
    stops = list(accumulate(sizes))
    before = (slice(None),) * place
    parts = [
        g[(*before, slice(stop - size, stop))] for size, stop in zip(sizes, stops, strict=True)
    ]
    if axis is None:
        return [xp.reshape(part, shape) for part, shape in zip(parts, arrays_shapes, strict=True)]
    return parts


def _stack(g: Any, arrays_shapes: Any, axis: int) -> list[Any]:
    place = axis_of(axis, len(arrays_shapes[0]) + 1)
    before = (slice(None),) * place
    return [g[(*before, index)] for index in range(len(arrays_shapes))]


def _unstack(g: Any, out: Any, axis: int) -> Any:
    parts = [
        xp.zeros_like(array) if gradient is None else gradient
        for gradient, array in zip(g, out, strict=True)
    ]
    return xp.stack(parts, axis=axis)


gradients("concat", arrays=_concat)
gradients("stack", arrays=_stack)
gradients("unstack", x=_unstack)


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    places = [axis_of(axis, len(axes)) for axis in axes]
    return tuple(places.index(axis) for axis in range(len(axes)))


gradients("permute_dims", x=lambda g, axes: xp.permute_dims(g, _inverse(axes)))
gradients(
    "transpose",
    x=lambda g, axes: xp.transpose(g) if axes is None else xp.permute_dims(g, _inverse(axes)),
)
gradients(
    "moveaxis", x=lambda g, source, destination: xp.moveaxis(g, tuple(destination), tuple(source))
)
gradients("swapaxes", x=lambda g, axis1, axis2: xp.swapaxes(g, axis1, axis2))
gradients("matrix_transpose", x=lambda g: xp.matrix_transpose(g))
gradients("flip", x=lambda g, axis: xp.flip(g, axis=None if axis is None else tuple(axis)))
gradients(
    "roll",
    x=lambda g, shift, axis: xp.roll(
        g, tuple(-step for step in shift), axis=None if axis is None else tuple(axis)
    ),
)


def _tile(g: Any, x_shape: Any, repetitions: Sequence[Any]) -> Any:
    ndim = max(len(x_shape), len(repetitions))
    sizes = (1,) * (ndim - len(x_shape)) + tuple(x_shape)
    times = (1,) * (ndim - len(repetitions)) + tuple(repetitions)
    pairs = [part for pair in zip(times, sizes, strict=True) for part in pair]
    summed = xp.sum(xp.reshape(g, tuple(pairs)), axis=tuple(range(0, 2 * ndim, 2)))
    return xp.reshape(summed, x_shape)


def _repeat(g: Any, x_shape: Any, repeats: Any, axis: int | None) -> Any:
    if axis is None:
        return xp.reshape(xp.sum(xp.reshape(g, (product(x_shape), repeats)), axis=1), x_shape)
    place = axis_of(axis, len(x_shape))
    split = (*x_shape[: place + 1], repeats, *x_shape[place + 1 :])
    return xp.sum(xp.reshape(g, split), axis=place + 1)


gradients("tile", x=_tile)
gradients("repeat", x=_repeat)
