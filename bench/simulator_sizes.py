"""What typical kernels over 100,000 elements cost in the CUDA simulator, all checks on.

    python -m bench.simulator_sizes

The kernels are those of tests/cuda_corpus/mutants. `first` includes generating functions, but not
NVRTC and parsing; `again` is the quickest of five further runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from gpuops import cuda
from tests.cuda_corpus.corpus import HERE, Launch, floats, ints, kernel_of, simulate, wrong, zeros

I4, F4 = np.int32, np.float32
SIZES: dict[str, Callable[[], Launch]] = {}


def size(build: Callable[[], Launch]) -> Callable[[], Launch]:
    SIZES[build.__name__] = build
    return build


@size
def vadd() -> Launch:
    a, b = floats(100_000), floats(100_000, seed=1)
    return Launch(391, 256, (a, b, zeros(100_000), I4(100_000)), {2: a + b})


@size
def saxpy() -> Launch:
    x, y = floats(100_000), floats(100_000, seed=1)
    return Launch(98, 256, (F4(2), x, y, I4(100_000)), {2: F4(2) * x + y}, rtol=1e-4)


@size
def transpose() -> Launch:
    x = ints(250, 400)
    args = (x, zeros(400, 250, dtype=I4), I4(250), I4(400))
    return Launch((13, 8), (32, 8), args, {1: x.T})


@size
def block_sum() -> Launch:
    x = floats(100_000)
    return Launch(98, 256, (x, zeros(1), I4(100_000)), {1: x.sum(dtype=float)}, rtol=1e-2)


@size
def softmax_row() -> Launch:
    x = floats(400, 250)
    e = np.exp(x - x.max(1, keepdims=True))
    right = e / e.sum(1, keepdims=True)
    return Launch(100, 128, (x, zeros(400, 250), I4(400), I4(250)), {1: right}, rtol=1e-4)


@size
def layernorm() -> Launch:
    x, weight, bias = floats(200, 500), floats(500, seed=1), floats(500, seed=2)
    centred = x - x.mean(1, keepdims=True)
    right = centred / np.sqrt(x.var(1, keepdims=True) + 0.01) * weight + bias
    args = (x, weight, bias, zeros(200, 500), I4(500), F4(0.01))
    return Launch(200, 64, args, {3: right}, rtol=1e-2)


@size
def histogram() -> Launch:
    x = ints(100_000, high=256).astype(np.uint8)
    args = (x, zeros(256, dtype="u4"), I4(100_000))
    return Launch(100, 256, args, {1: np.bincount(x, minlength=256)})


@size
def convolve() -> Launch:
    x = floats(100_000)
    taps = [1, -2, 3, 0.5, 0.25]
    right = np.convolve(x, taps[::-1], mode="same")
    return Launch(1563, 64, (x, zeros(100_000), I4(100_000), I4(2)), {1: right}, rtol=1e-3)


@size
def scan() -> Launch:
    x = ints(782, 128)
    return Launch(782, 128, (x, zeros(782, 128, dtype=I4)), {1: x.cumsum(1)})


@size
def bitonic_sort() -> Launch:
    keys = ints(782, 128, high=10**6)
    return Launch(782, 64, (keys,), {0: np.sort(keys, 1)})


@size
def matmul() -> Launch:
    a, b = floats(320, 64), floats(64, 320, seed=1)
    args = (a, b, zeros(320, 320), I4(320), I4(320), I4(64))
    return Launch((20, 20), (16, 16), args, {2: a @ b}, rtol=1e-2)


def seconds(kernel: cuda.Kernel, launch: Launch) -> float:
    started = time.perf_counter()
    simulate(kernel, launch)
    spent = time.perf_counter() - started
    problem = wrong(launch)
    if problem:
        raise AssertionError(f"{kernel.name}: {problem}")
    return spent


def main() -> None:
    print("| kernel | grid, block | first, s | again, s |\n|---|---|---|---|")
    for name, build in SIZES.items():
        kernel = kernel_of(HERE / "mutants" / f"{name}.cu")
        # An empty grid compiles and launches nothing.
        launch = build()
        cuda.simulate(kernel, 0, launch.block, launch.args)
        first = seconds(kernel, launch)
        again = min(seconds(kernel, build()) for _ in range(5))
        print(f"| `{name}` | {launch.grid}, {launch.block} | {first:.3f} | {again:.3f} |")


if __name__ == "__main__":
    main()
