"""Where an array's elements lie: what a kernel with plain pointers needs, and what tests vary."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from gpuops.cuda.simulated import SimulatedArray
from gpuops.cuda.transfer import asarray, namespace
from gpuops.devices import Device
from gpuops.memory import byte_range

__all__ = ["contiguous", "copy_with_layout"]

# CuPy and the CUDA driver hand out memory at multiples of this.
_ALIGNMENT = 256


def contiguous(x: Any) -> Any:
    """`x` for a kernel that takes a plain pointer: C-contiguous, elements at their alignment.

    Args:
        x: an array of any device and library.

    Returns:
        `x` itself if it is like that, else a copy on its device; of the same shape, 0-d too.

    >>> import numpy as np
    >>> x = np.ones((4, 6))
    >>> contiguous(x) is x, contiguous(x[:, ::2]).strides
    (True, (24, 8))
    """
    xp = x.__array_namespace__()
    dense = x if x.flags.c_contiguous else xp.ascontiguousarray(x)
    low, _ = byte_range(dense)
    # Only a view into bytes starts between two elements. A plain copy moves bytes.
    return dense.copy() if low % dense.dtype.alignment else dense


def copy_with_layout(x: np.ndarray, device: str | Device) -> Any:
    """A copy on a device with the strides, and the alignment, of an array of the host.

    `gpuops.asarray` may put the elements in order; this does not, so that a kernel can be tried on
    every layout. The bytes between the elements are copied too.

    Args:
        x: of the host, any layout.
        device: where to.

    >>> import numpy as np
    >>> x = np.arange(12.0).reshape(3, 4)[::-1, ::2]
    >>> copy_with_layout(x, "cpu").strides == x.strides
    True
    """
    if not x.size:
        return asarray(x.copy(), device=device)
    low, high = byte_range(x)
    shift = low % _ALIGNMENT
    span = np.zeros(shift + high - low, np.uint8)
    raw = (ctypes.c_char * (high - low)).from_address(low)
    span[shift:] = np.frombuffer(memoryview(raw), np.uint8)
    start = shift + x.ctypes.data - low
    xp = namespace(device)
    there = asarray(span, device=device)
    if xp is np or isinstance(there, SimulatedArray):
        cls = SimulatedArray if isinstance(there, SimulatedArray) else np.ndarray
        found = np.ndarray.__new__(cls, x.shape, x.dtype, there, start, x.strides)
        found.flags.writeable = x.flags.writeable
        return found
    return xp.ndarray(x.shape, x.dtype, there.data + start, x.strides)
