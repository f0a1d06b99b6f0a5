"""The "cuda" kernel of ``rms_norm``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops import cuda
from gpuops_kernels.rms_norm.op import check

__all__ = ["KERNELS", "run"]

KERNELS = {
    np.dtype(dtype): cuda.Kernel("rms_norm.cu", f"rms_norm<{cuda.ctype(dtype)}>")
    for dtype in (np.float16, np.float32, np.float64)
}


def _block(length: int, itemsize: int) -> tuple[int, int]:
    """Threads per row and rows per block: a warp for a short row, up to 1024 threads for a long.

    >>> _block(100, 4), _block(4096, 4)
    ((32, 8), (512, 1))
    """
    # Two loads of 16 bytes a thread: enough in flight, and few idle threads at a row's end.
    wanted = cuda.ceil_div(length * itemsize, 32)
    if wanted <= 32:
        return 32, 8
    return min(1 << (wanted - 1).bit_length(), 1024), 1


def run(x: Any, weight: Any, eps: float = 1e-6) -> Any:
    """As the operator; allocates with the arrays' own namespace."""
    check(x, weight)
    xp = x.__array_namespace__()
    x, weight = cuda.contiguous(x), cuda.contiguous(weight)
    out = xp.empty(x.shape, dtype=x.dtype)
    length = x.shape[-1]
    rows = x.size // length if length else 0
    threads, rows_per_block = _block(length, x.itemsize)
    blocks = cuda.grid_size(rows, rows_per_block)
    KERNELS[x.dtype](blocks, (threads, rows_per_block), (x, weight, out, rows, length, eps))
    return out
