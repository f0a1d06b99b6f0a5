"""CUDA kernels written by hand: compiled at first use, launched like a function.

`Kernel` is what a kernel author writes. On a machine without a GPU its `Kernel.compile` still
works: NVRTC needs no driver. CuPy is imported by the first launch, not before.
"""

from gpuops.cuda.geometry import ceil_div, ctype, grid_size
from gpuops.cuda.kernel import Kernel
from gpuops.cuda.nvrtc import Compiled, CompileError, NvrtcNotFoundError
from gpuops.cuda.simulate import SimulationError, simulate

__all__ = [
    "CompileError",
    "Compiled",
    "Kernel",
    "NvrtcNotFoundError",
    "SimulationError",
    "ceil_div",
    "ctype",
    "grid_size",
    "simulate",
]
