"""Which bits of a register anything depends on.

NVRTC loads a structure's bytes by the word, padding included, and takes the fields out of it. So a
load is a defect only if a byte on which a result depends was never written. Bits are followed
backwards through moves, logic, shifts, conversions, bit fields and permutations of bytes; any other
instruction depends on all bits of its operands. A store of what a load gave counts for nothing: it
copies.
"""

from __future__ import annotations

from gpuops.cuda.sim.flow import destinations, registers_in
from gpuops.cuda.sim.ptx import SIZES, Function, Instruction, split

__all__ = ["demanded_bits"]

_ALL = (1 << 64) - 1


def demanded_bits(function: Function) -> dict[str, int]:
    """For each register the bits that matter, as a mask."""
    demand = dict.fromkeys(function.registers, 0)
    computed = {
        name
        for x in function.code
        if not x.op.startswith(("ld", "mov"))
        for name in destinations(x, demand)
    }
    steps = [(x, destinations(x, demand)) for x in reversed(function.code)]
    changed = True
    while changed:
        changed = False
        for x, targets in steps:
            for operand, mask in _demands(x, targets, demand, computed):
                for name in registers_in(operand, demand):
                    if mask & ~demand[name]:
                        demand[name] |= mask
                        changed = True
            if x.guard and not demand.get(x.guard, 1):
                demand[x.guard] = 1
                changed = True
    return demand


def _demands(
    x: Instruction, targets: list[str], demand: dict[str, int], computed: set[str]
) -> list[tuple[str, int]]:
    """(operand, bits of it that matter) of an instruction."""
    root, args = x.op.partition(".")[0], x.args
    if root == "st":
        stored = (1 << 8 * SIZES.get(x.parts[-1], 8)) - 1
        values = [r for r in registers_in(args[1], demand) if r in computed]
        return [(args[0], _ALL), *((value, stored) for value in values)]
    if not targets or root in ("atom", "call") or "volatile" in x.op:
        return [(operand, _ALL) for operand in args]
    wanted = 0
    for name in targets:
        wanted |= demand.get(name, 0)
    if not wanted:
        return []
    known = _followed(x, wanted, demand)
    return [(operand, _ALL) for operand in args[1:]] if known is None else known


def _followed(x: Instruction, wanted: int, demand: dict[str, int]) -> list[tuple[str, int]] | None:
    """`_demands` of the instructions through which bits are followed; None for all others."""
    parts, args = x.parts, x.args
    root, kind = parts[0], parts[-1]
    if root == "mov":
        return _moved(x, wanted, demand)
    if root in ("and", "or", "xor", "not") and kind != "pred":
        constant = _constant(args[2]) if root == "and" and len(args) > 2 else None
        mask = wanted if constant is None else wanted & constant
        return [(operand, mask) for operand in args[1:]]
    if root == "selp":
        return [(args[1], wanted), (args[2], wanted), (args[3], 1)]
    if root in ("shl", "shr"):
        return _shifted(root, kind, args, wanted)
    if root == "cvt" and parts[-2][0] in "usb" and kind[0] in "usb" and "f" not in kind:
        return [(args[1], _converted(parts[-2], kind, wanted))]
    if root == "bfe":
        position, length = _constant(args[2]), _constant(args[3])
        if position is not None and length is not None:
            return [(args[1], ((1 << length) - 1) << position)]
    if root == "prmt" and len(parts) == 2:
        return _permuted(args, wanted)
    return None


def _moved(x: Instruction, wanted: int, demand: dict[str, int]) -> list[tuple[str, int]]:
    target, source = x.args
    bits = 8 * SIZES[x.parts[-1]]
    if source.startswith("{"):
        pieces = split(source[1:-1])
        width = bits // len(pieces)
        low = (1 << width) - 1
        return [(piece, wanted >> width * k & low) for k, piece in enumerate(pieces)]
    if target.startswith("{"):
        pieces = split(target[1:-1])
        width = bits // len(pieces)
        mask = 0
        for k, piece in enumerate(pieces):
            mask |= (demand.get(piece, 0) & ((1 << width) - 1)) << width * k
        return [(source, mask)]
    return [(source, wanted)]


def _shifted(
    root: str, kind: str, args: tuple[str, ...], wanted: int
) -> list[tuple[str, int]] | None:
    amount, bits = _constant(args[2]), 8 * SIZES[kind]
    if amount is None:
        return None
    full = (1 << bits) - 1
    if root == "shl":
        return [(args[1], (wanted & full) >> amount)]
    mask = wanted << amount
    sign = 1 << (bits - 1) if kind[0] == "s" and mask >> bits else 0
    return [(args[1], mask & full | sign)]


def _converted(to: str, source: str, wanted: int) -> int:
    bits = 8 * min(SIZES[to], SIZES[source])
    signed = (to if SIZES[to] < SIZES[source] else source)[0] == "s"
    sign = 1 << (bits - 1) if signed and wanted >> bits else 0
    return wanted & ((1 << bits) - 1) | sign


def _permuted(args: tuple[str, ...], wanted: int) -> list[tuple[str, int]] | None:
    selector = _constant(args[3])
    if selector is None:
        return None
    masks = [0, 0]
    for k in range(4):
        if wanted >> 8 * k & 0xFF:
            which, byte = divmod(selector >> 4 * k & 7, 4)
            masks[which] |= 0xFF << 8 * byte
    return list(zip(args[1:3], masks, strict=True))


def _constant(operand: str) -> int | None:
    try:
        return int(operand.rstrip("uU"), 0) & _ALL
    except ValueError:
        return None
