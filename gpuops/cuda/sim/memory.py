"""The memory of the simulated device: windows of global memory, shared and local memory.

Addresses are 64-bit numbers as on a device, but every allocation has a window of its own, 2^40
bytes from the next, so that an address past the end of one is never inside another. Shared and
local memory have windows of their own in the generic address space.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from gpuops.cuda.sim.access import Access
from gpuops.cuda.sim.frame import Lanes
from gpuops.cuda.sim.regions import LOCAL, SHARED, WINDOW, Fault, Region, Shares, Window

__all__ = ["Memory", "Overwrite"]

_U8 = np.uint64
_NEAR = 1 << 32  # bytes from an array within which an address is said to be past its end


class Memory:
    """Loads and stores of a wave.

    Args:
        windows: by number.

    Attributes:
        shared: the shared memory of the resident blocks.
        local: the local memory of their threads.
    """

    def __init__(self, windows: dict[int, Window]) -> None:
        self.windows = windows
        self.shared: Shares = Shares(1, 16, [], "shared")
        self.local: Shares = Shares(1, 16, [], "local")

    # -- where -------------------------------------------------------------------------------

    def locate(
        self, access: Access, lanes: Lanes, address: Any
    ) -> list[tuple[Region, Lanes, Any, int, int, int, Any]]:
        """The parts of an access, by region.

        Returns:
            For each part the region, the threads, the units (an int, a slice or an array), what to
            add to an array in bytes, the first byte and the byte after the last, and the positions
            of the threads among all (None for all of them).
        """
        space = access.space
        if space == "global":
            return self._global(access, lanes, address)
        if space == "shared":
            return [self._in_shared(access, lanes, address)]
        if space == "local":
            return [self._in_local(access, lanes, address)]
        if address.__class__ is not np.ndarray:
            window = (int(address) + access.offset) >> 60 & 15
            if window == SHARED >> 60:
                return [self._in_shared(access, lanes, _U8(int(address) - SHARED))]
            if window == LOCAL >> 60:
                return [self._in_local(access, lanes, _U8(int(address) - LOCAL))]
            return self._global(access, lanes, address)
        tops = address >> _U8(60)
        first = int(tops[0])
        if (tops == tops[0]).all():
            if first == SHARED >> 60:
                return [self._in_shared(access, lanes, address - _U8(SHARED))]
            if first == LOCAL >> 60:
                return [self._in_local(access, lanes, address - _U8(LOCAL))]
            return self._global(access, lanes, address)
        return self._split(access, lanes, address, tops)

    def _split(
        self, access: Access, lanes: Lanes, address: Any, keys: Any
    ) -> list[tuple[Region, Lanes, Any, int, int, int, Any]]:
        found = []
        for key in np.unique(keys):
            positions = np.flatnonzero(keys == key)
            some = Lanes(lanes.top, lanes.index[positions])
            chosen = address[positions]
            if len(positions) == 1:
                chosen = chosen[0]
            for *part, inner in self.locate(access, some, chosen):
                found.append((*part, positions if inner is None else positions[inner]))
        return found

    def _in_shared(
        self, access: Access, lanes: Lanes, address: Any
    ) -> tuple[Region, Lanes, Any, int, int, int, Any]:
        block = lanes.one_block
        owner = lanes.block if block is None else block
        at, low, high = self.shared.find(access, lanes, address, owner)
        moved = access.offset if address.__class__ is np.ndarray else 0
        return self.shared, lanes, at, moved, low, high, None

    def _in_local(
        self, access: Access, lanes: Lanes, address: Any
    ) -> tuple[Region, Lanes, Any, int, int, int, Any]:
        owner = lanes.index if lanes.n > 1 else int(lanes.index[0])
        at, low, high = self.local.find(access, lanes, address, owner)
        moved = access.offset if address.__class__ is np.ndarray else 0
        return self.local, lanes, at, moved, low, high, None

    def _global(
        self, access: Access, lanes: Lanes, address: Any
    ) -> list[tuple[Region, Lanes, Any, int, int, int, Any]]:
        size = access.bytes
        if address.__class__ is not np.ndarray:
            number = (int(address) + access.offset) & ((1 << 64) - 1)
            window = self.windows.get(number >> WINDOW)
            offset = 0 if window is None else number - window.origin
            if window is None or offset < window.lead or offset + size > window.end:
                self._wild(access, lanes, np.full(lanes.n, _U8(number)))
            if offset & (size - 1):
                self._misaligned(access, lanes, np.full(lanes.n, _U8(number)))
            assert window is not None
            return [(window, lanes, offset >> access.shift, 0, offset, offset + size, None)]
        if access.offset:
            address = address + _U8(access.offset & ((1 << 64) - 1))
        window = self.windows.get(int(address[0]) >> WINDOW)
        if window is None:
            return self._several(access, lanes, address)
        offsets = address - window.base
        low, high = int(offsets.min()), int(offsets.max())
        if low < window.lead or high + size > window.end:
            return self._several(access, lanes, address)
        at: Any
        if high - low == (lanes.n - 1) * size and _ascending(offsets, low, size):
            if low & (size - 1):
                self._misaligned(access, lanes, address)
            start = low >> access.shift
            at = slice(start, start + lanes.n, 1)
        else:
            if size > 1 and int(np.bitwise_or.reduce(offsets)) & (size - 1):
                self._misaligned(access, lanes, address)
            at = (offsets >> _U8(access.shift)).view(np.int64)
        return [(window, lanes, at, 0, low, high + size, None)]

    def _several(
        self, access: Access, lanes: Lanes, address: Any
    ) -> list[tuple[Region, Lanes, Any, int, int, int, Any]]:
        """Threads whose addresses are in different windows, or not in any."""
        keys = address >> _U8(WINDOW)
        wrong = np.zeros(lanes.n, bool)
        for key in np.unique(keys):
            window = self.windows.get(int(key))
            mine = keys == key
            if window is None or window.end < access.bytes:
                wrong |= mine
                continue
            offsets = address - window.base
            last = _U8(window.end - access.bytes)
            wrong |= mine & ((offsets < _U8(window.lead)) | (offsets > last))
        if wrong.any():
            self._wild(access, lanes, address, wrong)
        inner = replace(access, offset=0)
        return self._split(inner, lanes, address, keys)

    def _wild(self, access: Access, lanes: Lanes, address: Any, wrong: Any = None) -> None:
        k = 0 if wrong is None else int(np.argmax(wrong))
        number = int(address[k])
        near = self._nearest(number)
        if near is None:
            text = "the null pointer" if number < 1 << 16 else "a wild address"
            where = f"address {number:#x}, {text}"
        else:
            where = near.outside(number - near.origin, access)
        problem = f"out of bounds {access.words} at {where}"
        raise Fault("OUT-OF-BOUNDS", problem, access, int(lanes.index[k]))

    def _nearest(self, number: int) -> Window | None:
        """The allocation that an address is near to; None for a wild one."""
        window = self.windows.get(number >> WINDOW)
        if window is None or not -_NEAR < number - window.origin < window.end + _NEAR:
            return None
        return window

    def _misaligned(self, access: Access, lanes: Lanes, address: Any) -> None:
        k = int(np.argmax(address & _U8(access.bytes - 1) != 0))
        number = int(address[k])
        window = self.windows[number >> WINDOW]
        where = window.place(number - window.origin)
        problem = (
            f"misaligned {access.words} at {where}, whose address is not a multiple of "
            f"{access.bytes}"
        )
        raise Fault("MISALIGNED", problem, access, int(lanes.index[k]))

    # -- loads and stores --------------------------------------------------------------------

    def load(self, lanes: Lanes, address: Any, access: Access) -> Any:
        """The value, or the elements of a vector as a tuple."""
        parts = self.locate(access, lanes, address)
        if len(parts) == 1 and parts[0][6] is None:
            return self._load_part(access, *parts[0][:6])
        shape = (lanes.n,) if access.count == 1 else (access.count, lanes.n)
        out = np.empty(shape, access.dtype)
        for *part, positions in parts:
            values = self._load_part(access, *part)
            if access.count == 1:
                out[positions] = values
            else:
                for k, value in enumerate(values):
                    out[k, positions] = value
        return out if access.count == 1 else tuple(out)

    def _load_part(
        self, access: Access, region: Region, lanes: Lanes, at: Any, moved: int, low: int, high: int
    ) -> Any:
        if region.written is not None:
            self.check_written(access, region, lanes, at, moved, low, high)
        if access.checked and region.shadow is not None:
            grain = region.shadow.grain
            region.shadow.access(access, lanes, at, moved // grain if moved else 0, low, high)
        units = region.units(access)
        if at.__class__ is np.ndarray:
            if moved:
                at, units = _moved(at, units, moved, access)
            found = units.take(at, axis=0)
        elif at.__class__ is slice:
            found = units[at].copy()
        else:
            found = units[int(at)]
            if access.count > 1:
                return tuple(found.copy())
            return found
        return found if access.count == 1 else tuple(np.ascontiguousarray(found.T))

    def store(self, lanes: Lanes, address: Any, values: tuple[Any, ...], access: Access) -> None:
        """Write a value, or the elements of a vector."""
        for region, some, at, moved, low, high, positions in self.locate(access, lanes, address):
            if region.__class__ is Window and not region.writable:
                self.read_only(access, region, some)
            if access.checked and region.shadow is not None:
                grain = region.shadow.grain
                region.shadow.access(access, some, at, moved // grain if moved else 0, low, high)
            if region.written is not None:
                region.written.mark(access, some, at, moved)
            mine = values
            if positions is not None:
                mine = tuple(v[positions] if v.__class__ is np.ndarray else v for v in values)
            units = region.units(access)
            if at.__class__ is np.ndarray and moved:
                at, units = _moved(at, units, moved, access)
            try:
                self._put(access, some, units, at, mine)
            except Overwrite as lost:
                lost.where = region.place(lost.unit * access.bytes + max(moved, 0))
                raise

    def note(
        self,
        access: Access,
        region: Region,
        lanes: Lanes,
        at: Any,
        moved: int,
        low: int,
        high: int,
        reads: bool,
    ) -> None:
        """Check and record what an atomic does beside the operation itself.

        All but an exchange read what was there.
        """
        if access.checked and region.shadow is not None:
            grain = region.shadow.grain
            region.shadow.access(access, lanes, at, moved // grain if moved else 0, low, high)
        if region.written is not None:
            if reads:
                self.check_written(access, region, lanes, at, moved, low, high)
            region.written.mark(access, lanes, at, moved)

    def _put(self, access: Access, lanes: Lanes, units: Any, at: Any, values: Any) -> None:
        """Write, and refuse different values for one place from one instruction."""
        columns = (units,) if access.count == 1 else tuple(units.T)
        many = lanes.n > 1
        for column, value in zip(columns, values, strict=True):
            if at.__class__ not in (np.ndarray, slice):
                at = int(at)
                if many and value.__class__ is np.ndarray:
                    column[at] = value[-1]
                    self._overwritten(access, lanes, at, column[at].tobytes(), value)
                else:
                    column[at] = value
                continue
            column[at] = value
            if many and at.__class__ is np.ndarray and value.__class__ is np.ndarray:
                back = column.take(at)
                lost = back.view(_BITS[access.size]) != value.view(_BITS[access.size])
                if access.checked and lost.any():
                    self._lost(access, lanes, at, lost)

    def _overwritten(self, access: Access, lanes: Lanes, at: int, last: bytes, value: Any) -> None:
        kept = np.frombuffer(last, _BITS[access.size])[0]
        lost = value.view(_BITS[access.size]) != kept
        if access.checked and lost.any():
            self._lost(access, lanes, np.full(lanes.n, at), lost)

    def _lost(self, access: Access, lanes: Lanes, at: Any, lost: Any) -> None:
        k = int(np.argmax(lost))
        other = int(np.flatnonzero(at == at[k])[-1])
        raise Overwrite(access, int(lanes.index[k]), int(lanes.index[other]), int(at[k]))

    def read_only(self, access: Access, region: Any, lanes: Lanes) -> None:
        """Refuse a write."""
        problem = f"{access.words} to {region.name}, which is read-only"
        raise Fault("READ-ONLY", problem, access, int(lanes.index[0]))

    def check_written(
        self, access: Access, region: Region, lanes: Lanes, at: Any, moved: int, low: int, high: int
    ) -> None:
        """Refuse a read of what nobody has written."""
        assert region.written is not None
        k = region.written.missing(access, lanes, at, moved, low, high)
        if k is None:
            return
        if at.__class__ is slice:
            at = np.arange(at.start, at.stop)
        byte = int(at[k]) * access.bytes + moved if at.__class__ is np.ndarray else low
        if not isinstance(region, Window) and at.__class__ is not np.ndarray:
            byte = int(at) * access.bytes
        problem = f"uninitialised {access.words} at {region.place(byte)}, which nobody has written"
        raise Fault("UNINITIALISED", problem, access, int(lanes.index[k]))


class Overwrite(Exception):
    """Threads wrote different values to one place in one instruction.

    Args:
        access: the instruction.
        lane: whose value was lost.
        other: whose value stayed.
        unit: where, in units of the access.

    Attributes:
        where: the same in words.
    """

    def __init__(self, access: Access, lane: int, other: int, unit: int) -> None:
        super().__init__("different values")
        self.access, self.lane, self.other, self.unit = access, lane, other, unit
        self.where = ""


_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def _moved(at: Any, units: Any, moved: int, access: Access) -> tuple[Any, Any]:
    """Units moved by a number of bytes, at no cost where that is possible."""
    steps = moved >> access.shift
    if steps >= 0:
        return at, units[steps:]
    return at + steps, units


def _ascending(offsets: Any, low: int, size: int) -> bool:
    """Whether thread i is at ``low + i * size``."""
    n = len(offsets)
    if int(offsets[0]) != low or int(offsets[n // 2]) != low + n // 2 * size:
        return False
    return bool((offsets == _steps(n, size) + _U8(low)).all())


_STEPS: dict[int, Any] = {}


def _steps(n: int, size: int) -> Any:
    """0, size, 2 * size and so on, n of them."""
    found = _STEPS.get(size)
    if found is None or len(found) < n:
        length = 1 << max(16, math.ceil(math.log2(n + 1)))
        found = _STEPS[size] = np.arange(length, dtype=np.uint64) * _U8(size)
    return found[:n]
