"""Which bytes of a region have been written, so that reads of others are found."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.cuda.sim.access import Access
from gpuops.cuda.sim.frame import Lanes

__all__ = ["Copied", "Written"]


class Copied:
    """Registers that only carry bytes from one place of memory to another.

    A structure is copied with its padding, which nobody has written. Such a load is no defect, but
    what is stored from it is as unwritten as what was loaded.

    Args:
        lanes: threads.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self._unwritten: dict[int, Any] = {}

    def load(self, register: int, lanes: Lanes, missing: Any) -> None:
        """A register got a value; `missing` says for which threads from unwritten memory."""
        if register not in self._unwritten:
            if not np.any(missing):
                return
            self._unwritten[register] = np.zeros(self.lanes, bool)
        self._unwritten[register][lanes.index] = missing

    def move(self, register: int, source: int, lanes: Lanes) -> None:
        """A register got the value of another."""
        missing = self.missing(source, lanes)
        self.load(register, lanes, False if missing is None else missing)

    def missing(self, register: int, lanes: Lanes) -> Any:
        """For which threads the register's value was never written; None if for none."""
        found = self._unwritten.get(register)
        if found is None:
            return None
        found = found[lanes.index]
        return found if found.any() else None


class Written:
    """A flag for each granule of a region.

    Args:
        size: bytes of the region.
        grain: bytes of a granule.
        shares: how many equal parts the region has, such as one for each block.
        copied: of the wave; None where copies are not followed.

    Attributes:
        flags: (granules,) whether a granule has been written.
    """

    def __init__(self, size: int, grain: int, shares: int, copied: Copied | None) -> None:
        self.grain, self.shares, self.copied = grain, shares, copied
        self.flags: Any = np.zeros(size // grain, bool)
        self._complete: set[tuple[int, int]] = set()
        self._used = shares

    def mark(self, access: Access, lanes: Lanes, at: Any, moved: int) -> None:
        """An access has written; arguments as of `missing`."""
        start, ratio = self._start(access, at, moved), access.bytes // self.grain
        for k in range(ratio):
            self.flags[start + k] = True
        if self.copied is not None and access.copies:
            self._carry(access, lanes, start, ratio // access.count)

    def _carry(self, access: Access, lanes: Lanes, start: Any, per_element: int) -> None:
        assert self.copied is not None
        for element, register in enumerate(access.copies):
            missing = None if register < 0 else self.copied.missing(register, lanes)
            if missing is None:
                continue
            self._complete.clear()
            lost = start[missing] if start.__class__ is np.ndarray else start
            for k in range(per_element):
                self.flags[lost + element * per_element + k] = False

    def _start(self, access: Access, at: Any, moved: int) -> Any:
        """The first granule of each thread's access."""
        if at.__class__ is slice:
            at = np.arange(at.start, at.stop)
        elif at.__class__ is not np.ndarray:
            return int(at) * (access.bytes // self.grain)
        return at * (access.bytes // self.grain) + moved // self.grain

    def missing(
        self, access: Access, lanes: Lanes, at: Any, moved: int, low: int, high: int
    ) -> int | None:
        """The position of a thread that reads what nobody has written.

        That is an element of which no byte has been written, unless nothing reads its register; or
        a byte on which a result depends.

        Args:
            access: the instruction.
            lanes: the threads.
            at: where, in units of the access: an int, a slice or an array.
            moved: bytes to add to an array.
            low: first byte of all, in each share.
            high: the byte after the last.
        """
        key = low // self.grain, -(-high // self.grain)
        if key not in self._complete:
            if self.flags.reshape(self.shares, -1)[: self._used, key[0] : key[1]].all():
                self._complete.add(key)
            else:
                return self._search(access, lanes, at, moved)
        if access.copies and self.copied is not None:
            for register in access.copies:
                if register >= 0:
                    self.copied.load(register, lanes, False)
        return None

    def _search(self, access: Access, lanes: Lanes, at: Any, moved: int) -> int | None:
        start, flags = self._start(access, at, moved), self.flags
        per_element = max(access.size // self.grain, 1)
        bad: Any = False
        for element in range(access.count):
            if not access.used[element % len(access.used)]:
                continue
            first = start + element * per_element
            found = flags[first]
            for k in range(1, per_element):
                found = found | flags[first + k]
            needed = access.needed[element % len(access.needed)]
            for k in range(per_element):
                if needed >> k * self.grain & ((1 << self.grain) - 1):
                    bad = bad | ~flags[first + k]
            register = access.copies[element] if access.copies else -1
            if register >= 0 and self.copied is not None:
                self.copied.load(register, lanes, ~found)
            else:
                bad = bad | ~found
        return int(np.argmax(bad)) if np.any(bad) else None

    def always(self, share: slice, stride: int) -> None:
        """These bytes of each share count as written."""
        flags = self.flags.reshape(-1, stride // self.grain)
        flags[:, share.start // self.grain : share.stop // self.grain] = True

    def reset(self, shares: int) -> None:
        """Nothing has been written, and only so many shares are in use."""
        self._used = shares
        self.flags[:] = False
        self._complete.clear()
