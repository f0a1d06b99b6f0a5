"""What runs after what on simulated streams.

A simulated kernel is over when its launch returns, so nothing can go wrong in the simulator that
would go wrong on a GPU for want of an event. This module finds it all the same: each stream has a
vector clock, which says how far it knows that every other stream has come (Mattern: Virtual Time
and Global States of Distributed Systems, 1988). An array that one stream writes may be used on
another only where that one knows of the writing.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from gpuops.errors import GpuopsError, Location, caller_location
from gpuops.memory import byte_range, owner

__all__ = ["Clock", "OrderError", "Timeline", "happened", "note_accesses", "synchronize"]

Clock = dict[int, int]
"""Stream number -> how many of its operations are known to be over."""


class OrderError(GpuopsError, RuntimeError):
    """A stream uses an array that another one may not have written, or read, yet."""


_numbers = count()
_lock = threading.RLock()
# What any thread of the host has waited for. How threads wait for each other is not seen, so that
# one clock per thread would find errors where there are none.
_host: Clock = {}


class Timeline:
    """One simulated stream's operations, in order.

    Attributes:
        number: of the stream.
        clock: what is over before the stream's next operation.
    """

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.clock: Clock = {}

    def step(self) -> Clock:
        """One more operation; what is over once it is."""
        with _lock:
            _merge(self.clock, _host)
            self.clock[self.number] = self.clock.get(self.number, 0) + 1
            return dict(self.clock)

    def wait(self, clock: Clock) -> None:
        """Let later operations begin when what `clock` says is over."""
        with _lock:
            _merge(self.clock, clock)


def synchronize(clock: Clock) -> None:
    """Let the host wait for what `clock` says: whatever it launches then comes later."""
    with _lock:
        _merge(_host, clock)


def happened(clock: Clock) -> bool:
    """Whether the host has waited for what `clock` says."""
    with _lock:
        return all(_host.get(number, 0) >= step for number, step in clock.items())


def _merge(clock: Clock, other: Clock) -> None:
    for number, step in other.items():
        if clock.get(number, 0) < step:
            clock[number] = step


# -- arrays ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Access:
    stream: int
    step: int
    what: str
    location: Location

    def __str__(self) -> str:
        return f"{self.what} on stream {self.stream} at {self.location}"


@dataclass(slots=True)
class _History:
    """Who used which bytes of one allocation last."""

    find: weakref.ref[Any]
    writes: list[tuple[int, int, _Access]] = field(default_factory=list)
    reads: list[tuple[int, int, _Access]] = field(default_factory=list)


_histories: dict[int, _History] = {}


def note_accesses(
    timeline: Timeline, what: str, reads: Sequence[Any], writes: Sequence[Any]
) -> None:
    """Note that the next operation of a stream uses these arrays.

    Args:
        timeline: the stream.
        what: the operation, for messages.
        reads: the arrays that it reads.
        writes: the arrays that it may write.

    Raises:
        OrderError: another stream uses the same memory, and nothing says that it is done with it.
    """
    location = caller_location()
    with _lock:
        step = timeline.step()[timeline.number]
        access = _Access(timeline.number, step, what, location)
        for array in [*reads, *writes]:
            history = _history(array)
            low, high = byte_range(array)
            _check(timeline, access, history.writes, low, high, "written")
        for array in writes:
            low, high = byte_range(array)
            _check(timeline, access, _history(array).reads, low, high, "read")
        for array in reads:
            _history(array).reads.append((*byte_range(array), access))
        for array in writes:
            history = _history(array)
            low, high = byte_range(array)
            # What this write comes after need not be remembered: whoever comes after it does too.
            history.writes = _outside(history.writes, low, high)
            history.reads = _outside(history.reads, low, high)
            history.writes.append((low, high, access))
        for array in reads:
            _forget_known(timeline, _history(array))


def _history(array: Any) -> _History:
    memory = owner(array)
    key = id(memory)
    found = _histories.get(key)
    if found is None or found.find() is not memory:
        found = _History(weakref.ref(memory, lambda _: _histories.pop(key, None)))
        _histories[key] = found
    return found


def _check(
    timeline: Timeline,
    access: _Access,
    earlier: list[tuple[int, int, _Access]],
    low: int,
    high: int,
    how: str,
) -> None:
    for start, stop, other in earlier:
        if start < high and low < stop and timeline.clock.get(other.stream, 0) < other.step:
            raise OrderError(
                f"{access}: the array was {how} by {other}, and nothing says that this is over. "
                f"Record an event on stream {other.stream} after it, and wait for the event on "
                f"stream {access.stream} before"
            )


def _outside(
    accesses: list[tuple[int, int, _Access]], low: int, high: int
) -> list[tuple[int, int, _Access]]:
    return [entry for entry in accesses if not (low <= entry[0] and entry[1] <= high)]


def _forget_known(timeline: Timeline, history: _History) -> None:
    """Keep one read per stream and range, the last: a loop of reads must not grow."""
    last: dict[tuple[int, int, int], tuple[int, int, _Access]] = {}
    for low, high, access in history.reads:
        last[(low, high, access.stream)] = (low, high, access)
    history.reads = list(last.values())
