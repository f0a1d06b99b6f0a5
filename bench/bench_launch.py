"""What gpuops adds to a launch of a CUDA kernel with six arguments, in nanoseconds.

    python bench/bench_launch.py

On a GPU the launches are real, of a kernel that does nothing, beside `cupy.RawKernel`; the exit
status is 1 if the way from an operator's call to the launch takes more than LIMIT times as long.
Elsewhere the driver is replaced by a function that does nothing: what is left is gpuops' own part.
Ways are timed in turns, and the least time of many rounds counts.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import gpuops
from gpuops import Array, cuda
from gpuops.cuda.checker import make_checker
from gpuops.cuda.launcher import LoadedKernel

LIMIT = 1.1
ROUNDS, LOOPS = 60, 400
SOURCE = """
extern "C" __global__ void nothing(const float* x, const float* weight, float* out,
                                   long long rows, long long length, double eps) {}
"""


class FakeArray:
    """What the check of an argument looks at, at CuPy's price: attributes of an object."""

    __slots__ = ("_c_contiguous", "data", "dtype")

    def __init__(self) -> None:
        self.dtype = np.dtype(np.float32)
        self._c_contiguous = True


def ways_without_gpu() -> dict[str, Callable[[], Any]]:
    """The parts of a launch, with a driver that does nothing."""
    import cupy.cuda.function as function

    class Module:
        def load(self, code: bytes) -> None: ...

        def get_function(self, symbol: str) -> Callable[..., None]:
            return launch

    def launch(grid: Any, block: Any, args: Any, shared_mem: int) -> None:
        return None

    names = {name: getattr(function, name) for name in ("CIntptr", "CUIntMax")}
    pretended = types.SimpleNamespace(
        ndarray=FakeArray,
        cuda=types.SimpleNamespace(
            Device=lambda: types.SimpleNamespace(compute_capability="90", id=0),
            driver=types.SimpleNamespace(CUDADriverError=RuntimeError),
            function=types.SimpleNamespace(Module=Module, **names),
        ),
    )
    kernel = cuda.Kernel(SOURCE, "nothing")
    loaded = LoadedKernel(kernel, pretended)
    kernel._launch = loaded.launch
    x = FakeArray()
    check = make_checker(kernel.signature, FakeArray, loaded.encoders)
    args = (x, x, x, 4, 8, 1e-6)
    scalars = (x, x, x, np.int64(4), np.int64(8), np.float64(1e-6))
    return {
        "the stand-in alone": lambda: launch((1, 1, 1), (256, 1, 1), args, 0),
        "arguments checked, Python numbers": lambda: check(args),
        "arguments checked, NumPy scalars": lambda: check(scalars),
        "kernel(grid, block, args), Python numbers": lambda: kernel(1, 256, args),
        "kernel(grid, block, args), NumPy scalars": lambda: kernel((1,), (256,), scalars),
    }


def ways_on_gpu(cp: Any) -> dict[str, Callable[[], Any]]:
    """A launch by hand, by `gpuops.cuda.Kernel`, and from the call of an operator."""
    raw, kernel = cp.RawKernel(SOURCE, "nothing"), cuda.Kernel(SOURCE, "nothing")
    x, out = cp.ones(8, np.float32), cp.ones(8, np.float32)

    @gpuops.custom_op("bench_launch::nothing", mutates_args=())
    def nothing(x: Array, weight: Array, eps: float = 1e-6) -> Array:
        return out

    @nothing.register_kernel("cuda")
    def launch(x: Any, weight: Any, eps: float) -> Any:
        kernel(1, 256, (x, weight, out, 1, 8, eps))
        return out

    def by_hand(x: Any, weight: Any, eps: float) -> Any:
        raw((1,), (256,), (x, weight, out, 1, 8, eps))
        return out

    return {
        "cupy.RawKernel": lambda: by_hand(x, x, 1e-6),
        "gpuops.cuda.Kernel": lambda: kernel(1, 256, (x, x, out, 1, 8, 1e-6)),
        "the gpuops operator": lambda: nothing(x, x, 1e-6),
    }


def least_ns(ways: dict[str, Callable[[], Any]], settle: Callable[[], Any]) -> dict[str, float]:
    """The least nanoseconds of a call, for each way."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            settle()
            start = perf_counter()
            for _ in range(LOOPS):
                way()
            best[name] = min(best[name], (perf_counter() - start) / LOOPS * 1e9)
    return best


def main() -> int:
    reason = cuda.why_unavailable()
    if reason is not None:
        times = least_ns(ways_without_gpu(), lambda: None)
        print(f"{reason}: launches end in a function that does nothing")
    else:
        import cupy as cp

        times = least_ns(ways_on_gpu(cp), cp.cuda.get_current_stream().synchronize)
        print(cp.cuda.runtime.getDeviceProperties(0)["name"].decode())
    for name, ns in times.items():
        print(f"{name:45} {ns:8.0f} ns")
    if reason is not None:
        return 0
    ratio = times["the gpuops operator"] / times["cupy.RawKernel"]
    print(f"operator to RawKernel: {ratio:.2f} (limit {LIMIT})")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
