"""What generated functions call: memory, warp operations, barriers, traps, output."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from gpuops.cuda.sim import atomics, printf, warp
from gpuops.cuda.sim.access import Access
from gpuops.cuda.sim.async_copy import Copies, Phases
from gpuops.cuda.sim.barrier import Barriers, Waiting
from gpuops.cuda.sim.clock import Clock
from gpuops.cuda.sim.codegen import SPECIAL
from gpuops.cuda.sim.frame import Frame, Lanes, Topology
from gpuops.cuda.sim.memory import Memory
from gpuops.cuda.sim.program import Program
from gpuops.cuda.sim.regions import Window

__all__ = ["Machine", "Stop"]


class Stop(Exception):
    """The kernel executed something that ends it.

    Args:
        kind: as of `SimulationError`.
        problem: in words.
        pc: of the instruction.
        lane: the thread; None for no single one.
    """

    def __init__(self, kind: str, problem: str, pc: int, lane: int | None = None) -> None:
        super().__init__(problem)
        self.kind, self.problem, self.pc, self.lane = kind, problem, pc, lane


class _Parameters(dict[int, Any]):
    """Slot -> value of a part of the parameter block, read at its first use."""

    def __init__(self, program: Program, block: bytes) -> None:
        super().__init__()
        self.program, self.block = program, block

    def __missing__(self, slot: int) -> Any:
        for (offset, dtype), number in self.program.slots.items():
            size = np.dtype(dtype).itemsize
            self[number] = np.frombuffer(self.block[offset : offset + size], dtype)[0]
        return self[slot]


class Machine:
    """One launch's device.

    Args:
        program: the kernel.
        memory: its global memory; shared and local memory are set for each wave.
        clock: of the launch.
        params: the parameter block.
        shared_bytes: dynamic and static shared memory of a block.

    Attributes:
        load: as `Memory.load`.
        changes: how often something happened that may end a wait: a store, an atomic that changed
            memory, a thread that ended, a barrier that was passed.
    """

    def __init__(
        self, program: Program, memory: Memory, clock: Clock, params: bytes, shared_bytes: int
    ) -> None:
        self.program, self.memory, self.clock = program, memory, clock
        self.params = _Parameters(program, params)
        self.load = memory.load
        self.changes = 0
        self.steps = 0
        self._shared_bytes = shared_bytes
        self.top: Topology
        self.barriers: Barriers
        self.copies: Copies
        self.phases = Phases(memory)

    # -- memory ------------------------------------------------------------------------------

    def store(self, lanes: Lanes, address: Any, values: tuple[Any, ...], access: Access) -> None:
        """As `Memory.store`."""
        self.changes += 1
        self.memory.store(lanes, address, values, access)

    def atomic(
        self,
        lanes: Lanes,
        address: Any,
        values: tuple[Any, ...],
        access: Access,
        operation: str,
        element: str,
        wanted: bool,
    ) -> Any:
        """An atomic operation; the old values, if they are wanted."""
        n = lanes.n
        full = [v if v.__class__ is np.ndarray else np.full(n, v) for v in values]
        out = np.empty(n, access.dtype) if wanted else None
        memory = self.memory
        for region, some, at, moved, low, high, positions in memory.locate(access, lanes, address):
            if region.__class__ is Window and not region.writable:
                memory.read_only(access, region, some)
            reads = operation != "exch"
            memory.note(access, region, some, at, moved, low, high, reads)
            units = region.units(access)
            index = _indices(at, moved, access, some.n)
            mine = full if positions is None else [v[positions] for v in full]
            old, changed = atomics.apply(units, index, mine, operation, element, wanted)
            self.changes += changed
            if out is not None:
                out[slice(None) if positions is None else positions] = old
        self.acquire(lanes)
        if out is None:
            return None
        return out[0] if n == 1 else out

    def carry(self, lanes: Lanes, register: int, source: int) -> None:
        """A register that only carries bytes got the value of another such."""
        written = self.memory.shared.written
        if written is not None and written.copied is not None:
            written.copied.move(register, source, lanes)

    def acquire(self, lanes: Lanes) -> None:
        """These threads have looked at what others may have signalled."""
        if self.clock.fences:
            self.clock.acquire(lanes)

    def fence(self, lanes: Lanes) -> None:
        """A fence: what these threads did before can be relied on by others."""
        if self.clock.fences:
            self.clock.fence(lanes)

    # -- warps and blocks --------------------------------------------------------------------

    def shuffle(
        self, lanes: Lanes, value: Any, lane: Any, clamp: Any, mode: str, pc: int
    ) -> tuple[Any, Any]:
        """As `warp.shuffle`."""
        try:
            return warp.shuffle(lanes, value, lane, clamp, mode)  # type: ignore[no-any-return]
        except warp.WarpFault as fault:
            raise Stop("WARP-MASK", fault.problem, pc, fault.lane) from None

    vote = staticmethod(warp.vote)
    match = staticmethod(warp.match)
    redux = staticmethod(warp.redux)
    activemask = staticmethod(warp.activemask)
    elect = staticmethod(warp.elect)

    def arrive(
        self,
        frame: Frame,
        index: int,
        number: Any,
        count: Any,
        condition: Any,
        mode: str,
        register: int,
        moved_on: bool,
    ) -> None:
        """Threads arrive at the barrier that basic block `index` consists of."""
        block = self.program.blocks[index]
        self.changes += 1
        if number.__class__ is not np.ndarray:
            self._arrive(frame, block, int(number), count, condition, mode, register, moved_on)
            return
        for value in np.unique(number):
            chosen = np.flatnonzero(number == value)
            part = frame.child(chosen, block.live_out)
            some = [v[chosen] if v.__class__ is np.ndarray else v for v in (count, condition)]
            self._arrive(part, block, int(value), some[0], some[1], mode, register, moved_on)

    def _arrive(
        self,
        frame: Frame,
        block: Any,
        number: int,
        count: Any,
        condition: Any,
        mode: str,
        register: int,
        moved_on: bool,
    ) -> None:
        if count is not None:
            count = int(count[0] if count.__class__ is np.ndarray else count)
        if count is not None and count % 32 and count != self.top.threads:
            words = f"a barrier of {count} threads, which is no multiple of 32"
            raise Stop("BARRIER-DIVERGENCE", words, block.last, int(frame.lanes.index[0]))
        counted = count is not None
        new = Waiting(frame, block, condition, mode, register, moved_on, counted)
        self.barriers.arrive(number, count, new)

    # -- special registers -------------------------------------------------------------------

    def cycles(self) -> int:
        """A clock that never stands still."""
        self.steps += 1
        return self.steps * 32 + self.clock.now

    def special(self, name: str) -> Any:
        """A special register that is the same for all threads."""
        value = SPECIAL.get(name, 0)
        return np.uint32(self._shared_bytes if value is None else value)

    # -- the end -----------------------------------------------------------------------------

    def unsupported(self, pc: int) -> None:
        """An instruction that is not simulated."""
        x = self.program.function.code[pc]
        name = f"call of {x.args[1] if x.args[0].startswith('(') else x.args[0]}"
        text = name if x.op.startswith("call") else _shortened(str(x))
        raise Stop("UNSUPPORTED", f"unsupported instruction {text}", pc)

    def trap(self, lanes: Lanes, pc: int) -> None:
        """``__trap()``."""
        raise Stop("TRAP", "__trap() was executed", pc, int(lanes.index[0]))

    def assertion(self, lanes: Lanes, pc: int, text: Any, file: Any, line: Any) -> None:
        """``assert()`` failed."""
        words = printf.string(self.memory, _first(text))
        where = f"{printf.string(self.memory, _first(file))}:{int(_first(line))}"
        problem = f"assertion `{words}` failed ({where})"
        raise Stop("ASSERT", problem, pc, int(lanes.index[0]))

    def printf(self, lanes: Lanes, text: Any, arguments: Any, pc: int) -> Any:
        """``printf``: each thread's line in turn."""
        addresses = text if text.__class__ is np.ndarray else [text] * lanes.n
        buffers = arguments if arguments.__class__ is np.ndarray else [arguments] * lanes.n
        written = []
        for k in range(lanes.n):
            read = printf.Reader(self.memory, lanes, k, int(buffers[k]))
            line = printf.render(printf.string(self.memory, int(addresses[k])), read)
            sys.stdout.write(line)
            written.append(read.count)
        self.changes += 1
        if lanes.n == 1:
            return np.uint32(written[0])
        return np.array(written, np.uint32)


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _first(value: Any) -> int:
    return int(value[0] if value.__class__ is np.ndarray else value)


def _indices(at: Any, moved: int, access: Access, n: int) -> Any:
    """Every thread's index."""
    if at.__class__ is slice:
        return np.arange(at.start, at.stop)
    if at.__class__ is np.ndarray:
        return at + (moved >> access.shift) if moved else at
    return np.full(n, int(at))
