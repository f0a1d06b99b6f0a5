"""CUDA kernels written by hand: compiled at first use, launched like a function.

`Kernel` is what a kernel author writes. On a machine without a GPU its `Kernel.compile`,
`compile_report` and `occupancy` still work: NVRTC needs no driver. CuPy is imported by the first
launch, not before, and what is listed here by the first use of it.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuops.cuda.cubin import CubinError, Resources
    from gpuops.cuda.geometry import ceil_div, ctype, grid_size
    from gpuops.cuda.kernel import Kernel
    from gpuops.cuda.launcher import LaunchError
    from gpuops.cuda.limits import SUPPORTED_ARCHS, Occupancy
    from gpuops.cuda.nvrtc import ArchitectureError, Compiled, CompileError, NvrtcNotFoundError
    from gpuops.cuda.pack import pack_kernels
    from gpuops.cuda.report import KernelReport, compile_report, compile_reports
    from gpuops.cuda.signature import KernelParameter, KernelSignature, Pointer, pointer
    from gpuops.cuda.sizing import best_block_size, occupancy

__all__ = [
    "SUPPORTED_ARCHS",
    "ArchitectureError",
    "CompileError",
    "Compiled",
    "CubinError",
    "Kernel",
    "KernelParameter",
    "KernelReport",
    "KernelSignature",
    "LaunchError",
    "NvrtcNotFoundError",
    "Occupancy",
    "Pointer",
    "Resources",
    "best_block_size",
    "ceil_div",
    "compile_report",
    "compile_reports",
    "ctype",
    "grid_size",
    "occupancy",
    "pack_kernels",
    "pointer",
]

_PLACES = {
    "SUPPORTED_ARCHS": "limits",
    "ArchitectureError": "nvrtc",
    "CompileError": "nvrtc",
    "Compiled": "nvrtc",
    "CubinError": "cubin",
    "Kernel": "kernel",
    "KernelParameter": "signature",
    "KernelReport": "report",
    "KernelSignature": "signature",
    "LaunchError": "launcher",
    "NvrtcNotFoundError": "nvrtc",
    "Occupancy": "limits",
    "Pointer": "signature",
    "Resources": "cubin",
    "best_block_size": "sizing",
    "ceil_div": "geometry",
    "compile_report": "report",
    "compile_reports": "report",
    "ctype": "geometry",
    "grid_size": "geometry",
    "occupancy": "sizing",
    "pack_kernels": "pack",
    "pointer": "signature",
}


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(_import_module(f"{__name__}.{place}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
