"""Atomic operations: the threads of a frame take their turns in the order of their lanes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.cuda.sim.arith import bf16_down, bf16_up, pack_x2, unpack_x2

__all__ = ["apply"]

_PLAIN: dict[str, Any] = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}


def _function(operation: str, element: str) -> Any:
    """(old, operands) -> new, for an operation on a PTX type."""
    if operation == "cas":
        return lambda old, v: np.where(old == v[0], v[1], old)
    if operation == "exch":
        return lambda old, v: v[0]
    if operation == "inc":
        return lambda old, v: np.where(old >= v[0], old.dtype.type(0), old + old.dtype.type(1))
    if operation == "dec":
        one = np.uint32(1)
        return lambda old, v: np.where((old == 0) | (old > v[0]), v[0], old - one)
    plain = _PLAIN[operation]
    if element == "bf16":
        return lambda old, v: bf16_down(plain(bf16_up(old), bf16_up(v[0])))
    if element in ("f16x2", "bf16x2"):
        bfloat = element == "bf16x2"
        return lambda old, v: np.atleast_1d(
            pack_x2(plain(unpack_x2(old, bfloat), unpack_x2(v[0], bfloat)), bfloat)
        )
    return lambda old, v: plain(old, v[0])


def apply(
    memory: Any, at: Any, values: list[Any], operation: str, element: str, wanted: bool
) -> tuple[Any, bool]:
    """Do the operations.

    Args:
        memory: elements of the type's NumPy form.
        at: (n,) index of each thread's element.
        values: operands, each (n,).
        operation: such as ``"add"``.
        element: PTX type.
        wanted: whether old values are needed.

    Returns:
        The old values (None if not wanted), and whether any memory changed.
    """
    simple = element in ("u32", "s32", "u64", "s64", "b32", "b64", "f32", "f64")
    if not wanted and simple and operation in _PLAIN:
        before = None if operation == "add" else memory[at]
        _PLAIN[operation].at(memory, at, values[0])
        changed = values[0] != 0 if before is None else memory[at] != before
        return None, bool(changed.any())
    function = _function(operation, element)
    order = np.argsort(at, kind="stable")
    sorted_at = at[order]
    first = np.empty(len(at), bool)
    first[:1] = True
    np.not_equal(sorted_at[1:], sorted_at[:-1], out=first[1:])
    if first.all():
        old = memory[at]
        new = function(old, values)
        memory[at] = new
        return old, bool((new != old).any())
    starts = np.flatnonzero(first)
    turn = np.arange(len(at)) - np.repeat(starts, np.diff(np.append(starts, len(at))))
    if operation == "add" and memory.dtype.kind in "iu" and simple:
        old = _add_integers(memory, at, values[0], order, starts, first)
        return old, bool(values[0].any())
    out = np.empty(len(at), memory.dtype)
    changed = False
    if operation == "cas":
        return _compare_and_swap(memory, at, values, order, starts, out)
    by_turn = np.argsort(turn, kind="stable")
    bounds = np.searchsorted(turn[by_turn], np.arange(int(turn.max()) + 2))
    for k in range(len(bounds) - 1):
        some = order[by_turn[bounds[k] : bounds[k + 1]]]
        old = memory[at[some]]
        new = function(old, [v[some] for v in values])
        memory[at[some]] = new
        out[some] = old
        changed = changed or bool((new != old).any())
    return out, changed


def _add_integers(memory: Any, at: Any, value: Any, order: Any, starts: Any, first: Any) -> Any:
    """Sums that wrap around may be formed in any order: all prefixes at once."""
    ordered = value[order]
    before = np.cumsum(ordered, dtype=memory.dtype) - ordered
    group = np.cumsum(first) - 1
    out = np.empty(len(at), memory.dtype)
    out[order] = memory[at[order]] + (before - before[starts][group])
    np.add.at(memory, at, value)
    return out


def _compare_and_swap(
    memory: Any, at: Any, values: list[Any], order: Any, starts: Any, out: Any
) -> tuple[Any, bool]:
    """One after the other, but as many at once as do not see each other's result."""
    changed = False
    compare, new = values
    active = order
    while len(active):
        places = at[active]
        current = memory[places]
        out[active] = current
        hits = np.flatnonzero(current == compare[active])
        if not len(hits):
            break
        hit_places, k = np.unique(places[hits], return_index=True)
        winners = hits[k]
        changed = changed or bool((memory[hit_places] != new[active[winners]]).any())
        memory[hit_places] = new[active[winners]]
        # Those after a place's winner see the new value and have another try.
        which = np.searchsorted(hit_places, places)
        which[which == len(hit_places)] = 0
        later = (hit_places[which] == places) & (np.arange(len(active)) > winners[which])
        active = active[later]
    return out, changed
