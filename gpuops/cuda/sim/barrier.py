"""Block barriers: who waits where, and who may go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpuops.cuda.sim.clock import Clock
from gpuops.cuda.sim.flow import Block
from gpuops.cuda.sim.frame import Frame, Topology

__all__ = ["Barriers", "Divergence", "Waiting"]


class Divergence(Exception):
    """Threads of one block wait at different places of the text.

    Args:
        first: (program counter, lane) of one.
        second: of another.
    """

    def __init__(self, first: tuple[int, int], second: tuple[int, int]) -> None:
        super().__init__("different barriers")
        self.first, self.second = first, second


@dataclass(slots=True)
class Waiting:
    """Threads that wait at a barrier.

    Attributes:
        frame: the threads.
        block: the basic block of the barrier.
        condition: what they contribute to a reduction; None for none.
        mode: ``"popc"``, ``"and"``, ``"or"``, or ``""``.
        register: number of the register for the reduction's result.
        moved_on: whether they arrived without waiting.
        counted: whether the instruction gives the number of threads: those may meet it in
            different places of the text.
    """

    frame: Frame
    block: Block
    condition: Any
    mode: str
    register: int
    moved_on: bool
    counted: bool


class Barriers:
    """The barriers of the resident blocks.

    Args:
        top: the threads.
        clock: to tell that blocks have passed.
        resume: called with a frame and the number of the basic block where it goes on.
    """

    def __init__(self, top: Topology, clock: Clock, resume: Callable[[Frame, int], None]) -> None:
        self.top, self.clock, self.resume = top, clock, resume
        self.waiting: dict[int, list[Waiting]] = {}
        self.arrived: dict[int, Any] = {}
        self.needed: dict[int, int | None] = {}
        self.exited = np.zeros(top.count, np.int64)

    def arrive(self, number: int, count: int | None, new: Waiting) -> None:
        """Threads arrive at a barrier.

        Args:
            number: of the barrier.
            count: threads that it takes; None for all of the block.
            new: who and where.
        """
        top, lanes = self.top, new.frame.lanes
        count = None if count == top.threads else count
        if number not in self.waiting:
            self.waiting[number] = []
            self.arrived[number] = np.zeros(top.count, np.int64)
        self.needed[number] = count
        self.waiting[number].append(new)
        self.arrived[number] += np.bincount(lanes.block, minlength=top.count)
        if new.moved_on:
            self.resume(new.frame, new.block.targets[0])
        self.release(number)

    def exit(self, lanes: Any) -> None:
        """Threads end; barriers do not wait for them."""
        self.exited += np.bincount(lanes.block, minlength=self.top.count)
        gone = self.exited >= self.top.threads
        if gone.any():
            self.clock.end(gone)
        for number in list(self.waiting):
            self.release(number)

    def release(self, number: int) -> None:
        """Let the blocks go on whose barrier is complete."""
        arrived, count = self.arrived[number], self.needed[number]
        if count is None:
            done = (arrived + self.exited >= self.top.threads) & (arrived > 0)
        else:
            done = arrived >= count
        if not done.any():
            return
        waiting = self.waiting.pop(number)
        self.arrived.pop(number)
        every = bool((done | (arrived == 0)).all())
        if not any(w.counted for w in waiting) and len({w.block.index for w in waiting}) > 1:
            self._same_place(waiting, done)
        self.clock.barrier(done)
        results = self._reduce(waiting, done)
        rest: list[Waiting] = []
        for w in waiting:
            passed = np.True_ if every else done[w.frame.lanes.block]
            if not every and not passed.any():
                rest.append(w)
                continue
            frame = w.frame
            if not passed.all():
                stay = np.flatnonzero(~passed)
                condition = w.condition
                if condition.__class__ is np.ndarray:
                    condition = condition[stay]
                kept = frame.child(stay, w.block.live_out)
                rest.append(replace(w, frame=kept, condition=condition))
                frame = frame.child(np.flatnonzero(passed), w.block.live_out)
            if w.register >= 0:
                values = results[frame.lanes.block].astype(np.bool_ if w.mode != "popc" else "u4")
                frame.regs[w.register] = values[0] if len(values) == 1 else values
            if not w.moved_on:
                self.resume(frame, w.block.targets[0])
        if rest:
            self.waiting[number] = rest
            self.arrived[number] = np.where(done, 0, arrived)

    def _reduce(self, waiting: list[Waiting], done: Any) -> Any:
        """(blocks,) the result of a barrier with a reduction."""
        if waiting[0].register < 0:
            return None
        total = np.zeros(self.top.count)
        number = np.zeros(self.top.count)
        for w in waiting:
            block = w.frame.lanes.block
            weights = np.broadcast_to(w.condition, block.shape).astype(float)
            total += np.bincount(block, weights=weights, minlength=self.top.count)
            number += np.bincount(block, minlength=self.top.count)
        mode = waiting[0].mode
        return total if mode == "popc" else total == number if mode == "and" else total > 0

    def _same_place(self, waiting: list[Waiting], done: Any) -> None:
        """Refuse that one block's threads meet at different barriers of the text."""
        seen: dict[int, tuple[int, int]] = {}
        for w in waiting:
            lanes = w.frame.lanes
            mine = done[lanes.block]
            blocks, first = np.unique(lanes.block[mine], return_index=True)
            for block, k in zip(blocks.tolist(), first.tolist(), strict=True):
                here = w.block.last, int(lanes.index[mine][k])
                there = seen.setdefault(block, here)
                if there[0] != here[0]:
                    raise Divergence(there, here)
