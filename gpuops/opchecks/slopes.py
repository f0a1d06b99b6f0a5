"""Slopes of a function of one number by finite differences, with an estimate of their error.

Central differences with a step and its half, extrapolated (Richardson: The approximate arithmetical
solution by finite differences, 1911), for one step after the other until the estimate is small. A
function that is computed in single precision inside, or by iteration, is taken with longer steps; a
kink nearby with shorter ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["STEPS", "Slope", "slope"]

STEPS = {
    "float64": (1e-4, 1e-3, 1e-5, 1e-6, 1e-2, 3e-2),
    "float32": (1e-2, 3e-2, 3e-3, 0.1),
    "float16": (0.1, 0.2, 0.05),
}
"""The steps that are tried, by the precision in which the function is computed."""

# Relative to the slope. A smooth function in double precision is far below it.
_GOOD = 1e-6
_USABLE = 2e-2


@dataclass(frozen=True, slots=True)
class Slope:
    """A derivative, and how far off it may be.

    Attributes:
        value: the derivative.
        error: an estimate of its error.
    """

    value: float
    error: float


def slope(
    function: Callable[[float], float], steps: Sequence[float], scale: float = 0.0
) -> Slope | None:
    """The derivative of a function at 0.

    Args:
        function: of one number.
        steps: the first that gives a small error is taken, else the best of all.
        scale: a size of slopes that counts as large, for functions whose slope is zero.

    Returns:
        The derivative; None where no step gives two digits of it, such as at a jump.

    >>> found = slope(lambda t: 3 * t + t**3, STEPS["float64"])
    >>> round(found.value, 6), found.error < 1e-6
    (3.0, True)
    """
    found: list[Slope] = []
    for step in steps:
        near = [function(sign * step / 2) for sign in (1, -1)]
        far = [function(sign * step) for sign in (1, -1)]
        if not np.isfinite([*near, *far]).all():
            continue
        short, long = (near[0] - near[1]) / step, (far[0] - far[1]) / (2 * step)
        value = (4 * short - long) / 3
        error = abs(value - short)
        if error <= _GOOD * max(abs(value), scale):
            return Slope(value, error)
        # Differences of noise agree by chance now and then: another step has to confirm one.
        found.append(Slope(value, error))
    best: Slope | None = None
    for one in found:
        others = [abs(one.value - other.value) for other in found if other is not one]
        error = max(one.error, min(others, default=0.0))
        if best is None or error < best.error:
            best = Slope(one.value, error)
    if best is None or best.error > _USABLE * max(abs(best.value), scale):
        return None
    return best
