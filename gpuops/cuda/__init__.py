"""CUDA kernels written by hand: compiled at first use, launched like a function.

`Kernel` is what a kernel author writes. On a machine without a GPU its `Kernel.compile` still
works: NVRTC needs no driver. CuPy is imported by the first launch, not before.
"""

from gpuops.cuda.available import why_unavailable
from gpuops.cuda.geometry import ceil_div, ctype, grid_size
from gpuops.cuda.kernel import Kernel
from gpuops.cuda.layout import contiguous, copy_with_layout
from gpuops.cuda.nvrtc import Compiled, CompileError, NvrtcNotFoundError
from gpuops.cuda.simulate import SimulationError, simulate
from gpuops.cuda.simulated import simulator
from gpuops.cuda.transfer import asarray, namespace

__all__ = [
    "CompileError",
    "Compiled",
    "Kernel",
    "NvrtcNotFoundError",
    "SimulationError",
    "asarray",
    "ceil_div",
    "contiguous",
    "copy_with_layout",
    "ctype",
    "grid_size",
    "simulate",
    "namespace",
    "simulator",
    "why_unavailable",
]
