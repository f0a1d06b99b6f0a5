"""CUDA kernels written by hand: compiled at first use, launched like a function.

`Kernel` is what a kernel author writes. On a machine without a GPU its `Kernel.compile`,
`compile_report` and `occupancy` still work, as NVRTC needs no driver, and `simulator` runs it. CuPy
is imported by the first launch, not before, and what is listed here by the first use of it.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuops.cuda.available import why_unavailable
    from gpuops.cuda.cubin import CubinError, Resources
    from gpuops.cuda.geometry import ceil_div, ctype, grid_size
    from gpuops.cuda.handles import CublasHandle, HandleError, Workspace, default_handle
    from gpuops.cuda.kernel import Kernel
    from gpuops.cuda.launcher import LaunchError
    from gpuops.cuda.layout import contiguous, copy_with_layout
    from gpuops.cuda.limits import SUPPORTED_ARCHS, Occupancy
    from gpuops.cuda.nvrtc import ArchitectureError, Compiled, CompileError, NvrtcNotFoundError
    from gpuops.cuda.pack import pack_kernels
    from gpuops.cuda.report import KernelReport, compile_report, compile_reports
    from gpuops.cuda.signature import KernelParameter, KernelSignature, Pointer, pointer
    from gpuops.cuda.simulated import simulator
    from gpuops.cuda.simulation import SimulationError, simulate
    from gpuops.cuda.sizing import best_block_size, occupancy
    from gpuops.cuda.streams import (
        Event,
        OrderError,
        Stream,
        StreamError,
        current_stream,
        record_stream,
    )
    from gpuops.cuda.transfer import asarray, namespace

__all__ = [
    "SUPPORTED_ARCHS",
    "ArchitectureError",
    "CompileError",
    "Compiled",
    "CublasHandle",
    "CubinError",
    "Event",
    "HandleError",
    "Kernel",
    "KernelParameter",
    "KernelReport",
    "KernelSignature",
    "LaunchError",
    "NvrtcNotFoundError",
    "Occupancy",
    "OrderError",
    "Pointer",
    "Resources",
    "SimulationError",
    "Stream",
    "StreamError",
    "Workspace",
    "asarray",
    "best_block_size",
    "ceil_div",
    "compile_report",
    "compile_reports",
    "contiguous",
    "copy_with_layout",
    "ctype",
    "current_stream",
    "default_handle",
    "grid_size",
    "namespace",
    "occupancy",
    "pack_kernels",
    "pointer",
    "record_stream",
    "simulate",
    "simulator",
    "why_unavailable",
]

_PLACES = {
    "SUPPORTED_ARCHS": "limits",
    "ArchitectureError": "nvrtc",
    "CompileError": "nvrtc",
    "Compiled": "nvrtc",
    "CublasHandle": "handles",
    "CubinError": "cubin",
    "Event": "streams",
    "HandleError": "handles",
    "Kernel": "kernel",
    "KernelParameter": "signature",
    "KernelReport": "report",
    "KernelSignature": "signature",
    "LaunchError": "launcher",
    "NvrtcNotFoundError": "nvrtc",
    "Occupancy": "limits",
    "OrderError": "ordering",
    "Pointer": "signature",
    "Resources": "cubin",
    "SimulationError": "simulation",
    "Stream": "streams",
    "StreamError": "streams",
    "Workspace": "handles",
    "asarray": "transfer",
    "best_block_size": "sizing",
    "ceil_div": "geometry",
    "compile_report": "report",
    "compile_reports": "report",
    "contiguous": "layout",
    "copy_with_layout": "layout",
    "ctype": "geometry",
    "current_stream": "streams",
    "default_handle": "handles",
    "grid_size": "geometry",
    "namespace": "transfer",
    "occupancy": "sizing",
    "pack_kernels": "pack",
    "pointer": "signature",
    "record_stream": "streams",
    "simulate": "simulation",
    "simulator": "simulated",
    "why_unavailable": "available",
}


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(_import_module(f"{__name__}.{place}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
