"""Matrix instructions against NumPy, with fragments filled as the PTX ISA describes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpuops import cuda
from gpuops.cuda.sim.convert import fp8_down, fp8_up
from gpuops.cuda.simulation import run_ptx
from tests.sim.ptx_kernels import HEADER

LANES = range(32)


def a_place(lane: int, i: int, per: int, rows: int) -> tuple[int, int]:
    """(row, column) of element i of A in a lane's registers, `per` elements each."""
    register, element = divmod(i, per)
    if rows == 8:
        return lane // 4, lane % 4 * per + element + 4 * per * register
    return lane // 4 + 8 * (register % 2), lane % 4 * per + element + 4 * per * (register // 2)


def b_place(lane: int, i: int, per: int) -> tuple[int, int]:
    register, element = divmod(i, per)
    return lane % 4 * per + element + 4 * per * register, lane // 4


def c_place(lane: int, i: int) -> tuple[int, int]:
    return lane // 4 + 8 * (i // 2), lane % 4 * 2 + i % 2


def fill(matrix: np.ndarray, place: Callable[..., tuple[int, int]], count: int) -> np.ndarray:
    """(32, count) the elements of each lane."""
    return np.array(
        [[matrix[place(lane, i)] for i in range(count)] for lane in LANES], matrix.dtype
    )


