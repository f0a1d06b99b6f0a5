"""Asynchronous copies (``cp.async``) and the barriers in shared memory (``mbarrier``).

A copy is done when it is issued, but the bytes it writes are marked until the thread that issued
it waits: an access before that is an error, so nobody can see that the copy was early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops.cuda.sim.access import READ, WRITE, Access
from gpuops.cuda.sim.arith import Value
from gpuops.cuda.sim.frame import Lanes, Topology
from gpuops.cuda.sim.memory import Memory
from gpuops.cuda.sim.regions import Region

__all__ = ["Copies", "CopyAccess", "Phases"]

_U8 = np.uint64


@dataclass(frozen=True, slots=True)
class CopyAccess:
    """The accesses that a ``cp.async`` consists of.

    Attributes:
        size: bytes written.
        read: of all the bytes; ``parts`` where fewer are read.
        write: of all the bytes.
        parts: single reads of four bytes each.
        tails: single reads of one byte each.
    """

    size: int
    read: Access
    write: Access
    parts: tuple[Access, ...]
    tails: tuple[Access, ...]


def copy_access(
    pc: int, size: int, source: str, source_offset: int, target_offset: int
) -> CopyAccess:
    """The accesses of the ``cp.async`` at `pc`, from the state space `source`."""
    word = np.uint32
    count = size // 4
    return CopyAccess(
        size,
        Access(pc, READ, word, 4, count, source, source_offset, used=(True,) * count),
        Access(pc, WRITE, word, 4, count, "shared", target_offset),
        tuple(Access(pc, READ, word, 4, 1, source, source_offset + 4 * k) for k in range(count)),
        tuple(Access(pc, READ, np.uint8, 1, 1, source, source_offset + k) for k in range(size)),
    )


@dataclass(slots=True)
class _Pending:
    """Copies that one instruction issued.

    Attributes:
        access: the instruction.
        region: where they write.
        lanes: (n,) the threads that have not waited yet.
        granules: of the region's shadow: for each granule of a copy, (n,).
        group: (n,) number of the group that each thread's copy belongs to.
    """

    access: Access
    region: Region
    lanes: Any
    granules: list[Any]
    group: Any


class Copies:
    """The asynchronous copies of the resident threads.

    Args:
        memory: of the wave.
        top: the threads.
    """

    def __init__(self, memory: Memory, top: Topology) -> None:
        self.memory = memory
        self.committed = np.zeros(top.lanes, np.int64)
        self.pending: list[_Pending] = []

    def issue(
        self, lanes: Lanes, target: Value, source: Value, given: Value | None, what: CopyAccess
    ) -> None:
        """Copy `what.size` bytes; with `given`, only so many are read and the rest are zeros."""
        if given is None or (given.__class__ is not np.ndarray and int(given) >= what.size):
            words = self.memory.load(lanes, source, what.read)
            words = words if what.read.count > 1 else (words,)
        else:
            words = self._partial(lanes, source, np.broadcast_to(given, (lanes.n,)), what)
        self.memory.store(lanes, target, words, what.write)
        for region, some, at, moved, _, _, _ in self.memory.locate(what.write, lanes, target):
            shadow = region.shadow
            if shadow is None:
                continue
            granules = shadow.issue(what.write, some, at, moved // shadow.grain if moved else 0)
            group = self.committed[some.index]
            granules = [np.atleast_1d(g) for g in granules]
            self.pending.append(_Pending(what.write, region, some.index, granules, group))

    def _partial(self, lanes: Lanes, source: Value, given: Any, what: CopyAccess) -> Any:
        """The words of threads that read fewer bytes than they write."""
        words = np.zeros((what.size // 4, lanes.n), np.uint32)
        sources = np.broadcast_to(source, (lanes.n,))
        for k, access in enumerate(what.parts):
            whole = np.flatnonzero(given >= 4 * k + 4)
            if len(whole):
                words[k, whole] = self._some(lanes, sources, whole, access)
            for byte in range(4):
                partial = (given > 4 * k + byte) & (given < 4 * k + 4)
                chosen = np.flatnonzero(partial)
                if len(chosen):
                    value = self._some(lanes, sources, chosen, what.tails[4 * k + byte])
                    words[k, chosen] |= np.asarray(value).astype(np.uint32) << np.uint32(8 * byte)
        return tuple(words) if lanes.n > 1 else tuple(w[0] for w in words)

    def _some(self, lanes: Lanes, sources: Any, chosen: Any, access: Access) -> Any:
        some = Lanes(lanes.top, lanes.index[chosen])
        address = sources[chosen]
        return self.memory.load(some, address if len(chosen) > 1 else address[0], access)

    def commit(self, lanes: Lanes) -> None:
        """What the threads issued so far becomes a group."""
        self.committed[lanes.index] += 1

    def wait(self, lanes: Lanes, newest: int | None) -> None:
        """Wait for all groups but the `newest`; None waits for what is in no group too."""
        rest = []
        here = np.zeros(len(self.committed), bool)
        here[lanes.index] = True
        for p in self.pending:
            done = here[p.lanes]
            if newest is not None:
                done &= p.group < self.committed[p.lanes] - newest
            if not done.any():
                rest.append(p)
                continue
            assert p.region.shadow is not None
            arrived = [g[done] for g in p.granules]
            p.region.shadow.arrive(arrived, p.lanes[done], p.access)
            if not done.all():
                left = ~done
                granules = [g[left] for g in p.granules]
                rest.append(_Pending(p.access, p.region, p.lanes[left], granules, p.group[left]))
        self.pending = rest


class Phases:
    """Operations on barriers in shared memory (PTX ``mbarrier``).

    The 64 bits of a barrier hold, from the lowest: 20 bits of the number of arrivals that the
    current phase still expects, 20 bits of the number that each phase expects, and the number of
    phases that have ended. A barrier's real format is opaque, so any will do.

    Args:
        memory: of the wave.
    """

    _BITS = _U8(20)
    _MASK = _U8((1 << 20) - 1)

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def _places(self, lanes: Lanes, address: Value, access: Access) -> tuple[Any, Any]:
        """(elements, index of each thread's barrier among them)."""
        ((region, _, at, moved, low, high, _),) = self.memory.locate(access, lanes, address)
        if access.kind == READ:
            if region.written is not None:
                self.memory.check_written(access, region, lanes, at, moved, low, high)
        elif region.written is not None:
            region.written.mark(access, lanes, at, moved)
        shift = moved >> access.shift
        index = at + shift if at.__class__ is np.ndarray else np.full(lanes.n, int(at))
        return region.units(access), index

    def init(self, lanes: Lanes, address: Value, count: Value, access: Access) -> None:
        """Make barriers that expect `count` arrivals a phase."""
        elements, index = self._places(lanes, address, access)
        expected = np.broadcast_to(count, (lanes.n,)).astype(_U8)
        elements[index] = expected << self._BITS | expected

    def arrive(
        self, lanes: Lanes, address: Value, count: Value, access: Access, drop: bool, add: bool
    ) -> Value:
        """Arrive, and give the phase as it was.

        Args:
            lanes: the threads.
            address: of each thread's barrier.
            count: arrivals of each thread.
            access: the instruction.
            drop: expect as many fewer from the next phase on.
            add: expect as many more in this phase, before arriving.
        """
        elements, index = self._places(lanes, address, access)
        counts = np.broadcast_to(count, (lanes.n,)).astype(_U8)
        before = np.empty(lanes.n, _U8)
        for k, (place, arrivals) in enumerate(zip(index.tolist(), counts.tolist(), strict=True)):
            state = int(elements[place])
            before[k] = state
            mask, bits = (1 << 20) - 1, 20
            left, expected, phase = state & mask, state >> bits & mask, state >> 2 * bits
            if drop:
                expected -= arrivals
            left -= 0 if add else arrivals
            if left <= 0:
                left, phase = expected, phase + 1
            elements[place] = phase << 2 * bits | (expected & mask) << bits | left
        return before[0] if lanes.n == 1 else before

    def test(
        self, lanes: Lanes, address: Value, state: Value, access: Access, parity: bool
    ) -> Value:
        """Whether the phase that `state` was got in has ended, or the one of that parity."""
        elements, index = self._places(lanes, address, access)
        phase = elements[index] >> (self._BITS + self._BITS)
        if parity:
            ended = (phase & _U8(1)) != (np.asarray(state).astype(_U8) & _U8(1))
        else:
            ended = phase != (np.asarray(state).astype(_U8) >> (self._BITS + self._BITS))
        return ended[0] if lanes.n == 1 else ended
