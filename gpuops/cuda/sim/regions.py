"""Regions of memory: windows of global memory, and the shares of shared and local memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops.cuda.sim.access import Access
from gpuops.cuda.sim.frame import Lanes
from gpuops.cuda.sim.shadow import Shadow
from gpuops.cuda.sim.written import Written

__all__ = [
    "GLOBALS",
    "LOCAL",
    "PARAMS",
    "SHARED",
    "WINDOW",
    "WORKSPACE",
    "Fault",
    "Region",
    "Share",
    "Shares",
    "Window",
    "origin_of",
]

WINDOW = 40
"""Addresses of one window differ in their lowest 40 bits only."""


def origin_of(number: int) -> int:
    """The address at which the memory of a window begins.

    It is at another place in each window, so that no power of two, the likeliest of wrong offsets,
    leads from one allocation into another.
    """
    return (number << WINDOW) + ((number * 37 % 61 + 1) << 33)


GLOBALS = 1 << 12
"""Number of the first window of a module's own variables; arguments have lower numbers."""
PARAMS = 1 << 13
"""Number of the window of the kernel's parameters."""
WORKSPACE = PARAMS + 1
"""Number of the window in which cooperative groups keep the barrier of the grid."""
SHARED, LOCAL = 1 << 60, 1 << 61
"""Where shared and local memory begin in the generic address space."""

_U8 = np.uint64
_POISON = 0xFF  # what memory nobody has written reads as


class Fault(Exception):
    """An access that is wrong by itself.

    Args:
        kind: as of `SimulationError`.
        problem: in words.
        access: the instruction.
        lane: the thread.
    """

    def __init__(self, kind: str, problem: str, access: Access, lane: int) -> None:
        super().__init__(problem)
        self.kind, self.problem, self.access, self.lane = kind, problem, access, lane


class Region:
    """Bytes that can be seen as elements of any type, with an optional shadow.

    Args:
        data: (bytes,) uint8.

    Attributes:
        shadow: finds races; None where there can be none.
        written: which bytes have been written; None where that does not matter.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        self._views: dict[Any, Any] = {}
        self.shadow: Shadow | None = None
        self.written: Written | None = None

    def place(self, byte: int) -> str:
        """In words: what lies at a byte of the region."""
        return f"byte {byte}"

    def units(self, access: Access) -> Any:
        """The memory as elements of an access; vectors are rows."""
        key = access.dtype, access.count
        found = self._views.get(key)
        if found is None:
            usable = len(self.data) // access.bytes * access.bytes
            found = self.data[:usable].view(access.dtype)
            if access.count > 1:
                found = found.reshape(-1, access.count)
            self._views[key] = found
        return found


class Window(Region):
    """An allocation of global memory, as much of it as the kernel was given.

    Args:
        number: of the window.
        data: its bytes, from an address that is a multiple of 256 before the first valid one.
        lead: bytes before the first valid one.
        size: valid bytes.
        name: in messages, such as ``"argument 2 (float32[1000])"``.
        itemsize: bytes of an element, for messages.
        writable: whether the kernel may write.
    """

    def __init__(
        self,
        number: int,
        data: Any,
        lead: int,
        size: int,
        name: str,
        itemsize: int = 1,
        writable: bool = True,
    ) -> None:
        super().__init__(data)
        self.origin = origin_of(number)
        self.base = _U8(self.origin)
        self.lead, self.size, self.name = lead, size, name
        self.itemsize, self.writable = itemsize, writable
        self.end = lead + size
        self.spans: list[Any] = []  # the arrays whose memory it is

    def place(self, byte: int) -> str:
        """In words: what lies at an offset from the window's origin."""
        inside = byte - self.lead
        if self.itemsize > 1 and inside % self.itemsize:
            return f"byte {inside} of {self.name}"
        return f"element {inside // self.itemsize} of {self.name}"

    def outside(self, offset: int, access: Access) -> str:
        """In words: how far an access is from the valid bytes."""
        start = offset - self.lead
        stop = start + access.bytes
        unit = self.itemsize
        if start < 0 < stop or start < self.size < stop:
            return f"bytes {start} to {stop - 1} of the {self.size} bytes of {self.name}"
        distance = -start if start < 0 else start - self.size
        side = "before the start of" if start < 0 else "past the end of"
        if distance % unit:
            return f"{distance} bytes {side} {self.name}"
        count = distance // unit + (start >= 0)
        return f"{count} element{'s' if count != 1 else ''} {side} {self.name}"


@dataclass(frozen=True, slots=True)
class Share:
    """A variable in a block's shared memory or in a thread's local memory.

    Attributes:
        start: offset in the share of the block or thread.
        size: bytes.
        name: in messages.
        zeroed: whether it holds zeros when a block starts.
    """

    start: int
    size: int
    name: str
    zeroed: bool = False