def bf16(x: np.ndarray) -> np.ndarray:
    return (np.asarray(x, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def encoded(x: np.ndarray, kind: str) -> np.ndarray:
    if kind == "bf16":
        return bf16(x)
    if kind in ("e4m3", "e5m2"):
        return np.asarray(fp8_down(np.asarray(x, np.float32), kind))
    return x.astype({"f16": "f2", "tf32": "f4", "s8": "i1", "u8": "u1", "f64": "f8"}[kind])


def decoded(bits: np.ndarray, kind: str) -> np.ndarray:
    if kind == "bf16":
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if kind in ("e4m3", "e5m2"):
        return np.asarray(fp8_up(bits, kind)).astype(np.float64)
    return bits.astype(np.float64)


PER = {"f16": 2, "bf16": 2, "tf32": 1, "s8": 4, "u8": 4, "e4m3": 4, "e5m2": 4, "f64": 1}
SHAPES = [
    ((16, 8, 16), "f16", "f32"),
    ((16, 8, 8), "f16", "f32"),
    ((16, 8, 16), "f16", "f16"),
    ((16, 8, 16), "bf16", "f32"),
    ((16, 8, 8), "bf16", "f32"),
    ((16, 8, 8), "tf32", "f32"),
    ((16, 8, 4), "tf32", "f32"),
    ((16, 8, 32), "s8", "s32"),
    ((16, 8, 16), "u8", "s32"),
    ((8, 8, 16), "s8", "s32"),
    ((16, 8, 32), "e4m3", "f32"),
    ((8, 8, 4), "f64", "f64"),
    ((16, 8, 8), "f64", "f64"),
]


def vector(name: str, count: int) -> str:
    """A vector operand of registers."""
    return "{" + ", ".join(f"%{name}{r}" for r in range(count)) + "}"


def mma_text(op: str, kind: str, counts: list[int], wide: str) -> str:
    """A kernel in which each lane loads its registers, multiplies and stores."""
    word = {"f64": 8}.get(kind, 4)
    sums = {"f64": 8}.get(wide, 4)
    na, nb, nc = counts
    lines = [
        ".visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pc) {",
        ".reg .b64 %p<3>, %off; .reg .b32 %i;",
        f".reg .b{8 * word} %a<{na}>, %b<{nb}>; .reg .b{8 * sums} %c<{nc}>;",
        "mov.u32 %i, %tid.x;",
    ]
    for k, (name, count, size) in enumerate((("a", na, word), ("b", nb, word), ("c", nc, sums))):
        lines += [f"ld.param.u64 %p{k}, [p{name}];", f"mul.wide.u32 %off, %i, {count * size};"]
        lines += [f"add.u64 %p{k}, %p{k}, %off;"]
        lines += [f"ld.global.b{8 * size} %{name}{r}, [%p{k}+{r * size}];" for r in range(count)]
    groups = [
        "{" + ", ".join(f"%{n}{r}" for r in range(c)) + "}"
        for n, c in zip("abc", counts, strict=True)
    ]
    lines.append(f"{op} {groups[2]}, {groups[0]}, {groups[1]}, {groups[2]};")
    lines += [f"st.global.b{8 * sums} [%p2+{r * sums}], %c{r};" for r in range(nc)]
    return HEADER + "\n".join([*lines, "ret;", "}"])


@pytest.mark.parametrize(("shape", "kind", "wide"), SHAPES)
def test_mma(shape: tuple[int, int, int], kind: str, wide: str) -> None:
    m, n, k = shape
    rng = np.random.default_rng(m + k)
    if kind in ("s8", "u8"):
        a, b = rng.integers(0 if kind == "u8" else -128, 127, (m, k)), rng.integers(0, 127, (k, n))
        c: Any = rng.integers(-1000, 1000, (m, n)).astype(np.int32)
    else:
        a, b = rng.integers(-8, 8, (m, k)) / 4, rng.integers(-8, 8, (k, n)) / 4
        c = (rng.integers(-8, 8, (m, n)) / 2).astype({"f16": "f2", "f32": "f4", "f64": "f8"}[wide])
    a, b = encoded(a, kind), encoded(b, kind)
    per = PER[kind]
    fa = fill(a, lambda lane, i: a_place(lane, i, per, m), m * k // 32)
    fb = fill(b, lambda lane, i: b_place(lane, i, per), k * n // 32)
    fc = fill(c, c_place, m * n // 32)
    name = f"m{m}n{n}k{k}"
    op = f"mma.sync.aligned.{name}.row.col.{wide}.{kind}.{kind}.{wide}"
    counts = [fa.shape[1] // per, fb.shape[1] // per, fc.shape[1] // (2 if wide == "f16" else 1)]
    out = fc.copy()
    run_ptx(mma_text(op, kind, counts, wide), "k", 1, 32, (fa, fb, out))
    expected = decoded(a, kind) @ decoded(b, kind) + c
    assert np.array_equal(out, fill(expected, c_place, m * n // 32).astype(out.dtype))


def test_matrices_of_halves_are_loaded_stored_and_transposed() -> None:
    kernel = cuda.Kernel(
        r"""extern "C" __global__ void k(const unsigned short* x, unsigned* y, unsigned short* z) {
            __shared__ __align__(16) unsigned short tile[4 * 64], back[4 * 64];
            int t = threadIdx.x;
            for (int i = t; i < 256; i += 32) tile[i] = x[i];
            __syncwarp();
            unsigned at = (unsigned)__cvta_generic_to_shared(tile + 8 * t);
            unsigned r0, r1, r2, r3, s0, moved;
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3) : "r"(at));
            asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                : "=r"(s0) : "r"(at));
            asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(moved) : "r"(r0));
            unsigned to = (unsigned)__cvta_generic_to_shared(back + 8 * t);
            asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};"
                :: "r"(to), "r"(r0), "r"(r1), "r"(r2), "r"(r3));
            __syncwarp();
            y[t] = r0; y[32 + t] = r3; y[64 + t] = s0; y[96 + t] = moved;
            for (int i = t; i < 256; i += 32) z[i] = back[i];
        }""",
        "k",
    )
    x = np.arange(256, dtype=np.uint16).reshape(4, 8, 8)
    y, z = np.zeros((4, 32), np.uint32), np.zeros((4, 8, 8), np.uint16)
    cuda.simulate(kernel, 1, 32, (x, y, z))
    held = y.view(np.uint16).reshape(4, 8, 8)
    assert np.array_equal(held[0], x[0]) and np.array_equal(held[1], x[3])
    assert np.array_equal(held[2], x[0].T) and np.array_equal(held[3], x[0].T)
    assert np.array_equal(z, x.transpose(0, 2, 1))


WMMA = [
    ((16, 16, 16), "f16", "f32", 8, "row", "col"),
    ((32, 8, 16), "f16", "f32", 8, "col", "row"),
    ((8, 32, 16), "bf16", "f32", (2, 8), "row", "row"),
    ((16, 16, 16), "s8", "s32", 2, "row", "col"),
    ((16, 16, 8), "tf32", "f32", 4, "row", "col"),
    ((8, 8, 4), "f64", "f64", 1, "row", "col"),
]


@pytest.mark.parametrize(("shape", "kind", "wide", "registers", "left", "right"), WMMA)
def test_wmma(
    shape: tuple[int, int, int], kind: str, wide: str, registers: Any, left: str, right: str
) -> None:
    m, n, k = shape
    na, nb = registers if isinstance(registers, tuple) else (registers, registers)
    nc = m * n // 32
    bits = 64 if kind == "f64" else 32
    sums = 64 if wide == "f64" else 32
    kinds = f"{wide}.{wide}" if kind == "f16" else f"{wide}.{kind}.{kind}.{wide}"
    fa, fb, fc = vector("a", na), vector("b", nb), vector("c", nc)
    size = f"m{m}n{n}k{k}"
    step_a, step_b = k if left == "row" else m, n if right == "row" else k
    text = (
        HEADER
        + f"""
.visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pc) {{
.reg .b64 %p<3>; .reg .b{bits} %a<{na}>, %b<{nb}>; .reg .b{sums} %c<{nc}>;
ld.param.u64 %p0, [pa]; ld.param.u64 %p1, [pb]; ld.param.u64 %p2, [pc];
wmma.load.a.sync.aligned.{left}.{size}.global.{kind} {fa}, [%p0], {step_a};
wmma.load.b.sync.aligned.{right}.{size}.global.{kind} {fb}, [%p1], {step_b};
wmma.load.c.sync.aligned.row.{size}.global.{wide} {fc}, [%p2], {n};
wmma.mma.sync.aligned.{left}.{right}.{size}.{kinds} {fc}, {fa}, {fb}, {fc};
wmma.store.d.sync.aligned.row.{size}.global.{wide} [%p2], {fc}, {n};
ret;
}}
"""
    )
    rng = np.random.default_rng(k)
    a, b = rng.integers(-8, 8, (m, k)), rng.integers(-8, 8, (k, n))
    c = rng.integers(-8, 8, (m, n)).astype({"f32": "f4", "s32": "i4", "f64": "f8"}[wide])
    ea, eb = encoded(a, kind), encoded(b, kind)
    memory = (
        ea if left == "row" else np.ascontiguousarray(ea.T),
        eb if right == "row" else np.ascontiguousarray(eb.T),
    )
    out = c.copy()
    run_ptx(text, "k", 1, 32, (*memory, out))
    assert np.array_equal(out, (a @ b + c).astype(out.dtype))


def test_other_shapes_are_named_when_they_execute() -> None:
    text = mma_text("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32", "f16", [2, 2, 8], "f32")
    arrays = [np.zeros((32, c), np.uint32) for c in (2, 2, 8)]
    with pytest.raises(cuda.SimulationError, match="unsupported instruction mma.sync.*m8n8k4"):
        run_ptx(text, "k", 1, 32, arrays)
