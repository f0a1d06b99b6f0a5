"""What the matrix instructions of warps become."""

from __future__ import annotations

import re

import numpy as np

from gpuops.cuda.sim.access import READ, WRITE, Access
from gpuops.cuda.sim.codegen import Builder, Unsupported
from gpuops.cuda.sim.emit import Emitter
from gpuops.cuda.sim.ptx import Instruction
from gpuops.cuda.sim.tensorcore import Fragment

__all__ = ["EMITTERS"]

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)$")
_KINDS = ("f16", "bf16", "tf32", "f32", "f64", "s32", "s8", "u8", "s4", "u4", "e4m3", "e5m2")
_REGISTER = {"f32": "f32", "f64": "f64", "s32": "s32"}
_ELEMENT = {
    "f16": np.uint16,
    "bf16": np.uint16,
    "s8": np.uint8,
    "u8": np.uint8,
    "tf32": np.uint32,
    "f32": np.float32,
    "s32": np.uint32,
    "f64": np.float64,
}


def _shape(x: Instruction) -> tuple[int, int, int]:
    match = next(filter(None, map(_SHAPE.match, x.parts)))
    return int(match[1]), int(match[2]), int(match[3])


def _registers(b: Builder, operand: str, kind: str) -> str:
    """A tuple of a fragment's registers."""
    names = [b.read(r, _REGISTER.get(kind, "b32")) for r in b.vector(operand)]
    return f"({', '.join(names)},)"


def _write(b: Builder, operand: str, kind: str, text: str) -> None:
    registers = b.vector(operand)
    names = [b.name() for _ in registers]
    b.line(f"{', '.join(names)}, = {text}")
    for register, name in zip(registers, names, strict=True):
        b.write(register, name, _REGISTER.get(kind, "b32"))


def _multiply(b: Builder, x: Instruction, function: str, kinds: list[str]) -> None:
    """D = A B + C; `kinds` are the types of D, A, B and C."""
    m, n, k = _shape(x)
    result, left, right, sums = kinds
    what = (Fragment(left, m, k), Fragment(right, k, n), Fragment(sums, m, n))
    a, right_text = _registers(b, x.args[1], left), _registers(b, x.args[2], right)
    c = _registers(b, x.args[3], sums)
    saturate = "satfinite" in x.parts
    text = f"{function}(L, {a}, {right_text}, {c}, {b.constant(what)}, {result!r}, {saturate})"
    _write(b, x.args[0], result, text)


def _mma(b: Builder, x: Instruction) -> None:
    if "sp" in x.op or "b1" in x.parts or "row.col" not in x.op or (_shape(x) == (8, 8, 4) and (
        "f64" not in x.parts
    )):  # fmt: skip
        raise Unsupported(x.op)
    kinds = [p for p in x.parts if p in _KINDS]
    if len(kinds) != 4:
        raise Unsupported(x.op)
    _multiply(b, x, "mma", kinds)


def _wmma(b: Builder, x: Instruction) -> None:
    parts = x.parts
    if parts[1] == "mma":
        kinds = [p for p in parts if p in _KINDS]
        if len(kinds) == 2:  # of half types the opcode names D and C only
            kinds = [kinds[0], "f16", "f16", kinds[1]]
        layouts = [p for p in parts if p in ("row", "col")]
        if len(kinds) != 4 or len(layouts) != 2 or "b1" in parts:
            raise Unsupported(x.op)
        _multiply(b, x, "wmma_mma", kinds)
        return
    m, n, k = _shape(x)
    which, kind = parts[2], parts[-1]
    rows, columns = {"a": (m, k), "b": (k, n), "c": (m, n), "d": (m, n)}[which]
    what = b.constant(Fragment(kind, rows, columns))
    load = parts[1] == "load"
    fragment, pointer = (x.args[0], x.args[1]) if load else (x.args[1], x.args[0])
    base, offset = b.address(pointer)
    # Without a stride rows follow each other.
    row_major = "row" in parts
    stride = (
        b.read(x.args[2], "u32") if len(x.args) > 2 else f"U4({columns if row_major else rows})"
    )
    space = next(
        (p.partition("::")[0] for p in parts if p.startswith(("shared", "global"))), "generic"
    )
    dtype = _ELEMENT[kind]
    access = Access(
        b.pc, READ if load else WRITE, dtype, np.dtype(dtype).itemsize, 1, space, offset
    )
    rest = f"{b.constant(access)}, {what}, {row_major}"
    if load:
        count = len(b.vector(fragment))
        text = f"wmma_load(M.memory, L, {base}, {stride}, {rest}, {count})"
        _write(b, fragment, kind, text)
    else:
        registers = _registers(b, fragment, kind)
        b.line(f"wmma_store(M.memory, L, {base}, {stride}, {registers}, {rest})")
        b.line("M.changes += 1")


def _matrix_access(b: Builder, x: Instruction, kind: int, offset: int) -> str:
    if "m8n8" not in x.parts or "b16" not in x.parts:
        raise Unsupported(x.op)
    space = "shared" if any(p.startswith("shared") for p in x.parts) else "generic"
    used = (True,) * 4
    return b.constant(Access(b.pc, kind, np.uint32, 4, 4, space, offset, used=used))


def _ldmatrix(b: Builder, x: Instruction) -> None:
    base, offset = b.address(x.args[1])
    access = _matrix_access(b, x, READ, offset)
    count = len(b.vector(x.args[0]))
    text = f"load_matrices(M.memory, L, {base}, {access}, {count}, {'trans' in x.parts})"
    _write(b, x.args[0], "b32", text)


def _stmatrix(b: Builder, x: Instruction) -> None:
    base, offset = b.address(x.args[0])
    access = _matrix_access(b, x, WRITE, offset)
    registers = _registers(b, x.args[1], "b32")
    b.line(f"store_matrices(M.memory, L, {base}, {registers}, {access}, {'trans' in x.parts})")
    b.line("M.changes += 1")


def _movmatrix(b: Builder, x: Instruction) -> None:
    if "trans" not in x.parts:
        raise Unsupported(x.op)
    b.write(x.args[0], f"move_matrix(L, {b.read(x.args[1], 'b32')})", "b32")


EMITTERS: dict[str, Emitter] = {
    "mma": _mma,
    "wmma": _wmma,
    "ldmatrix": _ldmatrix,
    "stmatrix": _stmatrix,
    "movmatrix": _movmatrix,
}
