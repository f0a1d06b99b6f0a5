"""What asynchronous copies and barriers in shared memory become."""

from __future__ import annotations

import numpy as np

from gpuops.cuda.sim.access import READ, WRITE, Access
from gpuops.cuda.sim.async_copy import copy_access
from gpuops.cuda.sim.codegen import Builder, Unsupported
from gpuops.cuda.sim.emit import Emitter
from gpuops.cuda.sim.ptx import Instruction

__all__ = ["EMITTERS"]


def _cp(b: Builder, x: Instruction) -> None:
    parts = x.parts
    if parts[1] != "async" or "bulk" in parts:
        raise Unsupported(x.op)
    if "commit_group" in parts:
        b.line("M.copies.commit(L)")
    elif "wait_group" in parts:
        b.line(f"M.copies.wait(L, {int(x.args[0], 0)})")
    elif "wait_all" in parts:
        b.line("M.copies.wait(L, None)")
    elif "mbarrier" in parts:
        base, access = _barrier(b, x.args[0], WRITE)
        b.line("M.copies.wait(L, None)")
        noinc = "noinc" in parts
        b.line("M.fence(L)")
        b.line(f"M.phases.arrive(L, {base}, U4(1), {access}, False, {not noinc})")
    else:
        _copy(b, x)


def _copy(b: Builder, x: Instruction) -> None:
    args = [a for a in x.args if not a.startswith("cache")]
    target, target_offset = b.address(args[0])
    source, source_offset = b.address(args[1])
    given = "None"
    if len(args) > 3 and "cache_hint" not in x.op:
        # The fourth operand is how many bytes to read, or a predicate: read none if it is true.
        kind = b.program.kinds.get(args[3].lstrip("!"))
        if kind == "pred":
            given = f"pick({b.read(args[3], 'pred')}, U4(0), U4({int(args[2], 0)}))"
        else:
            given = b.read(args[3], "u32")
    space = "global" if "global" in x.parts else "generic"
    what = copy_access(b.pc, int(args[2], 0), space, source_offset, target_offset)
    b.line("M.changes += 1")
    b.line(f"M.copies.issue(L, {target}, {source}, {given}, {b.constant(what)})")


def _barrier(b: Builder, operand: str, kind: int) -> tuple[str, str]:
    base, offset = b.address(operand)
    space = "shared"
    access = Access(b.pc, kind, np.uint64, 8, 1, space, offset, checked=False)
    return base, b.constant(access)


def _mbarrier(b: Builder, x: Instruction) -> None:
    parts = x.parts
    action = parts[1]
    if "expect_tx" in parts or "complete_tx" in parts or "cluster" in x.op:
        raise Unsupported(x.op)
    if action == "init":
        base, access = _barrier(b, x.args[0], WRITE)
        b.line(f"M.phases.init(L, {base}, {b.read(x.args[1], 'u32')}, {access})")
    elif action in ("inval", "fence_tx"):
        return
    elif action in ("arrive", "arrive_drop"):
        args = list(x.args)
        result = None if args[0].startswith("[") else args.pop(0)
        base, access = _barrier(b, args[0], READ)
        count = b.read(args[1], "u32") if len(args) > 1 else "U4(1)"
        b.line("M.fence(L)")
        b.line("M.changes += 1")
        text = f"M.phases.arrive(L, {base}, {count}, {access}, {action == 'arrive_drop'}, False)"
        if result is None or result == "_":
            b.line(text)
        else:
            b.write(result, text, "b64")
    elif action in ("test_wait", "try_wait"):
        base, access = _barrier(b, x.args[1], READ)
        parity = "parity" in parts
        state = b.read(x.args[2], "u32" if parity else "b64")
        b.write(x.args[0], f"M.phases.test(L, {base}, {state}, {access}, {parity})", "pred")
        b.line("M.acquire(L)")
    elif action == "pending_count":
        value = b.read(x.args[1], "b64")
        b.write(x.args[0], f"({value} & U8(0xFFFFF)).astype(U4)", "b32")
    else:
        raise Unsupported(x.op)


EMITTERS: dict[str, Emitter] = {"cp": _cp, "mbarrier": _mbarrier}
