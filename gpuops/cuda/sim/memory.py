"""The memory of the simulated device: windows of global memory, shared and local memory.

Addresses are 64-bit numbers as on a device, but every allocation has a window of its own, 2^40
bytes from the next, so that an address past the end of one is never inside another. Shared and
local memory have windows of their own in the generic address space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops.cuda.sim.access import Access
from gpuops.cuda.sim.frame import Lanes
from gpuops.cuda.sim.shadow import Shadow

__all__ = [
    "GLOBALS",
    "LOCAL",
    "PARAMS",
    "SHARED",
    "WINDOW",
    "Fault",
    "Memory",
    "Region",
    "Share",
    "Shares",
    "Window",
]

WINDOW = 40
"""Addresses of one window differ in their lowest 40 bits only."""
GLOBALS = 1 << 12
"""Number of the first window of a module's own variables; arguments have lower numbers."""
PARAMS = 1 << 13
"""Number of the window of the kernel's parameters."""
SHARED, LOCAL = 1 << 60, 1 << 61
"""Where shared and local memory begin in the generic address space."""

_U8 = np.uint64
_POISON = 0xFF  # what memory nobody has written reads as


class Fault(Exception):  # noqa: N818 (the machine turns it into the public error)
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
        init: (granules,) whether bytes have been written; None where that does not matter.
        grain: bytes of a granule of `init`.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        self._views: dict[Any, Any] = {}
        self.shadow: Shadow | None = None
        self.init: Any = None
        self.grain = 1

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
        self.origin = number << WINDOW
        self.base = _U8(self.origin)
        self.lead, self.size, self.name = lead, size, name
        self.itemsize, self.writable = itemsize, writable
        self.end = lead + size
        self.keep: Any = None  # whose memory it is

    def where(self, offset: int) -> str:
        """In words: what lies at an offset from the window's origin."""
        inside = offset - self.lead
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
    """

    start: int
    size: int
    name: str


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
        self._bases: dict[int, Any] = {}
        self._complete: set[tuple[int, int]] = set()
        self._recent: dict[int, tuple[Any, ...]] = {}

    def track(self, grain: int) -> None:
        """Record which granules have been written."""
        self.grain = grain
        self.init = np.zeros(len(self.data) // grain, bool)

    def reset(self) -> None:
        """Forget everything: the memory goes to other blocks."""
        self.data[:] = _POISON
        self.init[:] = False
        self._complete.clear()
        self._recent.clear()

    def bases(self, owner: Any, access: Access) -> Any:
        """Where the shares of these owners begin, in units of the access."""
        return owner * (self.stride // access.bytes)

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

    def name_of(self, offset: int) -> str:
        """In words: what lies at an offset of the share."""
        offset = _signed(offset)

        def distance(v: Share) -> int:
            return max(v.start - offset, offset - (v.start + v.size) + 1, 0)

        if not self.variables:
            return f"byte {offset} of {self.what} memory, of which the kernel has none"
        near = min(self.variables, key=distance)
        return f"byte {offset - near.start} of {self.what} {near.name} ({near.size} bytes)"

    # -- initialisation ----------------------------------------------------------------------

    def written(self, access: Access, at: Any, shift: int) -> None:
        """Bytes of an access have been written."""
        ratio = access.bytes // self.grain
        if at.__class__ is np.ndarray:
            at = at * ratio + shift
        else:
            at = int(at) * ratio
        for k in range(ratio):
            self.init[at + k] = True

    def check_written(
        self, access: Access, lanes: Lanes, at: Any, shift: int, low: int, high: int
    ) -> None:
        """Refuse a read of elements of which no byte has been written."""
        key = low // self.grain, -(-high // self.grain)
        if key in self._complete:
            return
        shares = self.init.reshape(self.count, -1)
        if shares[:, key[0] : key[1]].all():
            self._complete.add(key)
            return
        missing = missing_elements(self.init, access, at, shift, self.grain)
        if missing is not None and missing.any():
            k = int(np.argmax(np.broadcast_to(missing, (lanes.n,))))
            place = int(at[k] if at.__class__ is np.ndarray else at) * access.bytes
            offset = (place + shift * self.grain) % self.stride
            raise Fault(
                "UNINITIALISED",
                f"uninitialised {access.words} at {self.name_of(offset)}, which nobody has written",
                access,
                int(lanes.index[k]),
            )


def missing_elements(init: Any, access: Access, at: Any, shift: int, grain: int) -> Any:
    """For each thread whether an element that it needs has no written byte; None if that is
    certain not to be so."""
    per_element = max(access.size // grain, 1)
    ratio = access.bytes // grain
    start = at * ratio + shift if at.__class__ is np.ndarray else at * ratio
    missing: Any = None
    for element in range(access.count):
        if not access.used[element % len(access.used)]:
            continue
        some: Any = False
        for k in range(per_element):
            some = some | init[start + element * per_element + k]
        missing = ~some if missing is None else missing | ~some
    return missing


def _signed(offset: int) -> int:
    """An offset that wrapped below zero, in 60 or in 32 bits, as a negative number."""
    offset &= SHARED - 1
    if offset >> 59:
        return offset - SHARED
    return offset - (1 << 32) if 1 << 31 <= offset < 1 << 32 else offset


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
        return found  # type: ignore[return-value]

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
            offset = number & ((1 << WINDOW) - 1)
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
        for key in np.unique(keys):
            window = self.windows.get(int(key))
            mine = keys == key
            if window is None:
                self._wild(access, lanes, address, mine)
                continue
            offsets = address - window.base
            last = window.end - access.bytes
            wrong = mine & (offsets < _U8(window.lead))
            wrong |= mine if last < 0 else mine & (offsets > _U8(last))
            if wrong.any():
                self._wild(access, lanes, address, wrong)
        inner = Access(**{f: getattr(access, f) for f in _FIELDS} | {"offset": 0})
        if len(np.unique(keys)) == 1:
            raise AssertionError("an access within one window is not split")
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
        """The allocation that an address belongs to: its window, or the next if just below it."""
        key = number >> WINDOW
        half = 1 << (WINDOW - 1)
        inside = number & ((1 << WINDOW) - 1)
        if key in self.windows and inside < half:
            return self.windows[key]
        return self.windows.get(key + 1) if inside >= half else None

    def _misaligned(self, access: Access, lanes: Lanes, address: Any) -> None:
        k = int(np.argmax(address & _U8(access.bytes - 1) != 0))
        number = int(address[k])
        window = self.windows[number >> WINDOW]
        where = window.where(number - window.origin)
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
        if region.init is not None:
            self._check_init(access, region, lanes, at, moved, low, high)
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
            if region.__class__ is Window and not region.writable:  # type: ignore[attr-defined]
                self.read_only(access, region, some)
            if access.checked and region.shadow is not None:
                grain = region.shadow.grain
                region.shadow.access(access, some, at, moved // grain if moved else 0, low, high)
            if region.init is not None:
                self._mark_init(access, region, at, moved)
            if positions is not None:
                values = tuple(
                    v[positions] if v.__class__ is np.ndarray else v for v in values
                )
            units = region.units(access)
            if at.__class__ is np.ndarray and moved:
                at, units = _moved(at, units, moved, access)
            self._put(access, some, units, at, values)

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
        if region.init is not None:
            if reads:
                self._check_init(access, region, lanes, at, moved, low, high)
            self._mark_init(access, region, at, moved)

    def _put(self, access: Access, lanes: Lanes, units: Any, at: Any, values: Any) -> None:
        """Write, and refuse different values for one place from one instruction."""
        columns = (units,) if access.count == 1 else tuple(units.T)
        many = lanes.n > 1
        for column, value in zip(columns, values, strict=True):
            if at.__class__ is int or at.__class__ is not np.ndarray and at.__class__ is not slice:
                at = int(at)
                if many and value.__class__ is np.ndarray:
                    column[at] = value[-1]
                    self._overwritten(access, lanes, column[at].tobytes(), value)
                else:
                    column[at] = value
                continue
            column[at] = value
            if many and at.__class__ is np.ndarray and value.__class__ is np.ndarray:
                back = column.take(at)
                lost = back.view(_BITS[access.size]) != value.view(_BITS[access.size])
                if access.checked and lost.any():
                    self._lost(access, lanes, at, lost)

    def _overwritten(self, access: Access, lanes: Lanes, last: bytes, value: Any) -> None:
        kept = np.frombuffer(last, _BITS[access.size])[0]
        lost = value.view(_BITS[access.size]) != kept
        if access.checked and lost.any():
            self._lost(access, lanes, np.zeros(lanes.n, np.int64), lost)

    def _lost(self, access: Access, lanes: Lanes, at: Any, lost: Any) -> None:
        k = int(np.argmax(lost))
        other = int(np.flatnonzero(at == at[k])[-1])
        raise Overwrite(access, int(lanes.index[k]), int(lanes.index[other]))

    def read_only(self, access: Access, region: Any, lanes: Lanes) -> None:
        """Refuse a write."""
        problem = f"{access.words} to {region.name}, which is read-only"
        raise Fault("READ-ONLY", problem, access, int(lanes.index[0]))

    def _check_init(
        self, access: Access, region: Region, lanes: Lanes, at: Any, moved: int, low: int, high: int
    ) -> None:
        if isinstance(region, Shares):
            region.check_written(access, lanes, at, moved // region.grain, low, high)
            return
        assert isinstance(region, Window)
        if region.init[low:high].all():
            return
        if at.__class__ is slice:
            at = np.arange(at.start, at.stop)
        missing = missing_elements(region.init, access, at, 0, 1)
        if missing is not None and np.any(missing):
            k = int(np.argmax(np.broadcast_to(missing, (lanes.n,))))
            place = int(at[k] if at.__class__ is np.ndarray else at) * access.bytes
            raise Fault(
                "UNINITIALISED",
                f"uninitialised {access.words} at {region.where(place)}, which nobody has written",
                access,
                int(lanes.index[k]),
            )

    def _mark_init(self, access: Access, region: Region, at: Any, moved: int) -> None:
        if isinstance(region, Shares):
            region.written(access, at, moved // region.grain)
        elif at.__class__ is slice:
            region.init[at.start * access.bytes : at.stop * access.bytes] = True
        else:
            for k in range(access.bytes):
                region.init[at * access.bytes + k] = True


class Overwrite(Exception):  # noqa: N818 (the machine turns it into the public error)
    """Threads wrote different values to one place in one instruction.

    Args:
        access: the instruction.
        lane: whose value was lost.
        other: whose value stayed.
    """

    def __init__(self, access: Access, lane: int, other: int) -> None:
        super().__init__("different values")
        self.access, self.lane, self.other = access, lane, other


_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_FIELDS = ("pc", "kind", "dtype", "size", "count", "space", "offset", "checked", "used")


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

