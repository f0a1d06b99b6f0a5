"""The order of events in a launch: what happened when, and which barriers and fences came since."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.cuda.sim.frame import Lanes, Topology

__all__ = ["Clock"]

_NEVER_AGAIN = 1 << 60


class Clock:
    """Numbers the events of a launch.

    Args:
        single_block: whether the launch has one block only: its barriers then order all threads.
        fences: whether the kernel has fences at all.

    Attributes:
        now: number of the latest event.
        events: by number: the access it was.
        launch_floor: what happened up to here is ordered before everything from now on.
        wave_start: number of the last event before the blocks now resident started.
        block_sync: (blocks,) number at the block's latest barrier.
        warp_sync: (warps,) number at the warp's latest warp-wide instruction.
        floor: the least of `block_sync`, over blocks that have not ended.
        released: (lanes,) what the thread did up to here was followed by a fence.
        acquired: (lanes,) number of the thread's latest look at what others signal.
    """

    def __init__(self, single_block: bool, fences: bool) -> None:
        self.single_block, self.fences = single_block, fences
        self.now = 0
        self.events: list[Any] = [None]
        self.launch_floor = self.wave_start = self.floor = 0
        self.block_sync: Any = None
        self.warp_sync: Any = None
        self.released: Any = None
        self.acquired: Any = None

    def start_wave(self, top: Topology) -> None:
        """New blocks become resident: the shared memory they get is nobody else's."""
        self.wave_start = self.floor = self.now
        self.block_sync = np.full(top.count, self.now, np.int64)
        self.warp_sync = np.full(top.warps, self.now, np.int64)
        if self.fences:
            self.released = np.full(top.lanes, self.now, np.int64)
            self.acquired = np.full(top.lanes, self.now, np.int64)
            self._block_looked = np.full(top.count, self.now, np.int64)
            self._warp_looked = np.full(top.warps, self.now, np.int64)
            self._block_acquired = self._block_looked.copy()
            self._warp_acquired = self._warp_looked.copy()

    def barrier(self, blocks: Any) -> None:
        """The blocks (numbers or a mask) have passed a barrier."""
        self.block_sync[blocks] = self.now
        self.floor = int(self.block_sync.min())
        if self.fences:
            self._block_acquired[blocks] = self._block_looked[blocks]

    def end(self, blocks: Any) -> None:
        """All threads of the blocks have exited."""
        self.block_sync[blocks] = _NEVER_AGAIN
        self.floor = min(int(self.block_sync.min()), self.now)

    def warp_wide(self, lanes: Lanes) -> None:
        """The warps of these threads have executed a warp-wide instruction."""
        self.warp_sync[lanes.warp] = self.now
        if self.fences:
            self._warp_acquired[lanes.warp] = self._warp_looked[lanes.warp]

    def acquire(self, lanes: Lanes) -> None:
        """These threads have read something by which others may signal.

        What one thread of a block has seen, all have after a barrier; likewise for a warp.
        """
        self.now += 1
        self.events.append(None)
        self.acquired[lanes.index] = self.now
        self._block_looked[lanes.block] = self.now
        self._warp_looked[lanes.warp] = self.now

    def seen(self, lanes: Lanes) -> Any:
        """(n,) number of the latest look that each thread knows the result of."""
        found = np.maximum(self.acquired[lanes.index], self._block_acquired[lanes.block])
        return np.maximum(found, self._warp_acquired[lanes.warp])

    def fence(self, lanes: Lanes) -> None:
        """These threads have executed a fence.

        It covers what they did, and what their block and warp did before the latest barrier they
        took part in: fences are cumulative.
        """
        top = lanes.top
        blocks = np.unique(lanes.block)
        for block in blocks.tolist():
            share = slice(block * top.threads, (block + 1) * top.threads)
            before = min(int(self.block_sync[block]), self.now)
            np.maximum(self.released[share], before, out=self.released[share])
        self.released[lanes.index] = self.now
        # Threads of the same warp: up to the latest warp-wide instruction.
        for warp in np.unique(lanes.warp).tolist() if top.threads > 1 else ():
            block, place = divmod(warp, top.warps_per_block)
            start = block * top.threads + 32 * place
            share = slice(start, min(start + 32, (block + 1) * top.threads))
            before = int(self.warp_sync[warp])
            np.maximum(self.released[share], before, out=self.released[share])
