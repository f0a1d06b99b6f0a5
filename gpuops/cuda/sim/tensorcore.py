"""Matrix operations of whole warps: ``mma``, ``wmma`` and the moves of fragments.

The layouts are those of the PTX ISA, section "Warp Level Matrix Multiply-Accumulate". With
``g = lane / 4``, ``t = lane % 4`` and e elements a register, register r of A holds rows
``g + 8 (r % 2)`` and columns ``e t + 4 e (r / 2)`` (where A has 8 rows: row g and columns
``e t + 4 e r``). B is the same transposed, with column g. C and D hold rows ``g + 8 (i / 2)`` and
columns ``2 t + i % 2``. Products are exact; sums are in the accumulator's type, in NumPy's order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops.cuda.sim.access import Access
from gpuops.cuda.sim.arith import Value, bf16_down, bf16_up
from gpuops.cuda.sim.convert import fp8_up
from gpuops.cuda.sim.frame import Lanes
from gpuops.cuda.sim.memory import Memory

__all__ = [
    "Fragment",
    "load_matrices",
    "mma",
    "move_matrix",
    "store_matrices",
    "wmma_load",
    "wmma_mma",
    "wmma_store",
]

_LANES = np.arange(32)
_GROUP, _PLACE = _LANES >> 2, _LANES & 3


@dataclass(frozen=True, slots=True)
class Fragment:
    """A matrix that a warp holds in registers.

    Attributes:
        kind: PTX type of an element.
        rows: of the matrix.
        columns: of the matrix.
    """

    kind: str
    rows: int
    columns: int

    @property
    def per_register(self) -> int:
        """Elements that share a register."""
        return {"s8": 4, "u8": 4, "e4m3": 4, "e5m2": 4, "f16": 2, "bf16": 2, "s4": 8, "u4": 8}.get(
            self.kind, 1
        )


def _rows(lanes: Lanes, registers: tuple[Value, ...]) -> Any:
    """(warps, 32, registers) of the values."""
    full = [r if r.__class__ is np.ndarray else np.full(lanes.n, r) for r in registers]
    return np.stack(full, axis=1).reshape(-1, 32, len(registers))


def _decode(values: Any, kind: str) -> Any:
    """Elements as numbers, (warps, 32, registers, elements of a register)."""
    values = np.ascontiguousarray(values)
    shape = (*values.shape, -1)
    if kind == "f16":
        return values.view(np.float16).reshape(shape).astype(np.float32)
    if kind == "bf16":
        return bf16_up(values.view(np.uint16)).reshape(shape)
    if kind in ("s8", "u8"):
        return values.view("i1" if kind == "s8" else "u1").reshape(shape).astype(np.int64)
    if kind in ("e4m3", "e5m2"):
        return fp8_up(values.view(np.uint8), kind).reshape(shape)
    if kind in ("s4", "u4"):
        shifts = np.arange(0, 32, 4, dtype=np.uint32)
        nibbles = (values[..., None] >> shifts & np.uint32(15)).astype(np.int64)
        return nibbles - 16 * (nibbles >= 8) if kind == "s4" else nibbles
    if kind == "tf32":
        # The hardware ignores the lowest 13 bits.
        return (values & np.uint32(0xFFFFE000)).view(np.float32).reshape(shape)
    found = values.view({"f32": "f4", "f64": "f8", "s32": "i4"}[kind]).reshape(shape)
    return found.astype(np.int64) if kind == "s32" else found


def _gather(lanes: Lanes, registers: tuple[Value, ...], what: Fragment, transposed: bool) -> Any:
    """The matrix of operand A, or of B, whose columns are spread like the rows of A."""
    values = _decode(_rows(lanes, registers), what.kind)
    rows, columns = (what.columns, what.rows) if transposed else (what.rows, what.columns)
    matrix = np.zeros((values.shape[0], rows, columns), values.dtype)
    width = what.per_register
    halves = 2 if rows == 16 else 1
    for r in range(len(registers)):
        for e in range(width):
            row = _GROUP + 8 * (r % halves)
            column = _PLACE * width + e + 4 * width * (r // halves)
            matrix[:, row, column] = values[:, :, r, e]
    return matrix.transpose(0, 2, 1) if transposed else matrix


def _accumulator(what: Fragment, count: int) -> list[tuple[Any, Any]]:
    """(rows, columns) of the elements of C and D, in the order of registers."""
    found = []
    for i in range(count * what.per_register):
        found.append((_GROUP + 8 * (i >> 1), 2 * _PLACE + (i & 1)))
    return found


def _multiply(a: Any, b: Any, c: Any, what: Fragment, saturate: bool) -> Any:
    """a @ b + c in the accumulator's type."""
    if what.kind == "s32":
        total = np.matmul(a.astype(np.int64), b.astype(np.int64)) + c
        if saturate:
            total = np.clip(total, -(2**31), 2**31 - 1)
        return total.astype(np.int32)
    return np.matmul(a, b) + c