class Shares(Region):
    """Memory of which every block or thread has an equal share.

    Args:
        count: how many shares.
        stride: bytes of a share, a multiple of 16.
        variables: in it.
        what: ``"shared"`` or ``"local"``.
    """

    def __init__(self, count: int, stride: int, variables: list[Share], what: str) -> None:
        super().__init__(np.full(count * stride, _POISON, np.uint8))
        self.count, self.stride, self.variables, self.what = count, stride, variables, what
        self._recent: dict[int, tuple[Any, ...]] = {}

    def reset(self, count: int) -> None:
        """Forget everything: the memory goes to `count` others."""
        self.data[:] = _POISON
        if self.written is not None:
            self.written.reset(count)
        for variable in self.variables:
            if variable.zeroed:
                share = slice(variable.start, variable.start + variable.size)
                self.data.reshape(-1, self.stride)[:, share] = 0
                if self.written is not None:
                    self.written.always(share, self.stride)
        self._recent.clear()

    def find(self, access: Access, lanes: Lanes, address: Any, owner: Any) -> tuple[Any, int, int]:
        """(units, first byte in the share, byte after the last) of an access.

        Args:
            access: the instruction.
            lanes: the threads.
            address: an offset in the share, without that of the instruction.
            owner: each thread's share: an array, or an int if there is only one.

        Raises:
            Fault: out of bounds or misaligned.
        """
        offset, size = access.offset, access.bytes
        if address.__class__ is not np.ndarray:
            low = high = _signed(int(address) + offset)
            self._check(access, lanes, address, low, high, low)
            return owner * (self.stride // size) + (low >> access.shift), low, low + size
        recent = self._recent.get(id(address))
        if recent is None or recent[0] is not address:
            low, high = int(address.min()), int(address.max())
            if high >> 40:
                address = address & _U8(SHARED - 1)
                low, high = int(address.min()), int(address.max())
            every = int(np.bitwise_or.reduce(address))
            if len(self._recent) > 8:
                self._recent.clear()
            recent = (address, low, high, every, {})
            self._recent[id(address)] = recent
        _, low, high, every, units = recent
        self._check(access, lanes, address, low + offset, high + offset, every | (offset % size))
        found = units.get((size, id(lanes)))
        if found is None or found[0] is not lanes:
            places = (address >> address.dtype.type(access.shift)).astype(np.int64)
            if owner.__class__ is np.ndarray or owner:
                places = places + owner * (self.stride // size)
            found = units[size, id(lanes)] = lanes, places
        return found[1], low + offset, high + offset + size

    def _check(
        self, access: Access, lanes: Lanes, address: Any, low: int, high: int, every: int
    ) -> None:
        size = access.bytes
        for variable in self.variables:
            if variable.start <= low and high + size <= variable.start + variable.size:
                break
        else:
            self._check_each(access, lanes, address)
        if every & (size - 1):
            offsets = np.atleast_1d(address).astype(np.int64) + access.offset
            k = int(np.argmax(offsets % size != 0))
            raise Fault(
                "MISALIGNED",
                f"misaligned {access.words} at {self.name_of(int(offsets[k]))}, which is not at a "
                f"multiple of {size}",
                access,
                int(lanes.index[k]),
            )

    def _check_each(self, access: Access, lanes: Lanes, address: Any) -> None:
        offsets = np.atleast_1d(address).astype(np.int64) + access.offset
        inside = np.zeros(len(offsets), bool)
        for v in self.variables:
            inside |= (offsets >= v.start) & (offsets + access.bytes <= v.start + v.size)
        if not inside.all():
            k = int(np.argmin(inside))
            raise Fault(
                "OUT-OF-BOUNDS",
                f"out of bounds {access.words} at {self.name_of(int(offsets[k]))}",
                access,
                int(lanes.index[k]),
            )

    def place(self, byte: int) -> str:
        """In words: what lies at a byte of the region."""
        return self.name_of(byte % self.stride)

    def name_of(self, offset: int) -> str:
        """In words: what lies at an offset of the share."""
        offset = _signed(offset)

        def distance(v: Share) -> int:
            return max(v.start - offset, offset - (v.start + v.size) + 1, 0)

        if not self.variables:
            return f"byte {offset} of {self.what} memory, of which the kernel has none"
        near = min(self.variables, key=distance)
        return f"byte {offset - near.start} of {self.what} {near.name} ({near.size} bytes)"


def _signed(offset: int) -> int:
    """An offset that wrapped below zero, in 60 or in 32 bits, as a negative number."""
    offset &= SHARED - 1
    if offset >> 59:
        return offset - SHARED
    return offset - (1 << 32) if 1 << 31 <= offset < 1 << 32 else offset
