"""Version counters: how often operators have written to an array.

NumPy and CuPy arrays have none, so they are kept beside the arrays, for those that somebody asked
about. All views of one allocation share a counter. Operators that mutate look at one dictionary,
which is empty as long as nobody asks.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np

from gpuops.devices import array_kind
from gpuops.errors import UsageError, describe
from gpuops.locks import fork_safe
from gpuops.memory import owner

__all__ = ["Watcher", "array_version", "bump", "clock", "tracked", "written_since"]

tracked: dict[int, list[int]] = {}
"""``id`` of an allocation's owner -> its counter. Read by generated code; empty costs a test."""

clock: list[int] = [0]
"""How many writes there were while there was a `Watcher`; the time in `written_since`."""

# ``id`` of an allocation's owner -> the time of the last write to it, while somebody watches.
_written: dict[int, int] = {}
_watchers: dict[int, None] = {}

_lock = fork_safe(threading.Lock())
# The references remove a counter when its array dies, before the id can be used again.
_references: dict[int, weakref.ref[Any]] = {}


def array_version(array: Any) -> int:
    """How often operators have declared to write to `array`, since it was first asked about.

    Args:
        array: a NumPy or CuPy array, or a view of one.

    Returns:
        0 at the first call, and one more for every later call of an operator that lists the array,
        or another view of its memory, among the arguments it mutates, whether or not the kernel
        changed anything.

    Raises:
        UsageError: `array` is no array.

    >>> import numpy as np
    >>> array_version(np.zeros(3))
    0
    """
    if array_kind(type(array)) is None and not isinstance(array, np.ndarray):
        raise UsageError(f"array_version takes a NumPy or CuPy array, got {describe(array)}")
    base = owner(array)
    key = id(base)
    with _lock:
        counter = tracked.get(key)
        if counter is None:

            def forget(reference: weakref.ref[Any]) -> None:
                tracked.pop(key, None)
                _references.pop(key, None)

            _references[key] = weakref.ref(base, forget)
            counter = tracked[key] = [0]
        return counter[0]


def bump(*arguments: Any) -> None:
    """Raise the version of every array among `arguments`; lists are searched, None is skipped.

    An allocation that is passed several times is written to by one call all the same.
    """
    listed = [item for a in arguments for item in (a if isinstance(a, list) else (a,))]
    found = {id(owner(array)) for array in listed if array is not None}
    with _lock:
        if _watchers:
            clock[0] += 1
            _written.update(dict.fromkeys(found, clock[0]))
        for key in found:
            counter = tracked.get(key)
            if counter is not None:
                counter[0] += 1


class Watcher:
    """As long as one is alive, the time of every write is kept; see `written_since`.

    Counters cost some microseconds an array; who keeps an array for each of thousands of calls
    notes the time instead, and asks when there was any write at all.

    >>> watcher = Watcher()
    >>> del watcher
    """

    __slots__ = ("_key",)

    def __init__(self) -> None:
        # Negative: no object has such an id. Dictionaries are changed in one step, so that the
        # garbage collector may end a watcher while the lock is held.
        self._key = -1 - id(self)
        _watchers[self._key] = None
        tracked[self._key] = [0]

    def __del__(self) -> None:
        tracked.pop(self._key, None)
        _watchers.pop(self._key, None)
        if not _watchers:
            _written.clear()


def written_since(array: Any, time: int) -> bool:
    """Whether an operator has declared to write to an array after a time of `clock`.

    Args:
        array: a NumPy or CuPy array that was alive at that time and has been since.
        time: what ``clock[0]`` was, with a `Watcher` alive since then.

    >>> import numpy as np
    >>> x = np.zeros(3)
    >>> watcher, time = Watcher(), clock[0]
    >>> bump(x[:1])
    >>> written_since(x, time), written_since(np.zeros(3), time)
    (True, False)
    """
    return _written.get(id(owner(array)), 0) > time
