"""Turns what went wrong inside a wave into the public error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from gpuops.cuda.sim.barrier import Divergence
from gpuops.cuda.sim.frame import Lanes, Topology
from gpuops.cuda.sim.memory import Memory, Overwrite
from gpuops.cuda.sim.ptx import Instruction
from gpuops.cuda.sim.report import Source
from gpuops.cuda.sim.shadow import Race

__all__ = ["Verdicts"]


class Verdicts:
    """Knows threads, memory and source, and writes messages.

    Args:
        source: of the kernel.
        code: its instructions.
        top: the resident threads.
        memory: of the wave.
    """

    def __init__(
        self, source: Source, code: Sequence[Instruction], top: Topology, memory: Memory
    ) -> None:
        self.source, self.code, self.top, self.memory = source, code, top, memory

    def who(self, lane: int) -> str:
        """A thread in words."""
        if lane < 0:
            return "a thread of an earlier block"
        thread, block = self.top.position(lane)
        return f"thread {thread} of block {block}"

    def place(self, pc: int) -> str:
        """Where an instruction comes from."""
        return self.source.describe(self.code[pc])

    def fail(
        self, kind: str, problem: str, pc: int, lane: int | None = None, also: Sequence[str] = ()
    ) -> NoReturn:
        """Raise the error of a kind.

        Args:
            kind: as of `SimulationError`.
            problem: in words.
            pc: of the instruction at fault.
            lane: the thread at fault; None for no single one.
            also: further lines of the message.
        """
        position = None if lane is None else self.top.position(lane)
        raise self.source.error(kind, problem, self.code[pc], position, also) from None

    def race(self, race: Race) -> NoReturn:
        """Two accesses that nothing orders."""
        found = race.conflict
        if found.shadow is self.memory.shared.shadow:
            where = self.memory.shared.name_of(found.where)
        else:
            windows = self.memory.windows.values()
            window = next(w for w in windows if w.shadow is found.shadow)
            where = window.place(found.where)
        other = self.who(found.other_lane)
        what = f"race: {found.access.words} at {where}"
        if found.pending:
            problem = f"{what}, whose cp.async by {other} is not waited for"
        else:
            problem = f"{what} is not ordered after the {found.other.words} by {other}"
        also = [f"after {self.place(found.other.pc)}"]
        self.fail("RACE", problem, found.access.pc, found.lane, also)

    def overwrite(self, lost: Overwrite) -> NoReturn:
        """Different values for one place from one instruction."""
        problem = (
            f"race: {lost.access.words} at {lost.where}, to which {self.who(lost.other)} writes "
            "another value in the same instruction"
        )
        self.fail("RACE", problem, lost.access.pc, lost.lane)

    def divergence(self, found: Divergence) -> NoReturn:
        """Threads of a block at different barriers."""
        (first, lane), (second, other) = found.first, found.second
        problem = (
            f"barrier divergence: one barrier is waited for in two places of the text, by this "
            f"thread and by {self.who(other)}"
        )
        self.fail("BARRIER-DIVERGENCE", problem, first, lane, [f"and {self.place(second)}"])

    def stuck(self, waiting: Sequence[tuple[int, Lanes]], exited: int) -> NoReturn:
        """No thread can run: `waiting` are (program counter, threads), `exited` have ended."""
        pc, lanes = waiting[0]
        several = len(waiting) > 1 or exited
        words = "barrier divergence" if several else "no progress"
        problem = f"{words}: no thread can run: {lanes.n} wait here"
        also = [f"{some.n} wait, {self.who(int(some.index[0]))} first, at {self.place(at)}"
                for at, some in waiting[1:]]  # fmt: skip
        if exited:
            problem += f", {exited} threads have exited"
        kind = "BARRIER-DIVERGENCE" if several else "NO-PROGRESS"
        self.fail(kind, problem, pc, int(lanes.index[0]), also)

    def no_progress(self, pc: int, lane: int, why: str, later: int) -> NoReturn:
        """Threads run and nothing changes; `later` blocks have not started."""
        problem = f"no progress: {why}"
        if later:
            problem += (
                f"; {later} blocks have not started, since only {self.top.count} of this size are "
                "resident at once, and these wait for each other or for those"
            )
        self.fail("NO-PROGRESS", problem, pc, lane)

    def broken(self, error: Exception, pc: int) -> NoReturn:
        """The simulator itself failed: nothing but its own error may leave it."""
        words = "unsupported instruction in this basic block: the simulator failed with"
        problem = f"{words} {type(error).__name__}: {error}"
        x = self.code[min(pc, len(self.code) - 1)]
        raise self.source.error("UNSUPPORTED", problem, x) from error
