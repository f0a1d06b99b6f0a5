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


_HINT = "Without a GPU, gpuops.cuda.simulator() runs kernels"


def load_cupy(purpose: str) -> Any:
    """CuPy, where it is installed and finds a device.

    Args:
        purpose: for the message: ``"launch 'scale'"``.

    Raises:
        DeviceError: it is not, or does not.
    """
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"to {purpose} takes CuPy: pip install 'gpuops[cuda12]' or 'gpuops[cuda13]' ({error}). "
            f"{_HINT}"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(
            f"cannot {purpose}: no CUDA device or driver ({error}). {_HINT}"
        ) from error
    if not count:
        raise DeviceError(f"cannot {purpose}: the CUDA driver finds no device. {_HINT}")
    return cupy
