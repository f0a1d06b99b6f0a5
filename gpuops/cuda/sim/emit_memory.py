"""What loads, stores, atomics, fences and asynchronous copies become."""

from __future__ import annotations

import re

from gpuops.cuda.sim.access import ATOMIC, READ, WRITE, Access
from gpuops.cuda.sim.codegen import Builder, Unsupported, dtype_of, sizes_of
from gpuops.cuda.sim.emit import Emitter
from gpuops.cuda.sim.ptx import Instruction

__all__ = ["EMITTERS"]

_SPACES = ("global", "shared", "local", "const", "param")
# These order memory themselves, so they are no races.
_UNCHECKED = frozenset(("volatile", "relaxed", "acquire", "release", "mmio"))
_ATOMICS = ("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
_PARAM = re.compile(r"\[\s*([\w$]+)\s*(?:\+\s*(\d+)\s*)?\]$")


def _space(parts: list[str]) -> str:
    """The state space of an instruction; constants and parameters are windows of global memory."""
    found = next(
        (p.partition("::")[0] for p in parts if p.partition("::")[0] in _SPACES), "generic"
    )
    return "global" if found in ("const", "param") else found


def _access(b: Builder, x: Instruction, kind: int, offset: int, registers: list[str]) -> str:
    """The name of the `Access` of an instruction in the function's globals."""
    parts = x.parts
    element = parts[-1]
    size = sizes_of(element)
    vector = next((int(p[1:]) for p in parts if p in ("v2", "v4", "v8")), 1)
    access = Access(
        b.pc,
        kind,
        dtype_of(element),
        size,
        vector,
        _space(parts),
        offset,
        checked=not _UNCHECKED.intersection(parts),
        used=tuple(b.is_read(r) for r in registers) if kind == READ else (True,),
        needed=b.program.needed(registers) if kind == READ else (0,),
        copies=b.program.carried(registers),
    )
    return b.constant(access)


def _ld(b: Builder, x: Instruction) -> None:
    element = x.parts[-1]
    registers = b.vector(x.args[0])
    if _space(x.parts) == "global" and "param" in x.op and _ld_param(b, x, registers, element):
        return
    if element == "b128":
        raise Unsupported(x.op)
    base, offset = b.address(x.args[1])
    access = _access(b, x, READ, offset, registers)
    names = [b.name() for _ in registers]
    b.line(f"{', '.join(names)} = M.load(L, {base}, {access})")
    for register, name in zip(registers, names, strict=True):
        if register != "_":
            b.write(register, name, element)
    if b.program.fences and _UNCHECKED.intersection(x.parts):
        b.line("M.acquire(L)")


def _ld_param(b: Builder, x: Instruction, registers: list[str], element: str) -> bool:
    """A parameter at a place that the program text says; False if a register says it."""
    match = _PARAM.match(x.args[1])
    if match is None or match[1] not in b.program.layout.params:
        return False
    offset = b.program.layout.params[match[1]] + int(match[2] or 0)
    dtype, size = dtype_of(element), sizes_of(element)
    for k, register in enumerate(registers):
        slot = b.program.parameter(offset + k * size, dtype)
        b.write(register, f"M.params[{slot}]", element)
    return True


def _st(b: Builder, x: Instruction) -> None:
    element = x.parts[-1]
    if element == "b128":
        raise Unsupported(x.op)
    base, offset = b.address(x.args[0])
    registers = b.vector(x.args[1])
    values = [b.read(v, element) for v in registers]
    if "release" in x.parts:
        b.line("M.fence(L)")
    access = _access(b, x, WRITE, offset, registers)
    b.line(f"M.store(L, {base}, ({', '.join(values)},), {access})")


def _atom(b: Builder, x: Instruction) -> None:
    """``atom`` and ``red``: the latter, and one whose result nobody reads, gives nothing."""
    parts, element = x.parts, x.parts[-1]
    returns = parts[0] == "atom"
    args = x.args[1:] if returns else x.args
    operation = next(p for p in parts[1:] if p in _ATOMICS)
    if element == "b128" or any(p in ("v2", "v4", "v8") for p in parts):
        raise Unsupported(x.op)
    base, offset = b.address(args[0])
    values = ", ".join(b.read(v, element) for v in args[1:])
    if "acq_rel" in parts or "release" in parts:
        b.line("M.fence(L)")
    access = Access(b.pc, ATOMIC, dtype_of(element), sizes_of(element), 1, _space(parts), offset)
    wanted = returns and x.args[0] != "_" and b.is_read(x.args[0])
    what = f"{b.constant(access)}, {operation!r}, {element!r}, {wanted}"
    call = f"M.atomic(L, {base}, ({values},), {what})"
    if wanted:
        b.write(x.args[0], call, element)
    else:
        b.line(call)


def _fence(b: Builder, x: Instruction) -> None:
    if "proxy" not in x.op:
        b.line("M.fence(L)")


def _createpolicy(b: Builder, x: Instruction) -> None:
    """Cache policies change nothing that is simulated."""
    b.write(x.args[0], "U8(0)", "b64")


def _call(b: Builder, x: Instruction) -> None:
    """Functions without a body: what CUDA's runtime gives to device code."""
    args = list(x.args)
    returned = args.pop(0)[1:-1].strip() if args[0].startswith("(") else ""
    name = args[0]
    passed = [a.strip() for a in args[1][1:-1].split(",") if a.strip()] if len(args) > 1 else []
    if name == "__assertfail":
        values = ", ".join(b.read(f"{p}@0", b.program.kinds[f"{p}@0"]) for p in passed[:3])
        b.line(f"M.assertion(L, {b.pc}, {values})")
    elif name == "vprintf":
        values = ", ".join(b.read(f"{p}@0", "u64") for p in passed)
        text = f"M.printf(L, {values}, {b.pc})"
        if b.is_read(f"{returned}@0"):
            b.write(f"{returned}@0", text, "u32")
        else:
            b.line(text)
    else:
        raise Unsupported(x.op)


EMITTERS: dict[str, Emitter] = {
    "ld": _ld,
    "ldu": _ld,
    "st": _st,
    "atom": _atom,
    "red": _atom,
    "membar": _fence,
    "fence": _fence,
    "createpolicy": _createpolicy,
    "call": _call,
}
