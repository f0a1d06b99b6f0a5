"""Who accessed what: the shadow of a memory region that finds races.

Two accesses of one granule (the smallest unit that the kernel accesses in this kind of memory) by
two threads race if one of them writes and nothing orders them. What orders accesses here:

- a block barrier, both threads in its block;
- ``__syncwarp`` or another warp-wide instruction, both threads in its warp;
- a fence after the earlier access, by its thread, or by a thread of its block after a barrier, and
  then an atomic or a volatile read by the later access's thread, or by one of its block before a
  barrier: the two halves of a release-acquire pattern. Whether that read saw the signal of that
  fence is not checked.

Atomics do not race with each other. Volatile and relaxed accesses are left alone, and so is a plain
read of global memory that atomics write, the compare-and-swap idiom.

Accesses are first only noted, with the range of addresses that they cover: between two barriers
most kernels read, or write disjoint ranges. Only where noted ranges overlap is every granule's last
writer and the span of its readers filled in, and looked up from then on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpuops.cuda.sim.access import ATOMIC, READ, WRITE, Access
from gpuops.cuda.sim.clock import Clock
from gpuops.cuda.sim.frame import Lanes

__all__ = ["Conflict", "Race", "Shadow"]

_NOTED = 64  # accesses that are noted before they are filled in
_ELSEWHERE = -1  # the "lane" of a reader that is no longer resident


class Conflict(NamedTuple):
    """Two unordered accesses: of `access` by `lane`, after that of `other` by `other_lane`.

    Attributes:
        where: byte in the region (in a block's share of it, for shared memory).
        other_lane: negative if that thread is no longer resident.
        shadow: of the region.
        pending: whether the other is an asynchronous copy nobody waited for.
    """

    access: Access
    lane: int
    other: Access
    other_lane: int
    where: int
    shadow: Shadow
    pending: bool = False


class Race(Exception):
    """Carries a `Conflict` to where the message is written."""

    def __init__(self, conflict: Conflict) -> None:
        super().__init__(conflict)
        self.conflict = conflict


class _Noted(NamedTuple):
    access: Access
    lanes: Lanes
    at: Any  # in units of the access: an int, a slice, or an array with an element a thread
    shift: int  # to add to an array, in granules
    low: int
    high: int
    time: int


class Shadow:
    """The shadow of a region of memory.

    Args:
        clock: of the launch.
        size: bytes.
        grain: bytes of a granule.
        per_block: bytes of a block's share, for shared memory; 0 for global memory.
        strict: whether plain reads beside atomics are races too.
    """

    def __init__(self, clock: Clock, size: int, grain: int, per_block: int, strict: bool) -> None:
        self.clock, self.grain, self.per_block, self.strict = clock, grain, per_block, strict
        self.count = size // grain + 1
        self.noted: list[_Noted] = []
        self.filled = False
        self.latest = 0  # time of the last access that was filled in
        self.write_time: Any = None
        self.pending: Any = None  # by granule: time of a copy that nobody has waited for
        self.outstanding = 0  # copies that nobody has waited for

    # -- the cheap way -----------------------------------------------------------------------

    def access(
        self, access: Access, lanes: Lanes, at: Any, shift: int, low: int, high: int
    ) -> None:
        """Check and record an access.

        Args:
            access: what the instruction does.
            lanes: the threads.
            at: where, in units of the access (all elements of a vector): an int if all threads
                access one place, a slice if thread i accesses unit ``start + i``, or an array.
            shift: granules to add to an array.
            low: first byte of all, relative to the block's share for shared memory.
            high: the byte after the last.

        Raises:
            Race: it races with an earlier one.
        """
        clock = self.clock
        clock.now += 1
        clock.events.append(access)
        floor = clock.floor if self.per_block or clock.single_block else clock.launch_floor
        if self.latest > floor or self.outstanding:
            self._precise(access, lanes, at, shift, clock.now)
            return
        noted = self.noted
        if noted and noted[-1].time <= floor:
            noted.clear()
        new = _Noted(access, lanes, at, shift, low, high, clock.now)
        for old in noted:
            if low < old.high and old.low < high and _matter(old, new):
                self._fill()
                self._precise(access, lanes, at, shift, clock.now)
                return
        noted.append(new)
        if len(noted) > _NOTED:
            self._fill()

    def _fill(self) -> None:
        """Put what is noted into the arrays; in order, since none of it races."""
        self._allocate()
        noted, self.noted = self.noted, []
        for old in noted:
            for where in self._granules(old.access, old.lanes, old.at, old.shift):
                self._record(old.access, old.lanes, where, old.time)
            self.latest = old.time

    def _allocate(self) -> None:
        if self.write_time is not None:
            return
        # Zeros of this size take memory only where they are written.
        self.write_time = np.zeros(self.count, np.int64)
        self.writer = np.zeros(self.count, np.int32)
        self.atomic = np.zeros(self.count, bool)
        self.read_time = np.zeros(self.count, np.int64)
        self.reader_low = np.zeros(self.count, np.int32)
        self.reader_high = np.zeros(self.count, np.int32)

    # -- the precise way ---------------------------------------------------------------------

    def _granules(self, access: Access, lanes: Lanes, at: Any, shift: int) -> list[Any]:
        """Index of the first granule of each thread's access, of the second, and so on."""
        ratio = access.bytes // self.grain
        if at.__class__ is slice:
            if ratio == 1:
                return [at]
            return [slice(at.start * ratio + k, at.stop * ratio, ratio) for k in range(ratio)]
        if at.__class__ is not np.ndarray:
            at = at if lanes.n == 1 else np.full(lanes.n, at)
        return [at * ratio + (shift + k) for k in range(ratio)]

    def _precise(self, access: Access, lanes: Lanes, at: Any, shift: int, time: int) -> None:
        self._allocate()
        one = lanes.n == 1 and at.__class__ is not slice
        for where in self._granules(access, lanes, at, shift):
            if one:
                self._check_one(access, lanes, int(where))
            else:
                self._check(access, lanes, where)
            self._record(access, lanes, where, time)
        self.latest = time

    def _check(self, access: Access, lanes: Lanes, where: Any) -> None:
        kind = access.kind
        if self.outstanding and self.pending[where].any():
            self._pending_race(access, lanes, where)
        time, lane = self.write_time[where], self.writer[where]
        hot = self._hot(time, lane, lanes)
        if hot is not None:
            if kind == ATOMIC or (kind == READ and not self.strict):
                hot &= ~self.atomic[where]
            self._report(access, lanes, where, hot, time, lane)
        if kind == WRITE or (kind == ATOMIC and self.strict):
            time = self.read_time[where]
            for lane in (self.reader_low[where], self.reader_high[where]):
                hot = self._hot(time, lane, lanes)
                if hot is not None:
                    self._report(access, lanes, where, hot, time, lane)

    def _hot(self, time: Any, lane: Any, lanes: Lanes) -> Any:
        """Which of the accesses at `time` by `lane` are not ordered before one by `lanes` now.

        None if it is plain that there are none.
        """
        clock, top = self.clock, lanes.top
        floor = clock.floor if self.per_block or clock.single_block else clock.launch_floor
        if int(time.max()) <= floor:
            return None
        here = time > clock.wave_start
        other = (lane != lanes.index) | ~here
        resident = np.where(here & (lane >= 0), lane, 0)
        in_block = here & (lane >= 0) & (top.block_of[resident] == lanes.block)
        ordered = in_block & (time <= clock.block_sync[lanes.block])
        ordered |= (
            in_block & (top.warp_of[resident] == lanes.warp) & (time <= clock.warp_sync[lanes.warp])
        )
        if clock.fences:
            published = here & (lane >= 0) & (time <= clock.released[resident])
            ordered |= published & (time < clock.seen(lanes))
        return (time > clock.launch_floor) & other & ~ordered

    def _check_one(self, access: Access, lanes: Lanes, where: int) -> None:
        """`_check` for a single thread, without NumPy's price per call."""
        kind, me = access.kind, int(lanes.index[0])
        if self.outstanding and self.pending[where]:
            self._pending_race(access, lanes, where)
        time = int(self.write_time[where])
        if time and self._hot_one(time, lane := int(self.writer[where]), me, lanes):
            alone = kind == ATOMIC or (kind == READ and not self.strict)
            if not (alone and self.atomic[where]):
                self._raise(access, me, time, lane, where)
        if kind == WRITE or (kind == ATOMIC and self.strict):
            time = int(self.read_time[where])
            for lane in {int(self.reader_low[where]), int(self.reader_high[where])}:
                if time and self._hot_one(time, lane, me, lanes):
                    self._raise(access, me, time, lane, where)

    def _hot_one(self, time: int, lane: int, me: int, lanes: Lanes) -> bool:
        clock, top = self.clock, lanes.top
        if time <= clock.launch_floor:
            return False
        if time <= clock.wave_start or lane < 0:
            return not (self.per_block or clock.single_block)
        if lane == me:
            return False
        if clock.fences and time <= int(clock.released[lane]) and time < int(clock.seen(lanes)[0]):
            return False
        if lane // top.threads != me // top.threads:
            return True
        if time <= int(clock.block_sync[me // top.threads]):
            return False
        warp = int(top.warp_of[me])
        return int(top.warp_of[lane]) != warp or time > int(clock.warp_sync[warp])

    def _report(
        self, access: Access, lanes: Lanes, where: Any, hot: Any, time: Any, lane: Any
    ) -> None:
        if hot.any():
            k = int(np.argmax(hot))
            granule = where.start + k * (where.step or 1) if where.__class__ is slice else where[k]
            me = int(lanes.index[k])
            self._raise(access, me, int(time[k]), int(lane[k]), int(granule))

    def _raise(self, access: Access, me: int, time: int, lane: int, granule: int) -> None:
        byte = granule * self.grain
        if self.per_block:
            byte %= self.per_block
        other = self.clock.events[time]
        gone = time <= self.clock.wave_start
        lane = _ELSEWHERE if gone else lane
        raise Race(Conflict(access, me, other, lane, byte, self))

    def _record(self, access: Access, lanes: Lanes, where: Any, time: int) -> None:
        me = lanes.index if lanes.n > 1 or where.__class__ is slice else int(lanes.index[0])
        if access.kind != READ:
            self.write_time[where] = time
            self.writer[where] = me
            self.atomic[where] = access.kind == ATOMIC
            return
        if lanes.n == 1 and where.__class__ is not slice:
            self._record_read(me, int(where), time, lanes)
            return
        low: Any = me
        high: Any = me
        old_time, old_low, old_high = (
            self.read_time[where],
            self.reader_low[where],
            self.reader_high[where],
        )
        hot = self._hot(old_time, old_low, lanes)
        also = self._hot(old_time, old_high, lanes)
        if hot is not None and also is not None and (hot | also).any():
            hot |= also
            gone = old_time <= self.clock.wave_start
            low = np.where(hot, np.where(gone, _ELSEWHERE, np.minimum(old_low, me)), me)
            high = np.where(hot, np.maximum(old_high, me), me)
        self.read_time[where] = time
        self.reader_high[where] = high
        # Of equal indices the last wins: backwards that is the lowest thread.
        if where.__class__ is slice:
            self.reader_low[where] = low
        else:
            self.reader_low[where[::-1]] = low[::-1]

    def _record_read(self, me: int, where: int, time: int, lanes: Lanes) -> None:
        low = high = me
        before = int(self.read_time[where])
        if before:
            old_low, old_high = int(self.reader_low[where]), int(self.reader_high[where])
            if self._hot_one(before, old_low, me, lanes) or self._hot_one(
                before, old_high, me, lanes
            ):
                gone = before <= self.clock.wave_start
                low, high = (_ELSEWHERE if gone else min(old_low, me)), max(old_high, me)
        self.read_time[where] = time
        self.reader_low[where], self.reader_high[where] = low, high

    # -- asynchronous copies -----------------------------------------------------------------

    def issue(self, access: Access, lanes: Lanes, at: Any, shift: int) -> list[Any]:
        """Mark what an asynchronous copy writes, until `arrive`; gives the granules."""
        self._fill()
        if self.pending is None:
            self.pending = np.zeros(self.count, np.int64)
        found = self._granules(access, lanes, at, shift)
        for where in found:
            self.pending[where] = self.clock.now
        self.outstanding += lanes.n
        return found

    def arrive(self, granules: list[Any], lanes: Any, access: Access) -> None:
        """The threads `lanes` have waited for their copies to these granules."""
        self.clock.now += 1
        self.clock.events.append(access)
        for where in granules:
            self.pending[where] = 0
            self.write_time[where] = self.clock.now
            self.writer[where] = lanes
        self.latest = self.clock.now
        self.outstanding -= len(lanes)

    def _pending_race(self, access: Access, lanes: Lanes, where: Any) -> None:
        marked = np.atleast_1d(self.pending[where])
        k = int(np.argmax(marked > 0))
        if where.__class__ is slice:
            granule = where.start + k * (where.step or 1)
        else:
            granule = int(np.atleast_1d(where)[k])
        byte = granule * self.grain % (self.per_block or 1 << 62)
        other = self.clock.events[int(marked[k])]
        lane = int(self.writer[granule])
        raise Race(Conflict(access, int(lanes.index[k]), other, lane, byte, self, True))

    # -- waves -------------------------------------------------------------------------------

    def end_wave(self) -> None:
        """Resident blocks leave: forget those of their accesses that were released."""
        if self.per_block:
            self.noted.clear()
            if self.outstanding:
                self.pending[:] = self.outstanding = 0
            return
        clock = self.clock
        if not clock.fences:
            return
        self._fill()
        time, writer = self.write_time, self.writer
        done = (time > clock.wave_start) & (time <= clock.released[writer])
        time[done] = 0
        time = self.read_time
        done = (time > clock.wave_start) & (self.reader_low >= 0)
        done &= time <= np.minimum(
            clock.released[np.maximum(self.reader_low, 0)], clock.released[self.reader_high]
        )
        time[done] = 0


def _matter(old: _Noted, new: _Noted) -> bool:
    """Whether two accesses of overlapping ranges have to be compared granule by granule."""
    if old.access.kind == READ and new.access.kind == READ:
        return False
    if old.access.kind == ATOMIC and new.access.kind == ATOMIC:
        return False
    # The same threads, each at its own place as before.
    same = (
        old.lanes is new.lanes
        and old.at.__class__ is slice
        and new.at.__class__ is slice
        and old.at == new.at
        and old.access.bytes == new.access.bytes
    )
    return not same
