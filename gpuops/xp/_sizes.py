"""Conditions on sizes, and sizes that depend on data."""

from __future__ import annotations

from typing import Any

from gpuops.symbols import SymBool, is_symbolic, sym_max, sym_min

__all__ = ["dynamic_size", "require", "slice_layout"]


def dynamic_size(low: int, high: Any) -> Any:
    """A size that depends on data.

    Args:
        low: the least it can be.
        high: the greatest; of symbolic ones nothing is known beforehand.

    Raises:
        FakeContextError: no fake kernel runs.
        DynamicShapeError: its arguments belong to no `FakeMode`.
    """
    from gpuops.transforms.fake import get_ctx

    return get_ctx().new_dynamic_size(min=low, max=None if is_symbolic(high) else high)


def require(condition: Any, error: Exception) -> None:
    """Let a comparison of sizes hold; one that is not known becomes a recorded condition.

    Raises:
        Exception: `error`, where it does not hold for certain.
    """
    if isinstance(condition, SymBool):
        condition.env.require(condition, str(error))
    elif not condition:
        raise error


def slice_layout(size: Any, start: Any, stop: Any, step: Any) -> tuple[Any, Any]:
    """How many elements a slice of an axis has, and its step.

    Raises:
        ValueError: the step is 0.
    """
    if step is None:
        step = 1
    if is_symbolic(step):
        step = int(step)
    if step == 0:
        raise ValueError("slice step cannot be zero")
    if not (is_symbolic(size) or is_symbolic(start) or is_symbolic(stop)):
        count = len(range(*slice(start, stop, step).indices(size)))
        # As in NumPy, a slice without elements has a step of 1.
        return count, step if count else 1
    if step > 0:
        low = 0 if start is None else _clamped(start, size, 0, size)
        high = size if stop is None else _clamped(stop, size, 0, size)
        span = high - low
    else:
        low = size - 1 if start is None else _clamped(start, size, -1, size - 1)
        high = -1 if stop is None else _clamped(stop, size, -1, size - 1)
        span = low - high
    span = sym_max(span, 0)
    width = abs(step)
    return (span if width == 1 else (span + width - 1) // width), step


def _clamped(place: Any, size: Any, least: Any, most: Any) -> Any:
    """A place counted from the front and moved into a range; a symbolic one is not negative."""
    if not is_symbolic(place) and place < 0:
        place = place + size
    return sym_min(sym_max(place, least), most)
