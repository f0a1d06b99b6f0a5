"""Which of two calls is the simpler one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpuops.opchecks.draw_arrays import DTYPES
from gpuops.opchecks.draw_edit import Values
from gpuops.registry import Operator

__all__ = ["cost", "layout_cost", "weight"]

_ORDER = {name: place for place, name in enumerate(n for names in DTYPES.values() for n in names)}
# Elements beyond these are not looked at one by one.
_ELEMENTS = 64


def cost(operator: Operator, values: Values) -> tuple[float, ...]:
    """What is compared, the most important first.

    How many arrays and items of lists there are; the axes of the arrays; their elements and sizes;
    how far their layouts are from plain; their dtypes; the scalars and elements.
    """
    arrays: list[Any] = []
    number, scalars = 0, 0.0
    for parameter, value in zip(operator.schema.parameters, values, strict=True):
        items = value if isinstance(value, list) else [value]
        number += len(items) if isinstance(value, list) else value is not None
        arrays += [item for item in items if isinstance(item, np.ndarray)]
        if not (parameter.has_default and _same(value, parameter.default)):
            scalars += sum(weight(item) + 0.5 for item in items if not hasattr(item, "shape"))
    return (
        number,
        sum(array.ndim for array in arrays),
        sum(array.size for array in arrays),
        sum(sum(array.shape) for array in arrays),
        sum(layout_cost(array) for array in arrays),
        sum(_ORDER.get(array.dtype.name, len(_ORDER)) for array in arrays),
        scalars,
        sum(_elements(array) for array in arrays),
    )


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and repr(value) == repr(default)


def _elements(array: Any) -> float:
    flat = array.reshape(-1)[:_ELEMENTS].tolist()
    # What is the same everywhere is simple, whatever it is.
    return sum(map(weight, flat)) + 10 * len({repr(item) for item in flat})


def layout_cost(array: Any) -> int:
    """0 for an array in C order, aligned and writable, more for others."""
    plain = 0 if array.flags.c_contiguous else 1 if array.flags.f_contiguous else 2
    return plain + (not array.flags.aligned) + (not array.flags.writeable)


def weight(value: Any) -> float:
    """How odd a number is: 0, 1, -1, the integers, fractions, infinities, NaN.

    >>> sorted([0.25, -1, 2, float("nan"), 0, 1], key=weight)
    [0, 1, -1, 2, 0.25, nan]
    """
    if isinstance(value, np.floating):
        value = float(value)  # a long double, which is no float
    if isinstance(value, complex):
        return weight(value.real) + weight(value.imag) + 0.25 * (value.imag != 0)
    if not isinstance(value, (int, float)):
        return 0.0 if value is None else 1.0
    if math.isnan(value):
        return 3e6
    if math.isinf(value):
        return 2e6 + (value < 0)
    minus = 0.25 * (math.copysign(1, value) < 0)
    if value == int(value):
        return min(2.0 * abs(int(value)), 1e5) + minus
    return 1e5 + 10 * len(repr(value)) + min(abs(value), 1.0) + minus
