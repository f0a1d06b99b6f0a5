"""Runs a kernel's blocks of threads to their end.

Frames wait at the basic block where they go on. The one that is furthest back in the text runs
first, so that threads which parted meet again; now and then the one that has waited longest, so
that a thread which spins on a flag does not keep those from running that will set it.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from gpuops.cuda.sim import warp
from gpuops.cuda.sim.async_copy import Copies
from gpuops.cuda.sim.barrier import Barriers, Divergence
from gpuops.cuda.sim.emit_warp import mask_of
from gpuops.cuda.sim.flow import Block
from gpuops.cuda.sim.frame import Frame, Lanes, Topology, bits, merge
from gpuops.cuda.sim.machine import Machine, Stop
from gpuops.cuda.sim.memory import Overwrite
from gpuops.cuda.sim.regions import Fault
from gpuops.cuda.sim.report import Source
from gpuops.cuda.sim.shadow import Race
from gpuops.cuda.sim.verdict import Verdicts

__all__ = ["run_wave"]

_QUOTA = 32  # basic blocks that a frame runs before the others have a turn
_OLDEST = 4  # every so many rounds the frame that has waited longest runs
_LOOK = 64  # rounds without a change of memory before the wave is searched for a standstill
_PATIENCE = 4_000_000  # basic blocks without a change of memory before it is given up
_LIMIT = 20_000_000  # basic blocks in all

_FULL = 0xFFFFFFFF
_OWN_FAILURES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def run_wave(machine: Machine, source: Source, top: Topology, waiting_blocks: int) -> None:
    """Run resident blocks to their end.

    Args:
        machine: of the launch.
        source: for messages.
        top: the resident threads.
        waiting_blocks: how many blocks of the grid start only after these.

    Raises:
        SimulationError: anything is wrong.
    """
    wave = _Wave(machine, source, top, waiting_blocks)
    verdicts = wave.verdicts
    try:
        wave.run()
    except Fault as fault:
        verdicts.fail(fault.kind, fault.problem, fault.access.pc, fault.lane)
    except Race as race:
        verdicts.race(race)
    except Overwrite as lost:
        verdicts.overwrite(lost)
    except Stop as stop:
        verdicts.fail(stop.kind, stop.problem, stop.pc, stop.lane)
    except Divergence as divergence:
        verdicts.divergence(divergence)
    except _OWN_FAILURES as error:
        verdicts.broken(error, machine.program.blocks[wave.current].last)


class _Wave:
    """The resident threads, where their frames are, and who waits."""

    def __init__(
        self, machine: Machine, source: Source, top: Topology, waiting_blocks: int
    ) -> None:
        self.machine, self.top = machine, top
        self.waiting_blocks = waiting_blocks
        self.program = machine.program
        self.blocks = self.program.blocks
        self.ready: dict[int, list[Frame]] = {}
        self.since: dict[int, int] = {}
        self.parked: dict[int, Frame] = {}
        self.exited_warps = np.zeros(top.warps, np.uint64)
        self.exited = 0
        self.existing = warp.existing(top)
        self.turn = 0
        self.current = 0
        self.quiet = _Quiet(self)
        code = self.program.function.code
        self.verdicts = Verdicts(source, code, top, machine.memory)
        machine.top = top
        machine.copies = Copies(machine.memory, top)
        machine.barriers = Barriers(top, machine.clock, self.put)

    def put(self, frame: Frame, index: int) -> None:
        """A frame goes on at a basic block when its turn comes."""
        self.ready.setdefault(index, []).append(frame)
        self.since.setdefault(index, self.turn)

    def run(self) -> None:
        """Until every thread has ended."""
        registers = [dtype(0) for dtype in self.program.homes]
        everyone = Lanes(self.top, np.arange(self.top.lanes, dtype=np.int64))
        self.put(Frame(everyone, registers), 0)
        while self.ready:
            self.quiet.look()
            self.turn += 1
            if self.turn % _OLDEST == 0:
                index = min(self.since, key=self.since.__getitem__)
            else:
                index = min(self.ready)
            frames = self.ready.pop(index)
            del self.since[index]
            self.quiet.ran[index] = self.quiet.rounds
            live = self.blocks[index].live_in
            frame = frames[0] if len(frames) == 1 else merge(frames, live)
            self._advance(frame, index)
        if self.parked or self.machine.barriers.waiting:
            self._stuck()

    def _advance(self, frame: Frame, index: int) -> None:
        """Run a frame until it ends, waits, parts, or another is further back in the text."""
        machine, blocks, functions = self.machine, self.blocks, self.program
        run_block = functions.run_block
        lowest = min(self.ready) if self.ready else len(blocks)
        quota, quiet = _QUOTA, self.quiet
        while True:
            block = blocks[index]
            if block.sync is not None:
                waited = self._gather(block, frame)
                if waited is None:
                    return
                frame = waited
            self.current = index
            work = 1 + (frame.lanes.n >> 12)
            quiet.work += work
            quiet.total += work
            result = run_block(index)(machine, frame, frame.regs, frame.lanes)
            end = block.end
            if end == "jump":
                if block.sync is not None and _is_barrier(block):
                    return
                index = block.targets[0]
            elif end == "branch":
                if result.__class__ is np.ndarray:
                    count = int(np.count_nonzero(result))
                    if 0 < count < frame.lanes.n:
                        self._part(frame, block, result)
                        return
                    index = block.targets[0 if count else 1]
                else:
                    index = block.targets[0 if result else 1]
            elif end == "exit":
                self._exit(frame)
                return
            else:
                self._table(frame, block, result)
                return
            quota -= 1
            if index >= lowest or quota <= 0:
                self.put(frame, index)
                return

    def _part(self, frame: Frame, block: Block, taken: Any) -> None:
        for target, chosen in zip(block.targets, (taken, ~taken), strict=True):
            self.put(frame.child(np.flatnonzero(chosen), block.live_out), target)

    def _table(self, frame: Frame, block: Block, result: Any) -> None:
        values = np.broadcast_to(result, (frame.lanes.n,))
        for value in np.unique(values):
            # A number past the end of the table is undefined; the last entry is as good as any.
            target = block.targets[min(int(value), len(block.targets) - 1)]
            chosen = np.flatnonzero(values == value)
            whole = len(chosen) == frame.lanes.n
            self.put(frame if whole else frame.child(chosen, block.live_out), target)

    def _exit(self, frame: Frame) -> None:
        lanes = frame.lanes
        self.machine.changes += 1
        self.exited += lanes.n
        np.bitwise_or.at(self.exited_warps, lanes.warp, lanes.bit)
        self.machine.barriers.exit(lanes)

    # -- warps -------------------------------------------------------------------------------

    def _gather(self, block: Block, frame: Frame) -> Frame | None:
        """The threads that have all others of their mask beside them; the others are parked."""
        x = block.sync
        assert x is not None
        if _is_barrier(block):
            return frame
        before = self.parked.pop(block.index, None)
        if before is not None:
            frame = merge([before, frame], block.live_in)
        operand = mask_of(x)
        mask = self._mask(operand, frame)
        lanes = frame.lanes
        whole = lanes.whole_warps
        if not (whole and mask.__class__ is not np.ndarray and int(mask) == _FULL):
            elsewhere = self._elsewhere(block, lanes, mask)
            ready = self._complete(block, lanes, mask, elsewhere)
            if elsewhere is not None:
                self._release_elsewhere(block, warp.present(lanes) | elsewhere)
            if not ready.all():
                parked = np.flatnonzero(~ready)
                self.parked[block.index] = frame.child(parked, block.live_in)
                if len(parked) == lanes.n:
                    return None
                frame = frame.child(np.flatnonzero(ready), block.live_in)
        self.machine.clock.warp_wide(frame.lanes)
        return frame

    def _elsewhere(self, block: Block, lanes: Lanes, mask: Any) -> Any:
        """(warps,) the threads that wait at other ``__syncwarp``s with the same mask; or None.

        Since sm_70 it is the mask that makes a warp's barrier one, and not its place in the text.
        """
        if not _is_warp_barrier(block):
            return None
        found = None
        wanted = np.zeros(self.top.warps, np.uint64)
        wanted[lanes.warp] = mask
        for index, frame in self.parked.items():
            if index == block.index or not _is_warp_barrier(self.blocks[index]):
                continue
            theirs = self._mask(mask_of(self.blocks[index].sync), frame)
            same = np.flatnonzero(wanted[frame.lanes.warp] == theirs)
            if len(same):
                some = warp.present(Lanes(self.top, frame.lanes.index[same]))
                found = some if found is None else found | some
        return found

    def _release_elsewhere(self, block: Block, arrived: Any) -> None:
        """Threads at other places of a warp's barrier go on, if all of their mask have arrived."""
        for index in [i for i in self.parked if i != block.index]:
            other = self.blocks[index]
            if not _is_warp_barrier(other):
                continue
            frame = self.parked.pop(index)
            lanes = frame.lanes
            masks = np.broadcast_to(self._mask(mask_of(other.sync), frame), (lanes.n,))
            needed = masks.astype(np.uint64) & self.existing[lanes.warp]
            ready = (needed & ~arrived[lanes.warp]) == 0
            if ready.any():
                passed = frame.child(np.flatnonzero(ready), other.live_in)
                self.machine.clock.warp_wide(passed.lanes)
                self.put(passed, other.targets[0])
            if not ready.all():
                self.parked[index] = frame.child(np.flatnonzero(~ready), other.live_in)

    def _mask(self, operand: str | None, frame: Frame) -> Any:
        if operand is None:
            return np.uint32(_FULL)
        number = self.program.numbers.get(operand)
        if number is None:
            return np.uint32(int(operand.rstrip("uU"), 0) & _FULL)
        return frame.fetch(number)

    def _complete(self, block: Block, lanes: Lanes, mask: Any, elsewhere: Any = None) -> Any:
        """Which threads' masks are present, here or elsewhere; refuses masks that cannot be."""
        masks = np.broadcast_to(mask, (lanes.n,)).astype(np.uint64)
        outside = (masks & lanes.bit) == 0
        if outside.any():
            k = int(np.argmax(outside))
            problem = f"the thread's own lane is not in its mask {int(masks[k]):#010x}"
            self.verdicts.fail("WARP-MASK", problem, block.last, int(lanes.index[k]))
        needed = masks & self.existing[lanes.warp]
        gone = needed & self.exited_warps[lanes.warp]
        if gone.any():
            self._gone(block, lanes, masks, gone)
        arrived = warp.present(lanes)
        if elsewhere is not None:
            arrived |= elsewhere
        return (needed & ~arrived[lanes.warp]) == 0

    def _gone(self, block: Block, lanes: Lanes, masks: Any, gone: Any) -> NoReturn:
        k = int(np.argmax(gone != 0))
        names = ", ".join(map(str, bits(int(gone[k]))))
        assert block.sync is not None
        problem = f"{block.sync.op} with mask {int(masks[k]):#010x} names exited lanes ({names})"
        self.verdicts.fail("WARP-MASK", problem, block.last, int(lanes.index[k]))

    def _stuck(self) -> NoReturn:
        """No thread can run, some wait: for a thread that has exited, or for a barrier."""
        for index, frame in self.parked.items():
            block = self.blocks[index]
            mask = self._mask(mask_of(block.sync), frame) if block.sync else np.uint32(_FULL)
            self._complete(block, frame.lanes, mask)
        barriers = self.machine.barriers.waiting.values()
        waiting = [(w.block.last, w.frame.lanes) for some in barriers for w in some]
        waiting += [(self.blocks[i].last, f.lanes) for i, f in self.parked.items()]
        self.verdicts.stuck(waiting, self.exited)


