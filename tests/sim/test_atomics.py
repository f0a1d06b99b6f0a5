"""Atomics of every type, in global and shared memory, with and without their result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpuops import cuda
from gpuops.cuda.sim.atomics import apply
from gpuops.cuda.simulation import run_ptx
from tests.sim.ptx_kernels import HEADER


def up(bits: Any) -> Any:
    return (np.asarray(bits, np.uint32) << np.uint32(16)).view(np.float32)


def one_by_one(
    memory: np.ndarray, at: np.ndarray, values: list[np.ndarray], step: Callable[..., Any]
) -> tuple[np.ndarray, np.ndarray]:
    """(old values, memory afterwards) of the operations one after the other."""
    memory, old = memory.copy(), np.empty(len(at), memory.dtype)
    for k, place in enumerate(at):
        old[k] = memory[place]
        memory[place] = step(memory[place], *(v[k] for v in values))
    return old, memory


STEPS: dict[str, Callable[..., Any]] = {
    "add": lambda o, v: o + v,
    "min": min,
    "max": max,
    "exch": lambda o, v: v,
    "cas": lambda o, c, v: v if o == c else o,
    "and": lambda o, v: o & v,
    "or": lambda o, v: o | v,
    "xor": lambda o, v: o ^ v,
    "inc": lambda o, v: 0 if o >= v else o + 1,
    "dec": lambda o, v: v if o == 0 or o > v else o - 1,
}
TYPES = {
    "u32": np.uint32,
    "s32": np.int32,
    "u64": np.uint64,
    "s64": np.int64,
    "f32": np.float32,
    "f64": np.float64,
}
CASES = [
    *(("add", k) for k in TYPES),
    *((op, k) for op in ("min", "max") for k in ("u32", "s32", "u64", "s64")),
    *((op, k) for op in ("exch", "cas", "and", "or", "xor") for k in ("u32", "u64")),
    ("inc", "u32"),
    ("dec", "u32"),
]


@pytest.mark.parametrize(("operation", "kind"), CASES)
def test_threads_take_turns_in_the_order_of_their_lanes(operation: str, kind: str) -> None:
    rng = np.random.default_rng(3)
    dtype = TYPES[kind]
    for places in (1, 3, 40, 500):
        n = 100
        memory = rng.integers(0, 9, places).astype(dtype)
        at = rng.integers(0, places, n)
        if places == 500:
            at = rng.permutation(500)[:n]
        values = [rng.integers(0, 9, n).astype(dtype) for _ in range(1 + (operation == "cas"))]
        old, after = one_by_one(memory, at, values, STEPS[operation])
        for wanted in (True, False):
            found = memory.copy()
            result, changed = apply(found, at, values, operation, kind, wanted)
            assert np.array_equal(found, after)
            assert changed or np.array_equal(after, memory)
            if wanted:
                assert np.array_equal(result, old)


def test_sums_of_integers_wrap_around() -> None:
    memory = np.array([2**32 - 3], np.uint32)
    old, _ = apply(memory, np.zeros(4, int), [np.full(4, 2, np.uint32)], "add", "u32", True)
    assert old.tolist() == [2**32 - 3, 2**32 - 1, 1, 3] and memory[0] == 5


@pytest.mark.parametrize("space", ["global", "shared"])
def test_halves_and_pairs_of_halves(space: str) -> None:
    base = "[%a0]" if space == "global" else "[%a3]"
    give_back = "ld.shared.v2.u32 {%r1, %r2}, [%a3]; st.global.v2.u32 [%a0], {%r1, %r2};"
    text = (
        HEADER
        + f"""
.visible .entry k(.param .u64 p0, .param .u64 p1) {{
.shared .align 8 .b8 s[8];
.reg .b64 %a<5>; .reg .b32 %r<6>; .reg .b16 %h<4>; .reg .pred %p;
ld.param.u64 %a0, [p0]; ld.param.u64 %a1, [p1]; mov.u64 %a3, s; mov.u32 %r0, %tid.x;
setp.ne.u32 %p, %r0, 0;
@%p bra READY;
ld.global.v2.u32 {{%r1, %r2}}, [%a0];
st.shared.v2.u32 [%a3], {{%r1, %r2}};
READY:
bar.sync 0;
mul.wide.u32 %a2, %r0, 4; add.u64 %a1, %a1, %a2;
mov.u32 %r3, 0x3c003c00;
atom.{space}.add.noftz.f16x2 %r4, {base}, %r3;
st.global.u32 [%a1], %r4;
mov.u16 %h1, 0x3f80;
red.{space}.add.noftz.bf16 {base[:-1]}+4], %h1;
bar.sync 0;
@%p bra END;
{give_back if space == "shared" else ""}
END:
ret;
}}
"""
    )
    memory = np.array([0x40003800, 0], np.uint32)  # halves 0.5 and 2
    old = np.zeros(20, np.uint32)
    run_ptx(text, "k", 1, 20, (memory, old))
    halves = old.view(np.float16).reshape(-1, 2)
    assert halves.tolist() == [[0.5 + k, 2 + k] for k in range(20)]
    assert memory[:1].view(np.float16).tolist() == [20.5, 22]
    assert up(memory.view(np.uint16)[2]) == 20


def test_locks_built_from_compare_and_swap() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void k(int* lock, int* count, double* most, const double* x) {
            bool done = false;
            while (!done) {
                if (atomicCAS(lock, 0, 1) == 0) {
                    *(volatile int*)count += 1;
                    __threadfence();
                    atomicExch(lock, 0);
                    done = true;
                }
            }
            unsigned long long* word = (unsigned long long*)most;
            unsigned long long old = *word, seen;
            do {
                seen = old;
                double best = fmax(x[threadIdx.x], __longlong_as_double(seen));
                old = atomicCAS(word, seen, __double_as_longlong(best));
            } while (old != seen);
        }""",
        "k",
    )
    lock, count, most = np.zeros(1, "i4"), np.zeros(1, "i4"), np.zeros(1)
    x = np.random.default_rng(0).random(48)
    cuda.simulate(kernel, 2, 48, (lock, count, most, x))
    assert (count[0], lock[0], most[0]) == (96, 0, x.max())


def test_a_histogram_in_shared_memory() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void k(const int* x, unsigned* bins, int n) {
            __shared__ unsigned mine[16];
            if (threadIdx.x < 16) mine[threadIdx.x] = 0;
            __syncthreads();
            for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
                atomicAdd(&mine[x[i]], 1);
            __syncthreads();
            if (threadIdx.x < 16) atomicAdd(&bins[threadIdx.x], mine[threadIdx.x]);
        }""",
        "k",
    )
    x = np.random.default_rng(0).integers(0, 16, 5000).astype(np.int32)
    bins = np.zeros(16, np.uint32)
    cuda.simulate(kernel, 5, 64, (x, bins, 5000))
    assert np.array_equal(bins, np.bincount(x, minlength=16))
    with pytest.raises(cuda.SimulationError, match="past the end of argument 1"):
        cuda.simulate(kernel, 5, 64, (x, bins[:15], 5000))
