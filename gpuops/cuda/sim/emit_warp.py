"""What warp-wide instructions and barriers become.

By the time their block executes, the scheduler has brought all threads of each mask together.
"""

from __future__ import annotations

from gpuops.cuda.sim.codegen import Builder, Unsupported
from gpuops.cuda.sim.emit import Emitter
from gpuops.cuda.sim.ptx import Instruction

__all__ = ["EMITTERS", "mask_of"]


def mask_of(x: Instruction | None) -> str | None:
    """The operand that names the threads an instruction waits for; None if that is the warp."""
    if x is None:
        return None
    root = x.op.partition(".")[0]
    if root in ("shfl", "vote", "match", "redux") or "warp.sync" in x.op or root == "elect":
        return x.args[-1] if "sync" in x.op else None
    return None


def _shfl(b: Builder, x: Instruction) -> None:
    first, _, second = x.args[0].partition("|")
    value = b.read(x.args[1], "b32")
    lane, clamp = b.read(x.args[2], "u32"), b.read(x.args[3], "u32")
    mode = next(p for p in x.parts if p in ("up", "down", "bfly", "idx"))
    result, inside = b.name(), b.name()
    b.line(f"{result}, {inside} = M.shuffle(L, {value}, {lane}, {clamp}, {mode!r}, {b.pc})")
    b.write(first, result, "b32")
    if second:
        b.write(second, inside, "pred")


def _vote(b: Builder, x: Instruction) -> None:
    value = b.read(x.args[1], "pred")
    mask = b.read(x.args[2], "u32") if len(x.args) > 2 else "FULL"
    mode = next(p for p in x.parts if p in ("ballot", "all", "any", "uni"))
    kind = "b32" if mode == "ballot" else "pred"
    b.write(x.args[0], f"M.vote(L, {value}, {mask}, {mode!r})", kind)


def _match(b: Builder, x: Instruction) -> None:
    first, _, second = x.args[0].partition("|")
    value, mask = b.read(x.args[1], x.parts[-1]), b.read(x.args[2], "u32")
    result, same = b.name(), b.name()
    b.line(f"{result}, {same} = M.match(L, {value}, {mask}, {'all' in x.parts})")
    b.write(first, result, "b32")
    if second:
        b.write(second, same, "pred")


def _redux(b: Builder, x: Instruction) -> None:
    kind = x.parts[-1]
    value, mask = b.read(x.args[1], kind), b.read(x.args[2], "u32")
    operation = next(p for p in x.parts if p in ("add", "min", "max", "and", "or", "xor"))
    if kind == "f32" and operation not in ("min", "max"):
        raise Unsupported(x.op)
    b.write(x.args[0], f"M.redux(L, {value}, {mask}, {operation!r})", kind)


def _activemask(b: Builder, x: Instruction) -> None:
    b.write(x.args[0], "M.activemask(L)", "b32")


def _elect(b: Builder, x: Instruction) -> None:
    first, _, second = x.args[0].partition("|")
    lane, chosen = b.name(), b.name()
    b.line(f"{lane}, {chosen} = M.elect(L, {b.read(x.args[1], 'u32')})")
    b.write(first, lane, "b32")
    if second:
        b.write(second, chosen, "pred")


def _bar(b: Builder, x: Instruction) -> None:
    """``bar.warp.sync`` only waits; what a block barrier needs is kept for the scheduler."""
    if "warp" in x.parts:
        return
    args, parts = list(x.args), x.parts
    if "cluster" in parts:
        raise Unsupported(x.op)
    reduce = "red" in parts
    destination = args.pop(0) if reduce else None
    condition = b.read(args.pop(), "pred") if reduce else "None"
    number = b.read(args[0], "u32") if args else "ZERO"
    count = b.read(args[1], "u32") if len(args) > 1 else "None"
    mode = next((p for p in parts if p in ("popc", "and", "or")), "") if reduce else ""
    register = b.program.numbers[destination] if destination else -1
    arrive = "arrive" in parts
    what = f"{number}, {count}, {condition}, {mode!r}, {register}, {arrive}"
    b.line(f"M.arrive(G, {b.block.index}, {what})")


EMITTERS: dict[str, Emitter] = {
    "shfl": _shfl,
    "vote": _vote,
    "match": _match,
    "redux": _redux,
    "activemask": _activemask,
    "elect": _elect,
    "bar": _bar,
    "barrier": _bar,
}
