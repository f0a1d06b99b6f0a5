"""Asynchronous copies and barriers in shared memory."""

from __future__ import annotations

import re

import numpy as np
import pytest

from gpuops import cuda

COPY = """
__device__ void copy(void* to, const void* from) {
    unsigned at = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" :: "r"(at), "l"(from) : "memory");
}
__device__ void copy_some(void* to, const void* from, int bytes) {
    unsigned at = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
        :: "r"(at), "l"(from), "r"(bytes) : "memory");
}
__device__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
#define WAIT(n) asm volatile("cp.async.wait_group %0;" :: "n"(n) : "memory")
#define WAIT_ALL asm volatile("cp.async.wait_all;" ::: "memory")
"""


def kernel(body: str) -> cuda.Kernel:
    return cuda.Kernel(
        COPY + 'extern "C" __global__ void k(const float* x, float* y) {\n'
        "__shared__ __align__(16) float s[256]; int t = threadIdx.x;\n" + body + "\n}",
        "k",
    )


def line_of(body: str, mark: str) -> int:
    return COPY.count("\n") + 3 + body[: body.index(mark)].count("\n")


def test_copies_arrive_when_they_are_waited_for() -> None:
    body = "copy(s + 4 * t, x + 4 * t); commit(); WAIT(0);\n__syncthreads();\ny[t] = s[127 - t];"
    x, y = np.arange(128, dtype=np.float32), np.zeros(128, np.float32)
    cuda.simulate(kernel(body), 1, 32, (x, y))
    assert y[:32].tolist() == x[:95:-1].tolist()


def test_fewer_bytes_are_filled_up_with_zeros() -> None:
    body = "copy_some(s + t, x + t, t < 4 ? t : 0); WAIT_ALL;\ny[t] = s[t];"
    x, y = np.full(8, 1.1, np.float32), np.ones(8, np.float32)
    cuda.simulate(kernel(body), 1, 8, (x[:4], y))
    raw = x.view(np.uint8).reshape(-1, 4).copy()
    for k in range(8):
        raw[k, k if k < 4 else 0 :] = 0
    assert np.array_equal(y, raw.reshape(-1).view(np.float32))


