"""NumPy's reductions and cumulative functions that leave NaNs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gpuops.xp._meta import Meta, like
from gpuops.xp._reduce import prototype, reduced, refuse_empty
from gpuops.xp._row import Row, row
from gpuops.xp.searching import argmax
from gpuops.xp.statistics import cumulated, var

__all__ = ["CUMULATIVE", "POSITIONS", "SPREADS", "WITHOUT_NAN"]

WITHOUT_NAN: Final[dict[str, str]] = {
    "nansum": "The sum of elements along axes, NaNs counted as 0.",
    "nanprod": "The product of elements along axes, NaNs counted as 1.",
    "nanmean": "The mean of the elements along axes that are not NaN.",
    "nanmax": "The greatest element along axes that is not NaN.",
    "nanmin": "The least element along axes that is not NaN.",
}
"""Operator -> the first line of its documentation."""

_ARGUMENTS = """

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.
        ValueError: nanmax and nanmin: there is no element to choose from.
    """


def _row_without_nan(name: str, summary: str) -> Row:
    function = getattr(np, name)
    extreme = {"nanmax": "fmax", "nanmin": "fmin"}.get(name)

    def rule(x: Any, axis: Sequence[int] | None = None, *, keepdims: bool = False) -> Meta:
        # The sums are of a copy with numbers for NaNs.
        source = x if extreme is not None else like(x, x.dtype)
        result = reduced(source, axis, keepdims, prototype(function, x.dtype))
        if extreme is not None:
            refuse_empty(x, axis, extreme)
        return result

    def kernel(xp: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
        axes = None if axis is None else tuple(axis)
        return getattr(xp, name)(x, axis=axes, keepdims=keepdims)

    rule.__name__ = f"_{name}"
    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = summary + _ARGUMENTS
    return row(f"{name}(Array x, int[]? axis=None, *, bool keepdims=False) -> Array", fake=rule)(
        kernel
    )


for _name, _summary in WITHOUT_NAN.items():
    _row_without_nan(_name, _summary)


# -- variances -------------------------------------------------------------------------------------

SPREADS: Final[dict[str, str]] = {
    "nanvar": "The variance of the elements along axes that are not NaN.",
    "nanstd": "The standard deviation of the elements along axes that are not NaN.",
}
"""Operator -> the first line of its documentation."""


def _spread(
    x: Any, axis: Sequence[int] | None = None, *, correction: float = 0.0, keepdims: bool = False
) -> Meta:
    if x.dtype.kind not in "fc":
        found: Meta = var.fake(x, axis, correction=correction, keepdims=keepdims)
        return found
    # Of a copy with numbers for NaNs, from which the mean is subtracted in place.
    return reduced(like(x, x.dtype), axis, keepdims, prototype(np.nanvar, x.dtype))


def _row_of_spread(name: str, summary: str) -> Row:
    def kernel(
        xp: Any, x: Any, axis: Any = None, *, correction: float = 0.0, keepdims: bool = False
    ) -> Any:
        axes = None if axis is None else tuple(axis)
        return getattr(xp, name)(x, axis=axes, ddof=correction, keepdims=keepdims)

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = f"""{summary}

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        correction: what is subtracted from the number of elements in the divisor.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.
    """
    schema = "Array x, int[]? axis=None, *, float correction=0.0, bool keepdims=False"
    return row(f"{name}({schema}) -> Array", fake=_spread)(kernel)


for _name, _summary in SPREADS.items():
    _row_of_spread(_name, _summary)


# -- cumulative functions --------------------------------------------------------------------------

CUMULATIVE: Final[dict[str, str]] = {
    "nancumsum": "The sums of the elements so far along an axis, NaNs counted as 0.",
    "nancumprod": "The products of the elements so far along an axis, NaNs counted as 1.",
}
"""Operator -> the first line of its documentation."""


def _cumulative_row(name: str, summary: str) -> Row:
    function = getattr(np, name)

    def rule(x: Any, axis: int | None = None) -> Meta:
        return cumulated(like(x, x.dtype), axis, prototype(function, x.dtype))

    def kernel(xp: Any, x: Any, axis: int | None = None) -> Any:
        return getattr(xp, name)(x, axis=axis)

    rule.__name__ = f"_{name}"
    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = f"""{summary}

    Args:
        x: an array of numbers.
        axis: the axis; None for the flattened array.

    Raises:
        AxisError: there is no such axis.
    """
    return row(f"{name}(Array x, int? axis=None) -> Array", fake=rule)(kernel)


for _name, _summary in CUMULATIVE.items():
    _cumulative_row(_name, _summary)


# -- places ----------------------------------------------------------------------------------------

POSITIONS: Final[dict[str, str]] = {
    "nanargmax": "The place of the greatest element that is not NaN.",
    "nanargmin": "The place of the least element that is not NaN.",
}
"""Operator -> the first line of its documentation."""


def _row_of_position(name: str, summary: str) -> Row:
    def kernel(xp: Any, x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
        return getattr(xp, name)(x, axis, keepdims=keepdims)

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = f"""{summary}

    Args:
        x: an array of numbers.
        axis: the axis; None for the place in the flattened array.
        keepdims: leave the axes in the result with size 1.

    Returns:
        Ints of NumPy's index dtype.

    Raises:
        AxisError: there is no such axis.
        ValueError: there is no element to choose from, or only NaNs.
    """
    schema = "Array x, int? axis=None, *, bool keepdims=False"
    return row(f"{name}({schema}) -> Array", fake=argmax.fake)(kernel)


for _name, _summary in POSITIONS.items():
    _row_of_position(_name, _summary)
