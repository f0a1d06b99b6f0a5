"""Frames: sets of threads that execute together, with their registers.

A register holds a NumPy scalar while it is the same in all threads of the frame, else an array with
an element a thread. Values are never changed in place, so frames share them freely. Where threads
part, each side becomes a child of the frame that was split: a register is gathered when the child
first reads it, and one that no side has written is not touched when the sides meet again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["Frame", "Lanes", "Topology", "bits", "merge"]

# Beyond this many unfinished splits a frame takes its registers over: chains of parents would
# otherwise grow with every turn of a loop that threads leave one by one.
_DEPTH = 6


def bits(mask: int) -> list[int]:
    """The numbers of the ones of a bit set.

    >>> bits(0b10110)
    [1, 2, 4]
    """
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


class Topology:
    """The threads of the blocks that are resident at once; a thread is known by its lane.

    Args:
        grid: blocks along x, y and z.
        block: threads along x, y and z.
        count: resident blocks.
        first: number of the first of them in the grid.

    Attributes:
        threads: per block.
        lanes: threads in all.
        thread: (lanes,) the thread's number in its block.
        block_of: (lanes,) the block's number among the resident ones.
        warp_of: (lanes,) the warp's number among the resident ones.
        lane_of: (lanes,) 0 to 31.
    """

    def __init__(
        self, grid: tuple[int, int, int], block: tuple[int, int, int], count: int, first: int
    ) -> None:
        self.grid, self.block, self.count, self.first = grid, block, count, first
        self.threads = block[0] * block[1] * block[2]
        self.lanes = count * self.threads
        self.warps_per_block = -(-self.threads // 32)
        everyone = np.arange(self.lanes, dtype=np.int64)
        self.thread = everyone % self.threads
        self.block_of = everyone // self.threads
        self.warp_of = self.block_of * self.warps_per_block + self.thread // 32
        self.lane_of = self.thread % 32
        self.warps = count * self.warps_per_block
        # Whether lane = 32 * warp + place in the warp: warps can then be rows of an array.
        self.regular = self.threads % 32 == 0
        self.members = np.bincount(self.warp_of, minlength=self.warps)

    def moved(self, count: int, first: int) -> Topology:
        """The same for other resident blocks."""
        if count != self.count:
            return Topology(self.grid, self.block, count, first)
        other = object.__new__(Topology)
        other.__dict__.update(self.__dict__, first=first)
        return other

    def position(self, lane: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """(thread, block), each along x, y and z."""
        thread, block = lane % self.threads, self.first + lane // self.threads
        return _unravel(thread, self.block), _unravel(block, self.grid)


def _unravel(number: int, sizes: tuple[int, int, int]) -> tuple[int, int, int]:
    return number % sizes[0], number // sizes[0] % sizes[1], number // (sizes[0] * sizes[1])


class Lanes:
    """A set of threads in ascending order, with what is computed about them once.

    Attributes:
        top: the topology.
        index: (n,) their lanes.
        n: how many.
    """

    __slots__ = ("_special", "_uniform_block", "_whole", "block", "index", "n", "top")

    def __init__(self, top: Topology, index: Any) -> None:
        self.top, self.index, self.n = top, index, len(index)
        self.block = top.block_of[index] if self.n != top.lanes else top.block_of
        self._special: dict[str, Any] = {}
        self._whole: bool | None = None
        self._uniform_block: int | None = None

    @property
    def one_block(self) -> int | None:
        """The block that all are in; None if they are in several."""
        if self._uniform_block is None:
            first = int(self.block[0])
            self._uniform_block = first if first == int(self.block[-1]) else -1
        return None if self._uniform_block < 0 else self._uniform_block

    @property
    def whole_warps(self) -> bool:
        """Whether they are rows of 32 lanes, each a warp."""
        if self._whole is None:
            warp = self.warp
            self._whole = bool(
                self.top.regular
                and self.n % 32 == 0
                and (self.n == self.top.lanes or (warp[::32] == warp[31::32]).all())
            )
        return self._whole

    @property
    def warp(self) -> Any:
        """(n,) the warp's number."""
        return self._cached("warp", lambda: self.top.warp_of[self.index])

    @property
    def lane(self) -> Any:
        """(n,) the place in the warp."""
        return self._cached("lane", lambda: self.top.lane_of[self.index])

    @property
    def bit(self) -> Any:
        """(n,) the place in the warp as a bit, uint64."""
        return self._cached("bit", lambda: np.uint64(1) << self.lane.astype(np.uint64))

    def _cached(self, name: str, make: Any) -> Any:
        found = self._special.get(name)
        if found is None:
            found = self._special[name] = make()
        return found

    def special(self, name: str) -> Any:
        """The value of a special register such as ``%tid.x``: uint32, a scalar where uniform."""
        return self._cached(name, lambda: self._compute(name))

    def _compute(self, name: str) -> Any:
        top, u4 = self.top, np.uint32
        base, _, axis = name.partition(".")
        k = "xyz".find(axis) if axis else 0
        if base == "%ntid":
            return u4(top.block[k])
        if base == "%nctaid":
            return u4(top.grid[k])
        if base == "%tid":
            thread = top.thread[self.index]
            return _compact(thread // int(np.prod(top.block[:k])) % top.block[k])
        if base == "%ctaid":
            block = self.block if self.one_block is None else self.block[:1]
            number = top.first + block
            return _compact(number // int(np.prod(top.grid[:k])) % top.grid[k])
        if base == "%laneid":
            return _compact(self.lane)
        if base == "%warpid":
            return _compact(top.thread[self.index] // 32)
        if base == "%nwarpid":
            return u4(top.warps_per_block)
        below = self.bit - np.uint64(1)
        mask = {
            "%lanemask_eq": self.bit,
            "%lanemask_lt": below,
            "%lanemask_le": below | self.bit,
            "%lanemask_ge": ~below,
            "%lanemask_gt": ~(below | self.bit),
        }[name]
        return _compact(mask & np.uint64(0xFFFFFFFF))


def _compact(values: Any) -> Any:
    """As uint32; a scalar if all are equal."""
    values = values.astype(np.uint32)
    first = values[0]
    return first if len(values) == 1 or (values == first).all() else values


class Frame:
    """Threads that are at the same place of the program, and their registers.

    Attributes:
        lanes: the threads.
        regs: by register number: its value, or None while it has to come from the parent.
        parent: the frame this one was split off; None if it has all its registers.
        chosen: the threads' positions in the parent: an array, or an int for a single thread.
        depth: how many parents there are above.
    """

    __slots__ = ("chosen", "depth", "lanes", "parent", "regs")

    def __init__(
        self, lanes: Lanes, regs: list[Any], parent: Frame | None = None, chosen: Any = None
    ) -> None:
        self.lanes, self.regs, self.parent, self.chosen = lanes, regs, parent, chosen
        self.depth: int = 0 if parent is None else parent.depth + 1

    def fetch(self, number: int) -> Any:
        """A register, from the parent if this frame does not have it yet."""
        value = self.regs[number]
        if value is None:
            assert self.parent is not None
            value = self.parent.fetch(number)
            if value.__class__ is np.ndarray:
                value = value[self.chosen]
            self.regs[number] = value
        return value

    def full(self, number: int) -> Any:
        """A register as an array."""
        value = self.fetch(number)
        return value if value.__class__ is np.ndarray else np.full(self.lanes.n, value)

    def child(self, positions: Any, live: int) -> Frame:
        """The frame of the threads at `positions`.

        `live` are the registers that any of this frame's threads needs from here on.
        """
        if self.depth >= _DEPTH:
            self.settle(live)
        lanes = Lanes(self.lanes.top, self.lanes.index[positions])
        chosen = positions if len(positions) > 1 else int(positions[0])
        return Frame(lanes, [None] * len(self.regs), self, chosen)

    def settle(self, live: int) -> None:
        """Take the live registers over and let the parents go."""
        for number in bits(live):
            self.fetch(number)
        self.parent, self.chosen, self.depth = None, None, 0

    def rise(self, live: int) -> None:
        """Become a child of the parent's parent."""
        parent = self.parent
        assert parent is not None
        for number in bits(live):
            if self.regs[number] is None and parent.regs[number] is not None:
                self.fetch(number)
        if parent.parent is None:
            self.parent, self.chosen = None, None
        else:
            self.parent = parent.parent
            self.chosen = parent.chosen[self.chosen]
            if self.lanes.n == 1:
                self.chosen = int(self.chosen)
        self.depth = parent.depth


def merge(frames: Sequence[Frame], live: int) -> Frame:
    """One frame of the threads of several that are at the same place.

    Args:
        frames: with no thread in common.
        live: bit set of the registers that are needed from here on.
    """
    found = list(frames)
    while len(found) > 1:
        depth = max(f.depth for f in found)
        families: dict[int, list[Frame]] = defaultdict(list)
        rest = []
        for frame in found:
            if frame.depth == depth:
                families[id(frame.parent)].append(frame)
            else:
                rest.append(frame)
        for family in families.values():
            one = family[0] if len(family) == 1 else _join(family, live)
            if depth and one.depth == depth and (rest or len(families) > 1):
                one.rise(live)
            rest.append(one)
        found = rest
    return found[0]


def _join(family: list[Frame], live: int) -> Frame:
    """Siblings as one frame; as their parent, where they are all of it."""
    parent = family[0].parent
    top = family[0].lanes.top
    if parent is None:
        places = [f.lanes.index for f in family]
    else:
        places = [np.atleast_1d(f.chosen) for f in family]
    everyone = np.sort(np.concatenate(places))
    if parent is not None and len(everyone) == parent.lanes.n:
        joined = Frame(parent.lanes, list(parent.regs), parent.parent, parent.chosen)
        positions = places
    else:
        index = everyone if parent is None else parent.lanes.index[everyone]
        chosen = None if parent is None else everyone
        regs = [None] * len(family[0].regs)
        joined = Frame(Lanes(top, index), regs, parent, chosen)
        positions = [np.searchsorted(everyone, p) for p in places]
    for number in bits(live):
        values = [f.regs[number] for f in family]
        if parent is not None and all(v is None for v in values):
            continue
        values = [f.fetch(number) for f in family]
        joined.regs[number] = _combine(values, positions, joined.lanes.n)
    return joined


def _combine(values: Iterable[Any], positions: list[Any], n: int) -> Any:
    values = list(values)
    first = values[0]
    if first.__class__ is not np.ndarray and all(
        v is first or (v.__class__ is not np.ndarray and v.tobytes() == first.tobytes())
        for v in values
    ):
        return first
    out = np.empty(n, first.dtype)
    for value, where in zip(values, positions, strict=True):
        out[where] = value
    return out
