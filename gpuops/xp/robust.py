"""NumPy's reductions that leave NaNs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gpuops.xp._meta import Meta, like
from gpuops.xp._reduce import prototype, reduced, refuse_empty
from gpuops.xp._row import Row, row

__all__ = ["WITHOUT_NAN"]

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