def _encode(elements: list[Any], kind: str) -> tuple[Any, ...]:
    """Elements in the order of a thread, (warps, 32) each, as its registers, (threads,) each."""
    flat = [np.ascontiguousarray(e).reshape(-1) for e in elements]
    if kind not in ("f16", "bf16"):
        return tuple(flat)
    down = bf16_down if kind == "bf16" else lambda x: x.astype(np.float16).view(np.uint16)
    halves = [down(e).astype(np.uint32) for e in flat]
    pairs = zip(halves[::2], halves[1::2], strict=True)
    return tuple(low | high << np.uint32(16) for low, high in pairs)


def mma(
    lanes: Lanes,
    a: tuple[Value, ...],
    b: tuple[Value, ...],
    c: tuple[Value, ...],
    what: tuple[Fragment, Fragment, Fragment],
    result: str,
    saturate: bool,
) -> tuple[Value, ...]:
    """D = A B + C of each warp, as registers of type `result`.

    Args:
        lanes: whole warps.
        a: registers of A.
        b: registers of B.
        c: registers of C.
        what: the three matrices.
        result: PTX type of D's elements.
        saturate: clamp integers instead of letting them wrap.
    """
    matrix_a = _gather(lanes, a, what[0], False)
    matrix_b = _gather(lanes, b, what[1], True)
    values = _decode(_rows(lanes, c), what[2].kind)
    values = values.reshape(values.shape[0], 32, -1)
    places = _accumulator(what[2], len(c))
    sums = np.zeros((values.shape[0], what[2].rows, what[2].columns), values.dtype)
    for i, (row, column) in enumerate(places):
        sums[:, row, column] = values[:, :, i]
    total = _multiply(matrix_a, matrix_b, sums, what[2], saturate)
    return _encode([total[:, row, column] for row, column in places], result)


# -- fragments whose layout is opaque ------------------------------------------------------------


def _opaque(lanes: Lanes, registers: tuple[Value, ...], what: Fragment) -> Any:
    """A matrix of which lane l holds elements ``k l`` to ``k l + k - 1``, some more than once."""
    values = _decode(_rows(lanes, registers), what.kind)
    share = what.rows * what.columns // 32
    flat = values.reshape(values.shape[0], 32, -1)[:, :, :share]
    return flat.reshape(-1, what.rows, what.columns)


def _spread(matrix: Any, kind: str, registers: int) -> tuple[Any, ...]:
    """The inverse of `_opaque`."""
    share = matrix.shape[1] * matrix.shape[2] // 32
    flat = matrix.reshape(matrix.shape[0], 32, share)
    return _encode([flat[:, :, k] for k in range(share)], kind)[:registers]


