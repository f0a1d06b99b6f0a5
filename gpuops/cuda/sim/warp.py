"""Warp-wide operations on the values of a frame's threads.

Where the frame consists of whole warps, values are rows of 32; that is the quick way. Values of
threads that do not take part are never used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.cuda.sim.arith import Value
from gpuops.cuda.sim.frame import Lanes, Topology

__all__ = ["WarpFault", "activemask", "elect", "existing", "match", "redux", "shuffle", "vote"]

_U4, _U8 = np.uint32, np.uint64
_FULL = 0xFFFFFFFF
_PLACES = np.arange(32, dtype=np.int64)
_REDUCE = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}


class WarpFault(Exception):
    """A shuffle that reads a thread which does not take part.

    Args:
        problem: in words.
        lane: the thread at fault.
    """

    def __init__(self, problem: str, lane: int) -> None:
        super().__init__(problem)
        self.problem, self.lane = problem, lane


def existing(top: Topology) -> Any:
    """(warps,) bit set of the threads each warp has; the last warp of a block may be short."""
    return (_U8(1) << top.members.astype(_U8)) - _U8(1)


def present(lanes: Lanes) -> Any:
    """(warps,) bit set of the threads that are in a frame."""
    return _sum_bits(lanes, lanes.bit)


def _sum_bits(lanes: Lanes, weights: Any) -> Any:
    # Sums of distinct bits below 2^32 are exact in float64.
    return np.bincount(lanes.warp, weights=weights, minlength=lanes.top.warps).astype(_U8)


def _full(value: Value, n: int) -> Any:
    return value if value.__class__ is np.ndarray else np.full(n, value)


def _sources(place: Any, lane: Any, clamp: Any, mode: str) -> tuple[Any, Any]:
    """(place each thread reads, whether that is inside its segment), as PTX's ``shfl`` says."""
    segment, bound = clamp >> 8 & 31, clamp & 31
    operand = lane & 31
    last = (place & segment) | (bound & ~segment & 31)
    if mode == "up":
        source = place - operand
        inside = source >= last
    else:
        first = place & segment
        if mode == "down":
            source = place + operand
        elif mode == "bfly":
            source = place ^ operand
        else:
            source = first | (operand & ~segment & 31)
        inside = source <= last
    return np.where(inside, source, place), inside


def shuffle(lanes: Lanes, value: Value, lane: Value, clamp: Value, mode: str) -> Any:
    """(what each thread reads, whether its source was inside its segment)."""
    n = lanes.n
    uniform = lane.__class__ is not np.ndarray and clamp.__class__ is not np.ndarray
    if uniform and lanes.whole_warps:
        source, inside = _sources(_PLACES, int(lane), int(clamp), mode)
        if value.__class__ is np.ndarray:
            value = value.reshape(-1, 32).take(source, axis=1).reshape(-1)
        return value, np.True_ if inside.all() else np.tile(inside, n // 32)
    place = lanes.lane
    source, inside = _sources(
        place, _full(lane, n).astype(np.int64), _full(clamp, n).astype(np.int64), mode
    )
    top = lanes.top
    origin = lanes.index - place + source
    members = top.members[lanes.warp]
    exists = source < members
    taking_part = (present(lanes)[lanes.warp] >> source.astype(_U8) & _U8(1)).astype(bool)
    absent = exists & ~taking_part
    if absent.any():
        k = int(np.argmax(absent))
        raise WarpFault(
            f"shuffle reads lane {int(source[k])}, which does not take part",
            int(lanes.index[k]),
        )
    everyone = np.full(top.lanes, _U4(_FULL))
    everyone[lanes.index] = value
    found = np.where(exists, everyone[np.minimum(origin, top.lanes - 1)], _U4(_FULL))
    return _squeeze(found), _squeeze(inside)


def _squeeze(values: Any) -> Any:
    """An array of one element as a scalar: what a frame of one thread holds."""
    return values[0] if len(values) == 1 else values


def vote(lanes: Lanes, value: Value, mask: Value, mode: str) -> Any:
    """Ballot, all, any or uni of a predicate."""
    whole = mask.__class__ is not np.ndarray and int(mask) == _FULL and lanes.whole_warps
    if whole:
        if value.__class__ is not np.ndarray:
            if mode == "ballot":
                return _U4(_FULL) if value else _U4(0)
            return np.True_ if mode == "uni" else value
        rows = value.reshape(-1, 32)
        if mode == "ballot":
            packed = np.packbits(rows, axis=1, bitorder="little").view("<u4")[:, 0]
            return np.repeat(packed, 32)
        if mode == "uni":
            return np.repeat((rows == rows[:, :1]).all(axis=1), 32)
        return np.repeat(rows.all(axis=1) if mode == "all" else rows.any(axis=1), 32)
    ballot = _sum_bits(lanes, np.where(value, lanes.bit, _U8(0)))[lanes.warp]
    some = _full(mask, lanes.n).astype(_U8)
    ballot &= some
    if mode == "ballot":
        return _squeeze(ballot.astype(_U4))
    everyone = some & existing(lanes.top)[lanes.warp]
    full, none = ballot == everyone, ballot == 0
    return _squeeze({"all": full, "any": ~none, "uni": full | none}[mode])


def match(lanes: Lanes, value: Value, mask: Value, everyone: bool) -> tuple[Any, Any]:
    """(threads of the mask with the same value, whether they are all equal)."""
    top, n = lanes.top, lanes.n
    values = _full(value, n)
    some = _full(mask, n).astype(_U8)
    table = np.zeros((top.warps, 32), values.dtype)
    table[lanes.warp, lanes.lane] = values
    here = present(lanes)[lanes.warp] & some
    bits = _U8(1) << np.arange(32, dtype=_U8)
    same = (table[lanes.warp] == values[:, None]) & ((here[:, None] & bits) != 0)
    found = np.where(same, bits, _U8(0)).sum(axis=1, dtype=_U8)
    if not everyone:
        return _squeeze(found.astype(_U4)), np.True_
    equal = found == (some & existing(top)[lanes.warp])
    return _squeeze(np.where(equal, found, _U8(0)).astype(_U4)), _squeeze(equal)


def redux(lanes: Lanes, value: Value, mask: Value, operation: str) -> Any:
    """The reduction of a value over the threads of each mask."""
    function = _REDUCE[operation]
    values = _full(value, lanes.n)
    if mask.__class__ is not np.ndarray and int(mask) == _FULL and lanes.whole_warps:
        rows = function.reduce(values.reshape(-1, 32), axis=1, dtype=values.dtype)
        return np.repeat(rows, 32)
    some = _full(mask, lanes.n).astype(_U8)
    keys = (lanes.warp.astype(_U8) << _U8(32)) | some
    order = np.argsort(keys, kind="stable")
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    starts = np.searchsorted(keys[order], keys[first])
    totals = function.reduceat(values[order], np.sort(starts), dtype=values.dtype)
    return _squeeze(totals[inverse.reshape(-1)])


def activemask(lanes: Lanes) -> Any:
    """The threads of the warp that execute together."""
    if lanes.whole_warps:
        return _U4(_FULL)
    return _squeeze(present(lanes)[lanes.warp].astype(_U4))


def elect(lanes: Lanes, mask: Value) -> tuple[Any, Any]:
    """(place of the lowest thread of the mask, whether the thread is that one)."""
    some = _full(mask, lanes.n).astype(_U8) & existing(lanes.top)[lanes.warp]
    lowest = np.bitwise_count((some & (~some + _U8(1))) - _U8(1)).astype(_U4)
    return _squeeze(lowest), _squeeze(lowest == lanes.lane)
