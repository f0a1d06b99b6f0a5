"""Whether CUDA kernels can run here on a GPU, and why not."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from functools import cache
from typing import Any

from gpuops.errors import DeviceError

__all__ = ["load_cupy", "why_unavailable"]


@cache
def why_unavailable() -> str | None:
    """Why kernels cannot run on a GPU here; None if they can.

    The driver is asked, and not CuPy, which need not be imported for that.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return "no CUDA driver on this machine"
    count = ctypes.c_int(0)
    error = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if error:
        return f"the CUDA driver reports error {error}"
    if not count.value:
        return "the CUDA driver finds no device"
    if importlib.util.find_spec("cupy") is None:
        return "a CUDA driver, but no CuPy: install gpuops[cuda12] or gpuops[cuda13]"
    return None


def load_cupy(what: str) -> Any:
    """CuPy, where it can be used.

    Args:
        what: what needs it, for the error.

    Raises:
        DeviceError: there is no driver, no device or no CuPy.
    """
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"{what}: CuPy is needed: pip install 'gpuops[cuda12]' or 'gpuops[cuda13]' ({error}). "
            "Without a GPU, gpuops.cuda.simulator() runs kernels"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(
            f"{what}: no CUDA device or driver ({error}). "
            "Without a GPU, gpuops.cuda.simulator() runs kernels"
        ) from error
    if not count:
        raise DeviceError(f"{what}: the CUDA driver finds no device")
    return cupy
