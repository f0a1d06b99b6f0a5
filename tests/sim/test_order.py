"""What orders accesses and what does not; who waits for whom."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from gpuops import cuda


def run(
    body: str,
    grid: Any = 1,
    block: Any = 64,
    *,
    before: str = "",
    n: int = 256,
    shared_mem: int = 0,
    resident: int = 1 << 16,
) -> np.ndarray:
    """Run a kernel over ints; `t` is the thread, `b` the block; gives x."""
    text = (
        before
        + '\nextern "C" __global__ void k(int* x, int* y) {\n'
        + "int t = threadIdx.x, b = blockIdx.x;\n"
        + body
        + "\n}"
    )
    x = np.arange(n, dtype=np.int32)
    cuda.simulate(
        cuda.Kernel(text, "k"), grid, block, (x, np.zeros(n, "i4")), shared_mem, _resident=resident
    )
    return x


def refused(body: str, kind: str, words: str, line: int = 4, **how: Any) -> cuda.SimulationError:
    with pytest.raises(cuda.SimulationError) as caught:
        run(body, **how)
    error = caught.value
    assert error.kind == kind, error
    assert re.search(words, str(error), re.DOTALL), error
    assert error.line == line, error
    return error


def test_a_race_names_both_accesses_and_both_threads() -> None:
    error = refused(
        "__shared__ int s[64];\ns[t] = x[t];\ny[t] = s[63 - t];", "RACE", "race: ", line=6
    )
    assert str(error) == (
        "RACE in kernel 'k': race: read of 4 bytes at byte 252 of shared variable 's' (256 bytes) "
        "is not ordered after the write of 4 bytes by thread (63, 0, 0) of block (0, 0, 0); "
        "thread (0, 0, 0) of block (0, 0, 0)\n"
        "  at k.cu:6: y[t] = s[63 - t];\n"
        "  after k.cu:5: s[t] = x[t];"
    )
    assert (error.thread, error.block) == ((0, 0, 0), (0, 0, 0))


RACES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "write after write": (
        "__shared__ int s;\nif (t < 2)\ns = t + x[t];\n__syncthreads(); y[t] = s;",
        6,
        {},
    ),
    "write after read by many": (
        (
            "__shared__ int s[2]; if (t < 2) s[t] = 5;\n__syncthreads();\nint v = s[0];\n"
            "if (t == 63) s[0] = v + x[0];\ny[t] = v;"
        ),
        7,
        {},
    ),
    "write after own and another's read": (
        (
            "__shared__ int s[65]; s[t] = t; if (t == 0) s[64] = 0;\n__syncthreads();\n"
            "int v = s[t + 1];\nv += s[t];\ns[t] = v;\n__syncthreads();\ny[t] = s[t];"
        ),
        8,
        {},
    ),
    "in a warp": ("__shared__ int s[32]; s[t] = t;\ny[t] = s[31 - t];", 5, {"block": 32}),
    "between blocks": ("x[t] = b + t;\n", 4, {"grid": 2}),
    "between waves": ("x[t] = b + t;\n", 4, {"grid": 4, "resident": 64}),
    "read after another block's write": (
        "if (b == 1) x[0] = 9;\nelse\ny[t] = x[0];",
        6,
        {"grid": 2},
    ),
    "global in a block": ("x[t] = 3 * t;\ny[t] = x[63 - t];", 5, {}),
    "bytes": (
        "__shared__ char s[64]; s[t] = t;\n__syncthreads();\ns[t] = s[t ^ 1] + 1;",
        6,
        {},
    ),
    "vector": (
        (
            "__shared__ __align__(16) int s[64]; s[t] = x[t];\nint4 v = ((int4*)s)[t / 4];\n"
            "y[t] = v.x + v.w;"
        ),
        5,
        {},
    ),
    "atomic and plain": (
        "__shared__ int s; if (t == 0) s = 0;\natomicAdd(&s, x[t]);\n__syncthreads(); y[t] = s;",
        5,
        {},
    ),
    "plain after atomics": (
        "__shared__ int s; if (t == 0) s = 0;\n__syncthreads();\natomicAdd(&s, x[t]);\ny[t] = s;",
        7,
        {},
    ),
    "only one thread waits": (
        (
            "if (b == 1) { y[t] = 3 * x[t]; __threadfence(); __syncthreads();\n"
            "if (t == 0) atomicExch(x, 77); } else {\n"
            "if (t == 0) while (atomicAdd(x, 0) != 77) {}\nx[64 + t] = y[31 - t]; }"
        ),
        7,
        {"grid": 2, "block": 32},
    ),
    "no fence": (
        (
            "if (b == 1) { y[t] = t; __syncthreads(); if (t == 0) atomicExch(x, 77); } else {\n"
            "if (t == 0) while (atomicAdd(x, 0) != 77) {}\n__syncthreads();\n"
            "x[64 + t] = y[31 - t]; }"
        ),
        7,
        {"grid": 2, "block": 32},
    ),
}


@pytest.mark.parametrize("name", RACES)
def test_races(name: str) -> None:
    body, line, how = RACES[name]
    refused(body, "RACE", "race", line, **how)


SOUND: dict[str, tuple[str, dict[str, Any]]] = {
    "block barrier": ("__shared__ int s[64]; s[t] = x[t]; __syncthreads(); x[t] = s[63 - t];", {}),
    "warp barrier": (
        (
            "__shared__ int s[64]; s[t] = x[t]; __syncwarp(); x[t] = s[t / 32 * 32 + 31 - t % 32];"
            " x[t] = 63 - t;"
        ),
        {},
    ),
    "volatile": (
        "__shared__ volatile int s[64]; s[t] = x[t]; int v = s[t ^ 1]; x[t] = v - v + 63 - t;",
        {"block": 64},
    ),
    "same value": (
        (
            "__shared__ int any; any = 0; __syncthreads(); if (x[t] >= 0) any = 1; __syncthreads();"
            " x[t] = any * (63 - t);"
        ),
        {},
    ),
    "barrier with a reduction": (
        (
            "__shared__ int s[64]; s[t] = x[t]; int c = __syncthreads_count(t < 5);"
            " int a = __syncthreads_and(t >= 0), o = __syncthreads_or(t == 70);"
            " x[t] = s[63 - t] * (c == 5 && a && !o);"
        ),
        {},
    ),
    "named barriers": (
        (
            '__shared__ int s[64]; s[t] = x[t]; asm volatile("bar.sync %0, 32;" :: "r"(1 + t / 32)'
            ' : "memory"); x[t] = s[t / 32 * 32 + 31 - t % 32]; x[t] = 63 - t;'
        ),
        {},
    ),
    "exit before a barrier": (
        "__shared__ int s[64]; if (t > 63) return; s[t] = x[t]; __syncthreads(); x[t] = s[63 - t];",
        {"block": 96},
    ),
    "the last block sums up": (
        (
            "__shared__ bool last; y[64 * b + t] = x[t]; __threadfence(); __syncthreads();"
            " if (t == 0) last = atomicAdd(x + 200, 1) == 200 + gridDim.x - 1; __syncthreads();"
            " if (last) x[t] = y[64 * (gridDim.x - 1) + 63 - t];"
        ),
        {"grid": 3},
    ),
    "a consumer that spins": (
        (
            "if (b) { y[t] = x[63 - t]; __threadfence(); __syncthreads();"
            " if (!t) atomicExch(x + 99, -1); } else {"
            " if (!t) while (atomicAdd(x + 99, 0) != -1) {} __syncthreads(); x[t] = y[t]; }"
        ),
        {"grid": 2},
    ),
    "a consumer with a volatile flag": (
        (
            "if (t < 32) { y[t] = 31 - t; y[32 + t] = -1 - t; __threadfence(); __syncwarp();"
            " if (!t) *(volatile int*)(x + 99) = -1; }"
            " else { while (*(volatile int*)(x + 99) != -1) {} __threadfence(); x[t] = y[t - 32];"
            " x[t - 32] = y[t] + 64; }"
        ),
        {},
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_orders_accesses(name: str) -> None:
    body, how = SOUND[name]
    assert run(body, **how)[:64].tolist() == list(range(63, -1, -1))


def test_barriers_that_not_all_threads_reach() -> None:
    error = refused(
        "if (t < 32) {\nx[t] = 1; __syncthreads(); } else {\n__syncthreads(); x[t] = 2; }",
        "BARRIER-DIVERGENCE",
        r"barrier divergence: .* and by thread .32, 0, 0.*\n  at k.cu:5: .*\n  and k.cu:6: ",
        5,
    )
    assert error.thread == (0, 0, 0)
    refused(
        'if (t < 32)\nasm volatile("bar.sync 1, 64;");',
        ["NO-PROGRESS", "BARRIER-DIVERGENCE"][1],
        "no thread can run: 32 wait here, 64 threads have exited.*at k.cu:5",
        5,
        block=96,
    )


def test_barriers_take_whole_warps() -> None:
    body = 'if (t < 40)\nasm volatile("bar.sync 1, 40;");'
    refused(body, "BARRIER-DIVERGENCE", "a barrier of 40 threads, which is no multiple of 32", 5)


def test_threads_that_never_end() -> None:
    refused("while (atomicAdd(x, 0) == 0) {}", "NO-PROGRESS", "no progress: threads go round")
    refused("while (*(volatile int*)x == 0) {}", "NO-PROGRESS", "nothing that they read changes")


def test_waiting_for_blocks_that_cannot_start() -> None:
    wait = "if (!t) { atomicAdd(y, 1); while (atomicAdd(y, 0) < 4) {} }"
    run(wait, grid=4)
    refused(
        wait,
        "NO-PROGRESS",
        "2 blocks have not started, since only 2 of this size are resident at once",
        grid=4,
        resident=128,
    )


def test_long_loops_are_no_standstill() -> None:
    assert (
        run("for (int i = 0; i < 20000; ++i) if (i % 3 == 1) x[0] += i * t % 7;", block=1)[0] == 0
    )


UNWRITTEN = {
    "shared": "__shared__ int s[64]; if (t) s[t] = 1;\n__syncthreads();\ny[t] = s[t];",
    "dynamic": "extern __shared__ int s[]; if (t) s[t] = 1;\n__syncthreads();\ny[t] = s[t];",
    "atomic": "__shared__ int s[64];\n\natomicAdd(&s[t], 1); __syncthreads(); y[t] = s[t];",
    "local": "int a[8];\nfor (int i = 0; i < 7; ++i) a[x[i] % 8] = i;\ny[t] = a[x[7] % 8];",
}


@pytest.mark.parametrize("name", UNWRITTEN)
def test_reads_of_what_nobody_wrote(name: str) -> None:
    refused(UNWRITTEN[name], "UNINITIALISED", "which nobody has written", 6, shared_mem=256)


def test_padding_may_be_copied_but_not_used() -> None:
    before = "struct P { char c; int pad; double d; };"
    copy = (
        "__shared__ P a[64], z[64]; a[t].c = t; a[t].d = t;\n__syncthreads();\nP p = a[63 - t];\n"
        "z[t] = p;\n__syncthreads();\nx[t] = z[t].c;\n"
    )
    assert run(copy, before=before)[:64].tolist() == list(range(63, -1, -1))
    refused(copy + "y[t] = z[t].pad;", "UNINITIALISED", "nobody has written", 10, before=before)


def test_structures_by_value_may_be_filled_in_part() -> None:
    before = (
        "struct W { int size; int v[6]; };\n"
        "__device__ __noinline__ int pick(W w, int k) { w.v[k & 1] += w.size; return w.v[k]; }"
    )
    fill = "W w; w.size = 3; for (int i = 0; i < 3; ++i) w.v[x[i] % 6] = x[t + i];\n"
    body = fill + "x[t] = pick(w, {});"
    x = run(body.format("t % 3"), block=1, before=before)
    assert x[0] == 3
    error = refused(body.format("x[t] + 4"), "UNINITIALISED", "local", 2, block=1, before=before)
    assert error.file == "k.cu"


def test_bytes_on_which_a_result_depends() -> None:
    fill = "__shared__ __align__(4) {} s[8]; if (t < {}) s[t] = t;\n__syncthreads();\n"
    half = fill.format("short", 5) + "y[t] = ((int*)s)[t % 3] + 1;"
    refused(half, "UNINITIALISED", "read of 4 bytes at byte 8 of shared variable 's'", 6, block=32)
    byte = fill.format("char", 7) + "y[t] = ((short*)s)[t % 4] + 1;"
    refused(byte, "UNINITIALISED", "read of 2 bytes at byte 6", 6, block=32)
    # What is cut off again does not count.
    run(fill.format("short", 5) + "y[t] = ((int*)s)[t % 3] & 0xffff;", block=32)
    run(fill.format("char", 6) + "y[t] = (((int*)s)[t % 2] >> 8) & 0xff;", block=32)
    shifted = fill.format("char", 5) + "y[t] = (((int*)s)[t % 2] >> 8) & 0xff;"
    refused(shifted, "UNINITIALISED", "at byte [45]", 6, block=32)


BOUNDS = {
    "shared": ("__shared__ int s[64];\ns[t + 1] = x[t];", "byte 256 of shared variable 's'"),
    "before shared": ("__shared__ int s[64];\ns[t - 1] = x[t];", "byte -4 of shared variable 's'"),
    "dynamic": ("extern __shared__ int s[];\ns[t + 1] = x[t];", "of shared dynamic shared memory"),
    "local": ("int a[8] = {};\nfor (int i = 0; i < 9; ++i) a[x[i]] = i;\ny[t] = a[x[3]];", "local"),
    "vector": (("__shared__ __align__(16) int s[66];\n((int4*)s)[t / 4] = make_int4(1, 2, 3, 4); "
               "((int4*)s)[16] = make_int4(1, 2, 3, t);"), "byte 256 of shared variable 's'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_of_shared_and_local_memory(name: str) -> None:
    body, where = BOUNDS[name]
    if "s[" in body:
        body += "\n__syncthreads(); y[t] = s[t / 2];"  # or the compiler leaves the stores out
    refused(body, "OUT-OF-BOUNDS", re.escape(where), 5, shared_mem=256)


def test_const_memory_is_read_only() -> None:
    error = refused(
        'int* p = (int*)table; asm volatile("" : "+l"(p));\n\np[t % 4] = x[t];',
        "READ-ONLY",
        "constant variable 'table'",
        6,
        before="__constant__ int table[4] = {1, 2, 3, 4};",
    )
    assert error.file == "k.cu"


def test_misaligned_vectors() -> None:
    shared = (
        "__shared__ __align__(16) int s[66];\n*(int2*)(s + 1) = make_int2(t, t);"
        " __syncthreads(); y[t] = s[t];"
    )
    where = "byte 4 of shared variable 's' .*not at a multiple of 8"
    refused(shared, "MISALIGNED", where, 5)
    where = "element 1 of argument 0 .*not a multiple of 8"
    refused("*(double*)(x + 2 * t + 1) = 1.0;", "MISALIGNED", where)
