"""Copies of a call's arguments, in memory of their own whose surroundings are watched."""

from __future__ import annotations

import copy
import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops.devices import array_kind
from gpuops.memory import byte_range, owner

__all__ = ["Copies", "copied"]

# Before and behind each copy, so that a write beyond its ends hits nothing else.
_MARGIN = 64
_FILLER = 0xA5


def copied(values: list[Any]) -> list[Any]:
    """Copies of values that lie in memory as the originals do: strides, alignment, overlaps.

    Opaque objects are copied deeply where they can be.
    """
    return Copies(values).values


@dataclass(slots=True)
class _Room:
    """The copy of one allocation: bytes, and how far an address moved."""

    data: Any
    shift: int
    views: list[Any]
    original: Any = None


class Copies:
    """Copies of values, as `copied` makes them.

    Attributes:
        values: the copies.
    """

    def __init__(self, values: list[Any]) -> None:
        self._rooms: dict[int, _Room] = {}
        self._owners: list[Any] = []  # their ids stay theirs as long as they live
        self.values: list[Any] = [self._one(value) for value in values]

    def watch(self) -> None:
        """Remember all bytes as they are, for `damaged`."""
        for room in self._rooms.values():
            room.original = room.data.copy()

    def damaged(self) -> Any | None:
        """A copy around or between whose elements bytes have changed since `watch`, or None."""
        for room in self._rooms.values():
            changed = room.data != room.original
            if changed.any():
                for view in room.views:
                    _elements(changed, room.data, view)[...] = False
                if changed.any():
                    return room.views[0]
        return None

    def holds(self, array: Any) -> Any | None:
        """A copy in whose allocation `array` lies, though it may lie beside it; else None."""
        low, high = byte_range(array)
        for room in self._rooms.values():
            start, stop = byte_range(room.data)
            if max(low, start) < min(high, stop):
                return room.views[0]
        return None

    def _one(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._one(item) for item in value]
        if type(value) is np.ndarray:
            return self._array(value)
        if array_kind(type(value)) is not None:
            return value.copy()
        try:
            return copy.deepcopy(value)
        except (TypeError, AttributeError, NotImplementedError, RuntimeError):
            return value

    def _array(self, array: Any) -> Any:
        if array.dtype.hasobject or array.dtype.kind in "mM":
            return array.copy(order="K")
        whole = owner(array)
        if not isinstance(whole, np.ndarray) or not whole.nbytes:
            whole = array
        low, high = byte_range(whole)
        mine = byte_range(array)
        if not (low <= mine[0] and mine[1] <= high):  # strides beyond the owner's own elements
            whole, (low, high) = array, mine
        room = self._rooms.get(id(whole))
        if room is None:
            room = self._rooms[id(whole)] = _room(low, high)
            self._owners.append(whole)
        first = array.ctypes.data if array.size else low
        made: Any = np.ndarray(
            array.shape, array.dtype, room.data, room.shift + first, array.strides
        )
        made.flags.writeable = array.flags.writeable
        room.views.append(made)
        return made


def _room(low: int, high: int) -> _Room:
    data = np.full(high - low + 64 + 2 * _MARGIN, _FILLER, np.uint8)
    start = (low - data.ctypes.data) % 64 + _MARGIN
    if high > low:
        # The bytes between the elements, too, which no array refers to.
        buffer: Any = (ctypes.c_uint8 * (high - low)).from_address(low)
        data[start : start + high - low] = np.ndarray((high - low,), np.uint8, buffer)
    return _Room(data, start - low, [])


def _elements(changed: Any, data: Any, view: Any) -> Any:
    """Of a mask of bytes, those of the view's elements."""
    if not view.size:
        return changed[:0]
    first = view.ctypes.data - data.ctypes.data
    made: Any = np.ndarray(
        (*view.shape, view.itemsize), np.bool_, changed, first, (*view.strides, 1)
    )
    return made