def wmma_mma(
    lanes: Lanes,
    a: tuple[Value, ...],
    b: tuple[Value, ...],
    c: tuple[Value, ...],
    what: tuple[Fragment, Fragment, Fragment],
    result: str,
    saturate: bool,
) -> tuple[Value, ...]:
    """As `mma`, of ``wmma`` fragments."""
    matrix_a, matrix_b, sums = (_opaque(lanes, r, w) for r, w in zip((a, b, c), what, strict=True))
    total = _multiply(matrix_a, matrix_b, sums, what[2], saturate)
    return _spread(total, result, total.shape[1] * total.shape[2] // 32)


def _addresses(lanes: Lanes, base: Value, stride: Value, what: Fragment, row_major: bool) -> Any:
    """(threads, elements of a share) address of each element."""
    size = {"f16": 2, "bf16": 2, "s8": 1, "u8": 1, "f64": 8}.get(what.kind, 4)
    first = np.broadcast_to(base, (lanes.n,)).reshape(-1, 32)[:, :1].astype(np.uint64)
    step = np.broadcast_to(stride, (lanes.n,)).reshape(-1, 32)[:, :1].astype(np.uint64)
    number = np.arange(what.rows * what.columns, dtype=np.uint64)
    row, column = number // np.uint64(what.columns), number % np.uint64(what.columns)
    slow, fast = (row, column) if row_major else (column, row)
    return (first + (slow * step + fast) * np.uint64(size)).reshape(-1)


def _sharing(lanes: Lanes, what: Fragment) -> Lanes:
    """The threads, each as often as it has elements."""
    return Lanes(lanes.top, np.repeat(lanes.index, what.rows * what.columns // 32))


def wmma_load(
    memory: Memory,
    lanes: Lanes,
    base: Value,
    stride: Value,
    access: Access,
    what: Fragment,
    row_major: bool,
    registers: int,
) -> tuple[Value, ...]:
    """Load a matrix whose rows (or columns) are `stride` elements apart."""
    address = _addresses(lanes, base, stride, what, row_major)
    values = memory.load(_sharing(lanes, what), address, access)
    share = what.rows * what.columns // 32
    width = what.per_register
    packed = np.ascontiguousarray(values).reshape(lanes.n, share)
    if width > 1:
        packed = packed.view(np.uint32)
    columns = [np.ascontiguousarray(packed[:, k]) for k in range(packed.shape[1])]
    return tuple(columns[k % len(columns)] for k in range(registers))


def wmma_store(
    memory: Memory,
    lanes: Lanes,
    base: Value,
    stride: Value,
    registers: tuple[Value, ...],
    access: Access,
    what: Fragment,
    row_major: bool,
) -> None:
    """Store a matrix."""
    address = _addresses(lanes, base, stride, what, row_major)
    values = np.ascontiguousarray(_rows(lanes, registers)).view(access.dtype)
    memory.store(_sharing(lanes, what), address, (values.reshape(-1),), access)


# -- 8 x 8 matrices of 16-bit elements -----------------------------------------------------------


def load_matrices(
    memory: Memory, lanes: Lanes, address: Value, access: Access, count: int, transposed: bool
) -> tuple[Value, ...]:
    """Each group of eight threads gives the addresses of the rows of one matrix."""
    rows = np.broadcast_to(address, (lanes.n,)).reshape(-1, 32)
    owners = lanes.index.reshape(-1, 32)
    found = []
    for k in range(count):
        group = slice(8 * k, 8 * k + 8)
        some = Lanes(lanes.top, owners[:, group].reshape(-1))
        words = memory.load(some, np.ascontiguousarray(rows[:, group]).reshape(-1), access)
        matrix = np.stack([np.broadcast_to(w, (some.n,)) for w in words], axis=1)
        found.append(_deal(np.ascontiguousarray(matrix), transposed))
    return tuple(found)


def _deal(words: Any, transposed: bool) -> Any:
    """(rows of all matrices, 4) words as a register: a thread holds two neighbours of a row."""
    matrix = words.view(np.uint16).reshape(-1, 8, 8)
    if transposed:
        matrix = matrix.transpose(0, 2, 1)
    return np.ascontiguousarray(matrix).reshape(-1, 2).view(np.uint32).reshape(-1)


def _collect(register: Any, transposed: bool) -> Any:
    """The inverse of `_deal`."""
    matrix = np.ascontiguousarray(register).view(np.uint16).reshape(-1, 8, 8)
    if transposed:
        matrix = matrix.transpose(0, 2, 1)
    return np.ascontiguousarray(matrix).reshape(-1, 8).view(np.uint32)


def store_matrices(
    memory: Memory,
    lanes: Lanes,
    address: Value,
    registers: tuple[Value, ...],
    access: Access,
    transposed: bool,
) -> None:
    """The inverse of `load_matrices`."""
    rows = np.broadcast_to(address, (lanes.n,)).reshape(-1, 32)
    owners = lanes.index.reshape(-1, 32)
    for k, register in enumerate(registers):
        group = slice(8 * k, 8 * k + 8)
        some = Lanes(lanes.top, owners[:, group].reshape(-1))
        words = _collect(np.broadcast_to(register, (lanes.n,)), transposed)
        values = tuple(np.ascontiguousarray(words[:, j]) for j in range(4))
        memory.store(some, np.ascontiguousarray(rows[:, group]).reshape(-1), values, access)


def move_matrix(lanes: Lanes, register: Value) -> Value:
    """The transpose of each warp's 8 x 8 matrix."""
    return _deal(_collect(np.broadcast_to(register, (lanes.n,)), False), True)