WRONG = {
    "no wait": ("copy(s + 4 * t, x + 4 * t); commit();\ny[t] = s[4 * t]; // here", "cp.async"),
    "another's": (
        (
            "copy(s + 4 * t, x + 4 * t); if (t < 16) WAIT_ALL;\n__syncthreads();\n"
            "y[t] = s[127 - t]; // here"
        ),
        "cp.async by thread (31, 0, 0) of block (0, 0, 0) is not waited for",
    ),
    "too few groups": (
        (
            "copy(s + 4 * t, x + 4 * t); commit(); copy(s + 128 + 4 * t, x + 4 * t); commit();\n"
            "WAIT(1); float v = s[4 * t];\nv += s[128 + 4 * t]; // here\ny[t] = v;"
        ),
        "not waited for",
    ),
    "no barrier": (
        "copy(s + 4 * t, x + 4 * t); WAIT_ALL;\ny[t] = s[127 - t]; // here",
        "is not ordered after the write of 16 bytes by thread (31, 0, 0)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_copies_nobody_waited_for(name: str) -> None:
    body, problem = WRONG[name]
    with pytest.raises(cuda.SimulationError, match=re.escape(problem)) as caught:
        cuda.simulate(kernel(body), 1, 32, (np.zeros(128, "f4"), np.zeros(128, "f4")))
    assert (caught.value.kind, caught.value.line) == ("RACE", line_of(body, "// here"))


def test_copies_are_checked_like_other_accesses() -> None:
    body = "copy(s + 4 * t, x + 4 * t); WAIT_ALL;"
    with pytest.raises(cuda.SimulationError, match="past the end of argument 0"):
        cuda.simulate(kernel(body), 1, 32, (np.zeros(124, "f4"), np.zeros(1, "f4")))
    body = "copy(s + 2 * t, x + 4 * t); WAIT_ALL;"
    with pytest.raises(cuda.SimulationError, match="misaligned write of 16 bytes at byte 8"):
        cuda.simulate(kernel(body), 1, 32, (np.zeros(128, "f4"), np.zeros(1, "f4")))


BARRIER = """
__device__ unsigned at(void* p) { return (unsigned)__cvta_generic_to_shared(p); }
__device__ void init(unsigned long long* b, int n) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" :: "r"(at(b)), "r"(n) : "memory");
}
__device__ unsigned long long arrive(unsigned long long* b) {
    unsigned long long s;
    asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(s) : "r"(at(b)) : "memory");
    return s;
}
__device__ bool done(unsigned long long* b, unsigned long long s) {
    int ok;
    asm volatile("{ .reg .pred p; mbarrier.test_wait.shared.b64 p, [%1], %2;"
        " selp.s32 %0, 1, 0, p; }" : "=r"(ok) : "r"(at(b)), "l"(s) : "memory");
    return ok;
}
__device__ bool passed(unsigned long long* b, int parity) {
    int ok;
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2;"
        " selp.s32 %0, 1, 0, p; }" : "=r"(ok) : "r"(at(b)), "r"(parity) : "memory");
    return ok;
}
"""


def test_barriers_in_shared_memory() -> None:
    text = (
        BARRIER
        + """extern "C" __global__ void k(const float* x, float* y, int rounds) {
        __shared__ unsigned long long full, empty;
        __shared__ float s[32];
        int t = threadIdx.x;
        if (t == 0) { init(&full, 32); init(&empty, 32); }
        __syncthreads();
        float sum = 0;
        for (int r = 0; r < rounds; ++r) {
            if (t < 32) {
                if (r) while (!passed(&empty, (r - 1) & 1)) {}
                s[t] = x[32 * r + t];
                arrive(&full);
            } else {
                while (!passed(&full, r & 1)) {}
                sum += s[63 - t];
                arrive(&empty);
            }
        }
        if (t >= 32) y[t - 32] = sum;
    }"""
    )
    x, y = np.random.default_rng(0).random((5, 32), np.float32), np.zeros(32, np.float32)
    cuda.simulate(cuda.Kernel(text, "k"), 1, 64, (x, y, 5))
    np.testing.assert_allclose(y, x.sum(0)[::-1], rtol=1e-6)
    early = text.replace("while (!passed(&full, r & 1)) {}", "")
    with pytest.raises(cuda.SimulationError) as caught:
        cuda.simulate(cuda.Kernel(early, "k"), 1, 64, (x, y, 5))
    assert caught.value.kind in ("RACE", "UNINITIALISED")


def test_states_of_barriers() -> None:
    text = (
        BARRIER
        + """extern "C" __global__ void k(int* y) {
        __shared__ unsigned long long b;
        int t = threadIdx.x;
        if (t == 0) init(&b, 2);
        __syncwarp();
        if (t == 0) {
            unsigned long long first = arrive(&b);
            y[0] = done(&b, first);
            unsigned long long second = arrive(&b);
            y[1] = done(&b, first);
            y[2] = done(&b, second);
            unsigned long long third = arrive(&b);
            y[3] = done(&b, third);
            unsigned count;
            asm volatile("mbarrier.pending_count.b64 %0, %1;" : "=r"(count) : "l"(third));
            y[4] = count;
        }
    }"""
    )
    y = np.full(5, -1, np.int32)
    cuda.simulate(cuda.Kernel(text, "k"), 1, 32, (y,))
    assert y.tolist() == [0, 1, 1, 0, 2]


def test_the_barrier_class_of_the_cuda_library() -> None:
    text = """
    #include <cooperative_groups.h>
    #include <cuda/barrier>
    extern "C" __global__ void k(const float* x, float* y) {
        __shared__ cuda::barrier<cuda::thread_scope_block> ready;
        __shared__ float s[64];
        auto block = cooperative_groups::this_thread_block();
        if (threadIdx.x == 0) init(&ready, blockDim.x);
        block.sync();
        s[threadIdx.x] = x[threadIdx.x];
        ready.arrive_and_wait();
        y[threadIdx.x] = s[63 - threadIdx.x];
    }"""
    kernel = cuda.Kernel(text, "k")
    try:
        kernel.compile(80, ptx=True)
    except cuda.CompileError as error:
        pytest.skip(f"the CUDA C++ core libraries are not installed: {error.line}")
    x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    cuda.simulate(kernel, 1, 64, (x, y))
    assert y.tolist() == x[::-1].tolist()
