"""Derivatives of sampled functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.symbols import is_symbolic, require_equal
from gpuops.xp._axes import axis_of
from gpuops.xp._meta import Meta, like
from gpuops.xp._row import row

__all__: list[str] = []


def _check(x: Any, spacing: Any, axis: int, edge_order: int) -> None:
    """What fakes and arrays are refused for; NumPy's errors depend on how it computes."""
    place = axis_of(axis, len(x.shape))
    shape = getattr(spacing, "shape", ())
    if len(shape) > 1:
        raise ValueError("distances must be either scalars or 1d")
    if shape:
        require_equal(shape[0], x.shape[place], "distances must match the length of the dimension")
    if edge_order not in (1, 2):
        raise ValueError(f"edge_order must be 1 or 2, got {edge_order}")
    size = x.shape[place]
    if not is_symbolic(size) and size < edge_order + 1:
        raise ValueError(
            f"gradient needs at least {edge_order + 1} elements along the axis, not {size}"
        )
    if x.dtype.kind == "b":
        raise TypeError("gradient takes numbers; make ints of bools first")


def _gradient_along(x: Any, spacing: Any, axis: int, edge_order: int = 1) -> Meta:
    _check(x, spacing, axis, edge_order)
    return like(x, x.dtype if x.dtype.kind in "fc" else np.dtype(float))


@row(
    "gradient_along(Array x, Array spacing, int axis, int edge_order=1) -> Array",
    fake=_gradient_along,
    scalars=("spacing",),
)
def gradient_along(xp: Any, x: Any, spacing: Any, axis: int, edge_order: int = 1) -> Any:
    """The derivative of a sampled function along an axis, by central differences.

    What `gpuops.xp.gradient` takes are the distances or coordinates for each axis.

    Args:
        x: the function's values.
        spacing: the distance of neighbours, or the coordinates of all places along the axis.
        axis: the axis.
        edge_order: 1 or 2, the order of the one-sided differences at both ends.

    Raises:
        AxisError: there is no such axis.
        ValueError: too few elements along it, or another number of coordinates.
        TypeError: bools.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.gradient(np.asarray([0.0, 1.0, 4.0, 9.0]))
    array([1., 2., 4., 5.])
    """
    _check(x, spacing, axis, edge_order)
    return xp.gradient(x, spacing, axis=axis, edge_order=edge_order)
