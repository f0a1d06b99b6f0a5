"""What the CUDA simulator costs, all checks on.

    python -m bench.bench_simulator [--peer PATH] [--rounds N]

Times three kernels that stress it in different ways, and three typical ones over 1e5 elements. The
first launch of a program also parses the PTX and generates the functions of its basic blocks; that
is given on its own, NVRTC's compile time not counted.

A peer is another interpreter of PTX: a Python file that defines ``Module(ptx_text)`` with
``launch(name, grid, block, args)``. It runs the same PTX on the same arrays, in turn with ours.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gpuops import cuda
from gpuops.cuda import simulation
from gpuops.cuda.sim.program import Program

VADD = """extern "C" __global__ void vadd(const float* a, const float* b, float* c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}"""

MATMUL = """extern "C" __global__ void matmul(const float* A, const float* B, float* C, int n) {
    __shared__ float a[16][16], b[16][16];
    int x = threadIdx.x, y = threadIdx.y;
    int row = blockIdx.y * 16 + y, column = blockIdx.x * 16 + x;
    float sum = 0;
    for (int t = 0; t < n; t += 16) {
        a[y][x] = A[row * n + t + x];
        b[y][x] = B[(t + y) * n + column];
        __syncthreads();
        for (int k = 0; k < 16; k++) sum += a[y][k] * b[k][x];
        __syncthreads();
    }
    C[row * n + column] = sum;
}"""

LOOP = """extern "C" __global__ void loop(unsigned* x, int n) {
    unsigned s = 1;
    for (int i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        s ^= s >> 3;
        if (s & 1024) s += i;
    }
    x[0] = s;
}"""

SOFTMAX = """extern "C" __global__ void softmax(const float* x, float* y, int n) {
    const float* row = x + blockIdx.x * (long long)n;
    float most = -1e30f, sum = 0;
    for (int i = threadIdx.x; i < n; i += 32) most = fmaxf(most, row[i]);
    for (int d = 16; d; d /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, d));
    for (int i = threadIdx.x; i < n; i += 32) sum += __expf(row[i] - most);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    for (int i = threadIdx.x; i < n; i += 32)
        y[blockIdx.x * (long long)n + i] = __expf(row[i] - most) / sum;
}"""

SUM = """extern "C" __global__ void sum(const float* x, float* y, int n) {
    __shared__ float s[256];
    int t = threadIdx.x;
    float v = 0;
    for (int i = blockIdx.x * 256 + t; i < n; i += gridDim.x * 256) v += x[i];
    s[t] = v;
    __syncthreads();
    for (int d = 128; d; d /= 2) {
        if (t < d) s[t] += s[t + d];
        __syncthreads();
    }
    if (t == 0) atomicAdd(y, s[0]);
}"""

HISTOGRAM = """extern "C" __global__ void histogram(const unsigned char* x, unsigned* bins, int n) {
    __shared__ unsigned mine[256];
    mine[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256)
        atomicAdd(&mine[x[i]], 1);
    __syncthreads();
    atomicAdd(&bins[threadIdx.x], mine[threadIdx.x]);
}"""


@dataclass(frozen=True)
class Case:
    """A launch to time."""

    title: str
    source: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    args: tuple[Any, ...]

    @property
    def name(self) -> str:
        return self.source.partition("void ")[2].partition("(")[0]


def cases() -> list[Case]:
    rng = np.random.default_rng(0)
    million, wide = 1_000_000, 256
    a, b = (rng.random(million, np.float32) for _ in range(2))
    left, right = (rng.random((wide, wide), np.float32) for _ in range(2))
    rows = rng.random((100, 1000), np.float32)
    codes = rng.integers(0, 256, 100_000).astype(np.uint8)
    blocks = (million + 255) // 256
    n = np.int32
    return [
        Case("vadd, 1e6 elements", VADD, (blocks,), (256,), (a, b, np.zeros_like(a), n(million))),
        Case(
            "tiled matmul, 256^3",
            MATMUL,
            (16, 16),
            (16, 16),
            (left, right, np.zeros_like(left), n(wide)),
        ),
        Case("one thread, 1e5 turns", LOOP, (1,), (1,), (np.zeros(1, np.uint32), n(100_000))),
        Case("softmax, 100 x 1000", SOFTMAX, (100,), (32,), (rows, np.zeros_like(rows), n(1000))),
        Case(
            "sum, 1e5 elements",
            SUM,
            (64,),
            (256,),
            (rows.reshape(-1), np.zeros(1, np.float32), n(rows.size)),
        ),
        Case(
            "histogram, 1e5 bytes",
            HISTOGRAM,
            (64,),
            (256,),
            (codes, np.zeros(256, np.uint32), n(codes.size)),
        ),
    ]


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def first_launch(kernel: cuda.Kernel, case: Case) -> float:
    """Seconds for parsing, finding basic blocks and generating functions, and one launch."""
    program, source = simulation._program(kernel)
    text = kernel.compile("compute_80", ptx=True).code.decode()

    def run() -> None:
        module = simulation.parse(text)
        fresh = Program(module, program.title)
        grid, block = ((*v, 1, 1)[:3] for v in (case.grid, case.block))
        simulation.launch(fresh, source, grid, block, case.args)

    return seconds(run)


def load_peer(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("peer", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(case: Case, peer: Any, rounds: int) -> list[str]:
    kernel = cuda.Kernel(case.source, case.name, options=("-lineinfo",))
    cuda.simulate(kernel, case.grid, case.block, case.args)
    first = min(first_launch(kernel, case) for _ in range(2))
    text = kernel.compile("compute_80", ptx=True).code.decode()
    other = None if peer is None else peer.Module(text)
    launch = (case.name, case.grid, case.block, case.args)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(partial(cuda.simulate, kernel, *launch[1:])))
        if other is not None:
            theirs.append(seconds(partial(other.launch, *launch)))
    row = [case.title, f"{1e3 * min(ours):.1f}", f"{1e3 * first:.1f}"]
    if theirs:
        row += [f"{1e3 * min(theirs):.1f}", f"{min(theirs) / min(ours):.1f}"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", type=Path, help="a Python file with another interpreter of PTX")
    parser.add_argument("--rounds", type=int, default=5, help="the least of so many is given")
    options = parser.parse_args()
    peer = load_peer(options.peer) if options.peer else None
    head = ["kernel", "ms", "first launch, ms"] + (["peer, ms", "ratio"] if peer else [])
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for case in cases():
        print("| " + " | ".join(measure(case, peer, options.rounds)) + " |", flush=True)


if __name__ == "__main__":
    main()
