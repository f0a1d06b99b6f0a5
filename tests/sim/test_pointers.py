"""Which arrays count as written: too few would hide races."""

from __future__ import annotations

import pytest

from gpuops import cuda
from gpuops.cuda.sim.inline import flatten
from gpuops.cuda.sim.pointers import written_parameters
from gpuops.cuda.sim.ptx import parse

KERNELS = {
    "directly": ("void k(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }", {1}),
    "one of two": (
        (
            "void k(float* a, float* b, const float* c, int n) { float* p = n > 3 ? a + n : b;"
            " p[c[0] > 0] = 1; }"
        ),
        {0, 1},
    ),
    "through a loop": (
        (
            "void k(float* a, float* b, int n) { float* p = a; for (int i = 0; i < n; ++i) {"
            " p[i] = 1; float* q = p; p = b + (q - a); } }"
        ),
        {0, 1},
    ),
    "an index from memory": (
        "void k(const long long* at, float* y) { y[at[threadIdx.x]] = 1; }",
        {1},
    ),
    "a pointer from memory": (
        "void k(float* a, float* b, int n) { float* both[2] = {a, b}; both[n % 2][3] = 1; }",
        {0, 1},
    ),
    "a pointer from shared memory": (
        (
            "void k(float* a, const float* b, int n) { __shared__ float* p[64];"
            " p[threadIdx.x] = a + n; __syncthreads(); p[63 - threadIdx.x][0] = b[0]; }"
        ),
        {0},
    ),
    "an atomic": ("void k(const int* x, int* y) { atomicAdd(y + x[threadIdx.x], 1); }", {1}),
    "in a structure": (
        "void k(P p, const float* x) { p.inner[p.n] = x[0]; }",
        {0},
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_written_parameters(name: str) -> None:
    body, expected = KERNELS[name]
    kernel = cuda.Kernel('struct P { float* inner; int n; };\nextern "C" __global__ ' + body, "k")
    module = parse(kernel.compile(80, ptx=True).code.decode())
    function = flatten(module, "k")
    found = written_parameters(function)
    # Positions of pointers; those of numbers that addresses are computed from do no harm.
    assert expected <= found
    pointers = {k for k, p in enumerate(function.params) if p.type == "u64"}
    assert (
        found & pointers <= expected | {0}
        if name == "in a structure"
        else found & pointers == (expected & pointers)
    )
