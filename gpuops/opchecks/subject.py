"""The operator that is checked, with its sample: bound once, copied for each call."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops.convert import Arguments
from gpuops.debug import debug
from gpuops.devices import array_kind
from gpuops.memory import byte_range, owner
from gpuops.opchecks.report import Failure, summary
from gpuops.registry import Operator

__all__ = ["REFUSALS", "Subject", "copied"]

# With these an operator may refuse an input that it cannot take. Others (an IndexError out of the
# middle of a kernel, a MemoryError) are not meant for the caller.
REFUSALS = (ValueError, TypeError, NotImplementedError, IndexError)


@dataclass(frozen=True, slots=True)
class Subject:
    """An operator and one call of it.

    Attributes:
        operator: the operator.
        values: the sample's arguments in schema order, converted; never handed to a kernel.
        rtol: the relative tolerance for values, or None for that of the dtype.
        atol: likewise the absolute one.
        seed: for what is drawn.
    """

    operator: Operator
    values: list[Any]
    rtol: float | None = None
    atol: float | None = None
    seed: int = 0

    def call(self, values: list[Any]) -> Any:
        """Call the operator with values in schema order."""
        number = len(self.operator.schema.positional)
        names = [parameter.name for parameter in self.operator.schema.keyword_only]
        return self.operator.call(
            *values[:number], **dict(zip(names, values[number:], strict=True))
        )

    def checked_call(self, values: list[Any]) -> Any:
        """Call it with debug mode's checks of mutation, aliasing and devices."""
        with debug():
            return self.call(values)

    def arrays(self, values: list[Any]) -> list[Any]:
        """The arrays among values, those in lists included."""
        return [found.array for found in Arguments(self.operator, tuple(values)).arrays]

    def map(self, values: list[Any], function: Callable[[Any, Any], Any]) -> list[Any]:
        """Values with each NumPy array replaced by ``function(parameter, array)``."""

        def one(parameter: Any, value: Any) -> Any:
            if isinstance(value, list):
                return [one(parameter, item) for item in value]
            return function(parameter, value) if isinstance(value, np.ndarray) else value

        pairs = zip(self.operator.schema.parameters, values, strict=True)
        return [one(parameter, value) for parameter, value in pairs]

    def fail(self, problem: str, values: list[Any] | None = None) -> Failure:
        """The error that says what is wrong, with the call and the registration."""
        shown = summary(self.operator, self.values if values is None else values)
        return Failure(
            f"{self.operator.qualname}: {problem}. The call: {shown}. "
            f"Declared as {self.operator.declaration}"
        )


def copied(values: list[Any]) -> list[Any]:
    """Copies of values that lie in memory as the originals do: strides, alignment, overlaps.

    Opaque objects are copied deeply where they can be.
    """
    memory: dict[int, tuple[Any, int]] = {}

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(item) for item in value]
        if type(value) is np.ndarray:
            return _copied_array(value, memory)
        if array_kind(type(value)) is not None:
            return value.copy()
        try:
            return copy.deepcopy(value)
        except (TypeError, AttributeError, NotImplementedError, RuntimeError):
            return value

    return [one(value) for value in values]


def _copied_array(array: Any, memory: dict[int, tuple[Any, int]]) -> Any:
    if array.dtype.hasobject or array.dtype.kind in "mM":
        return array.copy(order="K")
    whole = owner(array)
    if not isinstance(whole, np.ndarray) or not whole.nbytes:
        whole = array
    low, high = byte_range(whole)
    mine = byte_range(array)
    if not (low <= mine[0] and mine[1] <= high):  # strides beyond the owner's own elements
        whole, (low, high) = array, mine
    known = memory.get(id(whole))
    if known is None:
        room = np.empty(high - low + 64, np.uint8)
        start = (low - room.ctypes.data) % 64
        if high > low:
            source = np.ndarray((high - low,), np.uint8, _bytes_at(low, high - low), 0)
            room[start : start + high - low] = source
        known = memory[id(whole)] = (room, start - low)
    room, shift = known
    first = array.ctypes.data if array.size else low
    made: Any = np.ndarray(array.shape, array.dtype, room, shift + first, array.strides)
    made.flags.writeable = array.flags.writeable
    return made


def _bytes_at(address: int, length: int) -> Any:
    """The memory at an address as a buffer."""
    import ctypes

    return (ctypes.c_uint8 * length).from_address(address)
