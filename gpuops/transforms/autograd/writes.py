"""Writes that no operator made: NumPy's own, and those of a formula to what it is given."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Final
from zlib import crc32

import numpy as np

from gpuops import versions

__all__ = ["LARGEST", "Checksums", "checksums"]

LARGEST: Final = 2**20
"""Bytes of the largest argument of a `vjp` that is looked at: a quarter of a millisecond each."""


class Checksums:
    """Finds out whether somebody has written to NumPy arrays, however that was done.

    Between the two passes of a `vjp` its arguments and results are in the user's hands, and NumPy
    does not tell of writes. What is found changed counts as written to by an operator. In debug
    mode the arrays of all calls are looked at.

    Args:
        largest: in bytes; larger arrays are not looked at.

    >>> x = np.zeros(3)
    >>> watcher, sums, time = versions.Watcher(), Checksums(), versions.clock[0]
    >>> sums.look(x)
    >>> x[1] = 5
    >>> sums.look_again()
    >>> versions.written_since(x, time)
    True
    """

    __slots__ = ("_known", "_largest")

    def __init__(self, largest: float = float("inf")) -> None:
        self._largest = largest
        self._known: dict[int, tuple[weakref.ref[np.ndarray], int]] = {}

    def look(self, *values: Any) -> None:
        """Raise the versions of arrays that are not as they were at the last look.

        Args:
            values: arrays, and lists and tuples of them; what is no NumPy array is left out.
        """
        for array in _arrays(values):
            if array.nbytes <= self._largest:
                found, before = self._known.get(id(array), (None, None))
                now = _sum(array)
                if found is not None and found() is array and before != now:
                    versions.bump(array)
                self._known[id(array)] = weakref.ref(array), now

    def look_again(self) -> None:
        """Look at all arrays that were looked at and are still there."""
        self.look(*[reference() for reference, _ in self._known.values()])


def checksums(values: Iterable[Any]) -> list[int | None]:
    """A checksum of each NumPy array, None for other things.

    >>> x = np.zeros(3)
    >>> checksums([x, "x"]) == checksums([np.zeros(3), None])
    True
    """
    return [_sum(value) if type(value) is np.ndarray else None for value in values]


def _arrays(values: Iterable[Any]) -> Iterator[np.ndarray]:
    for value in values:
        for item in value if type(value) in (list, tuple) else (value,):
            if type(item) is np.ndarray:
                yield item
            elif type(item) in (list, tuple):
                yield from _arrays(item)


def _sum(array: np.ndarray) -> int:
    return crc32(array.tobytes())
