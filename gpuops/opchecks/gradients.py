"""Gradients of a function of arrays, compared with slopes along random directions.

With random weights on the outputs and a random direction of the inputs, a gradient that is wrong
anywhere gives a wrong number: a few calls do for arrays of any size. Only what is found wrong is
searched for, by halving the direction, until a single element is left to be named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuops.errors import describe
from gpuops.opchecks.slopes import STEPS, Slope, slope

__all__ = ["Wrong", "compare", "precision", "weights"]

Function = Callable[..., tuple[Any, ...]]
"""Of arrays, giving floating-point or complex arrays."""

_RTOL = 1e-5
_EPSILON = {"float64": 2e-16, "float32": 1.2e-7, "float16": 1e-3}
# How far off an estimate of an error may be.
_SAFETY = 10.0


class Wrong(AssertionError):
    """A gradient is not what the slopes say; the text has the element and both numbers."""


def weights(arrays: Any, random: np.random.Generator) -> list[Any]:
    """Random arrays of the shapes and dtypes of others."""
    return [_normal(array, random).astype(array.dtype) for array in arrays]


def _normal(array: Any, random: np.random.Generator) -> Any:
    numbers: Any = random.standard_normal(array.shape)
    if array.dtype.kind == "c":
        numbers = numbers + 1j * random.standard_normal(array.shape)
    return np.asarray(numbers)


def precision(function: Function, inputs: list[Any], random: np.random.Generator) -> str:
    """The precision in which a function is computed, as the name of a real dtype.

    What takes and gives float64 may compute in float32 inside: it does not notice a change in the
    tenth digit of most numbers whose third digit it does notice.
    """
    with np.errstate(all="ignore"):
        outputs = function(*inputs)
        coarsest = max(
            (np.finfo(array.dtype).eps for array in (*inputs, *outputs)), default=np.float64(0)
        )
        if coarsest > _EPSILON["float32"] * 2:
            return "float16"
        if coarsest > 1e-10:
            return "float32"
        direction = [np.sign(random.standard_normal(array.shape)) for array in inputs]
        changed = []
        for size in (1e-3, 1e-10):
            moved = function(
                *(
                    np.asarray(a * (1 + size * d), a.dtype)
                    for a, d in zip(inputs, direction, strict=True)
                )
            )
            changed.append(
                sum(int((new != old).sum()) for new, old in zip(moved, outputs, strict=True))
            )
    total = sum(array.size for array in outputs)
    coarse, fine = changed
    return "float32" if coarse >= 0.25 * total and fine < 0.5 * coarse else "float64"


def compare(
    function: Function,
    inputs: list[Any],
    cotangents: list[Any],
    gradients: list[Any],
    random: np.random.Generator,
    *,
    kept: str,
    names: list[str],
    rtol: float | None = None,
    atol: float | None = None,
) -> bool:
    """Compare gradients with slopes of the function's outputs weighted by cotangents.

    Args:
        function: of the inputs.
        inputs: its arguments, floating-point or complex.
        cotangents: a weight for every element of every output.
        gradients: of the inputs, as a reverse pass gave them.
        random: where directions come from.
        kept: the precision in which `function` is computed.
        names: of the inputs, for the message.
        rtol: the relative tolerance, instead of the usual one.
        atol: the absolute one; without it that of rounding.

    Returns:
        Whether there was a slope to compare with: at a jump or among NaN there is none.

    Raises:
        Wrong: they differ.
    """
    case = _Case(function, inputs, cotangents, gradients, kept, names, rtol, atol)
    direction = [_direction(array, random) for array in inputs]
    verdict = case.difference(direction)
    if verdict is None:
        return False
    if case.fits(verdict):
        return True
    raise Wrong(case.locate(direction, verdict))


def _direction(array: Any, random: np.random.Generator) -> Any:
    """Of a length that suits each element: relative to it, or to all of them where it is small."""
    if not array.size:
        return np.zeros(array.shape, array.dtype)
    typical = float(np.sqrt(np.mean(np.abs(array) ** 2, dtype=np.float64))) or 1.0
    length = np.maximum(np.abs(array), typical)
    return np.asarray(_normal(array, random) * length)


class _Case:
    def __init__(
        self,
        function: Function,
        inputs: list[Any],
        cotangents: list[Any],
        gradients: list[Any],
        kept: str,
        names: list[str],
        rtol: float | None,
        atol: float | None,
    ) -> None:
        self.function, self.inputs, self.names = function, inputs, names
        self.cotangents = [np.asarray(c, np.result_type(c.dtype, np.float64)) for c in cotangents]
        self.gradients = gradients
        self.steps, self.epsilon = STEPS[kept], _EPSILON[kept]
        usual = _RTOL if kept == "float64" else 1e-2
        self.rtol, self.atol = usual if rtol is None else rtol, atol or 0.0

    def difference(self, direction: list[Any]) -> tuple[Slope, float, float] | None:
        """The slope, the gradient's number for it, and the size of what was added up for that."""
        parts = [
            np.real(np.conj(g) * d).astype(np.float64)
            for g, d in zip(self.gradients, direction, strict=True)
        ]
        analytical = float(sum(part.sum() for part in parts))
        size = float(np.sqrt(sum((part**2).sum() for part in parts)))
        largest = 0.0

        def along(t: float) -> float:
            nonlocal largest
            moved = [
                np.asarray(a + t * d, a.dtype) for a, d in zip(self.inputs, direction, strict=True)
            ]
            with np.errstate(all="ignore"):
                outputs = self.function(*moved)
                products = [
                    np.real(np.conj(c) * o) for c, o in zip(self.cotangents, outputs, strict=True)
                ]
                largest = max(largest, float(np.sqrt(sum((p**2).sum() for p in products))))
                return float(sum(product.sum() for product in products))

        numerical = slope(along, self.steps, size)
        if numerical is None or not np.isfinite(numerical.value):
            return None
        noise = _SAFETY * self.epsilon * largest / self.steps[0]
        return numerical, analytical, max(noise, self.rtol * 1e-3 * size)

    def fits(self, verdict: tuple[Slope, float, float]) -> bool:
        """Whether the two numbers are the same."""
        numerical, analytical, noise = verdict
        allowed = (
            self.atol
            + self.rtol * max(abs(numerical.value), abs(analytical))
            + _SAFETY * numerical.error
            + noise
        )
        # Written so that nan is a difference.
        return abs(numerical.value - analytical) <= allowed

    def locate(self, direction: list[Any], verdict: tuple[Slope, float, float]) -> str:
        """Say which element is wrong: the direction is halved as long as a half shows it."""
        masks = [np.ones(d.size, bool) for d in direction]
        flat = [(which, index) for which, d in enumerate(direction) for index in range(d.size)]
        while len(flat) > 1:
            middle = len(flat) // 2
            for half in (flat[:middle], flat[middle:]):
                masks = [np.zeros(d.size, bool) for d in direction]
                for which, index in half:
                    masks[which][index] = True
                found = self.difference(
                    [d * m.reshape(d.shape) for d, m in zip(direction, masks, strict=True)]
                )
                if found is not None and not self.fits(found):
                    flat, verdict = half, found
                    break
            else:
                break
        numerical, analytical, _ = verdict
        if len(flat) > 1:
            where = "along a random direction of " + ", ".join(self.names)
            scale = 1.0
        else:
            which, index = flat[0]
            array = self.inputs[which]
            position = tuple(int(i) for i in np.unravel_index(index, array.shape))
            where = f"with respect to {self.names[which]} ({describe(array)}) at element {position}"
            # Per unit of the element, not of the direction.
            step = direction[which].reshape(-1)[index]
            scale = float(np.real(step)) if direction[which].dtype.kind != "c" else 1.0
        return (
            f"{where}: numerical {numerical.value / scale:.8g}, analytical "
            f"{analytical / scale:.8g} (of the outputs' sum with random weights)"
        )