class _Quiet:
    """Notices that a wave stands still: threads run, and nothing changes.

    Once memory has not changed for some rounds, the state of all frames is compared with what it
    was before: if every frame has run and all have the same registers again, they will for ever.
    Loops whose registers change (a counter, a clock) are given up after much longer.
    """

    def __init__(self, wave: _Wave) -> None:
        self.wave = wave
        self.changes = -1
        self.rounds = 0
        self.work = self.total = 0
        self.state: Any = None
        self.taken = 0
        self.retake = _LOOK
        self.ran: dict[int, int] = {}

    def look(self) -> None:
        """Called before each round."""
        changes = self.wave.machine.changes
        if changes != self.changes:
            self.changes, self.rounds, self.work = changes, 0, 0
            self.state, self.retake = None, _LOOK
        self.rounds += 1
        if self.work > _PATIENCE or self.total > _LIMIT:
            self._fail(
                f"still running after {self.total} basic blocks, the last {self.work} of them "
                "without a change of memory"
            )
        if self.rounds < _LOOK:
            return
        state = self._state()
        if state == self.state and all(
            self.ran.get(index, 0) > self.taken for index in self.wave.ready
        ):
            self._fail("threads go round and round, and nothing that they read changes")
        if self.rounds >= self.retake:
            self.state, self.taken, self.retake = state, self.rounds, 2 * self.rounds
            self.ran.clear()

    def _state(self) -> Any:
        found = []
        for index, frames in sorted(self.wave.ready.items()):
            live = bits(self.wave.blocks[index].live_in)
            for frame in frames:
                values = tuple(frame.fetch(k).tobytes() for k in live)
                found.append((index, frame.lanes.index.tobytes(), values))
        return hash(tuple(found))

    def _fail(self, why: str) -> NoReturn:
        index = min(self.wave.ready)
        frame = self.wave.ready[index][0]
        block = self.wave.blocks[index]
        pc = block.code[0][0] if block.code else block.last
        lane = int(frame.lanes.index[0])
        self.wave.verdicts.no_progress(pc, lane, why, self.wave.waiting_blocks)


def _is_warp_barrier(block: Block) -> bool:
    return block.sync is not None and ".warp" in block.sync.op


def _is_barrier(block: Block) -> bool:
    x = block.sync
    return x is not None and x.op.startswith("bar") and ".warp" not in x.op
