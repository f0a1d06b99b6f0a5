"""How rules are registered, and what many of them need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpuops.batching import VMAP
from gpuops.registry import Operator, registry
from gpuops.symbols import product
from gpuops.transforms.array_methods import xp
from gpuops.transforms.vmap.axes import front
from gpuops.xp._axes import axes_of, axis_of
from gpuops.xp._row import ROWS

__all__ = ["Rule", "beside", "flat", "moved_axes", "moved_axis", "rule"]

Rule = Callable[..., Any]
"""Called as ``rule(info, in_dims, *args, **kwargs)``; returns (output, out_dims)."""


def rule(*names: str) -> Callable[[Callable[[Operator], Rule]], Callable[[Operator], Rule]]:
    """Register the rule that a function makes for operators: a decorator.

    A rule that somebody registered already stays in force.
    """

    def add(make: Callable[[Operator], Rule]) -> Callable[[Operator], Rule]:
        for name in names:
            for operator in ROWS[name].operators.values():
                if registry.rule(operator, VMAP) is None:
                    registry.add_rule(operator, VMAP, make(operator))
        return make

    return add


def beside(axis: int, dim: int) -> int:
    """An axis of one element, as an axis of the batch."""
    return axis if axis < dim else axis + 1


def moved_axis(x: Any, axis: int, dim: int) -> int:
    """An axis of one element of `x`, whatever its sign, as an axis of the batch.

    Raises:
        AxisError: an element has no such axis.
    """
    return beside(axis_of(axis, len(x.shape) - 1), dim)


def moved_axes(x: Any, axes: Any, dim: int) -> list[int]:
    """Axes of one element, as axes of the batch; None stands for all of them.

    Raises:
        AxisError: an element has no such axis.
        ValueError: one comes twice.
    """
    ndim = len(x.shape) - 1
    if axes is not None and len(axes) == 1 and type(axes[0]) is int and 0 <= axes[0] < ndim:
        return [beside(axes[0], dim)]
    return [beside(axis, dim) for axis in axes_of(axes, ndim)]


def flat(x: Any, dim: int) -> Any:
    """The batch axis in front of all items of an element, in one axis."""
    x = front(x, dim)
    size = product(x.shape[1:])
    return x if len(x.shape) == 2 else xp.reshape(x, (x.shape[0], size))
