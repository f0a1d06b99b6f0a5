"""The "cuda" kernels of ``softmax_backward``: one along the last axis, one along any other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpuops import cuda
from gpuops_kernels.softmax_backward.op import check

__all__ = ["KERNELS", "run"]

KERNELS = {
    (np.dtype(dtype), way): cuda.Kernel(
        "softmax_backward.cu", f"softmax_backward_{way}<{cuda.ctype(dtype)}>"
    )
    for dtype in (np.float16, np.float32, np.float64)
    for way in ("rows", "columns")
}


def _rows_block(length: int, itemsize: int) -> tuple[int, int]:
    """Threads per row and rows per block: a warp for a short row, up to 512 threads for a long.

    >>> _rows_block(100, 4), _rows_block(4096, 4)
    ((32, 8), (512, 1))
    """
    # Two loads of 16 bytes a thread: enough in flight, and few idle threads at a row's end.
    wanted = cuda.ceil_div(length * itemsize, 32)
    if wanted <= 32:
        return 32, 8
    return min(1 << (wanted - 1).bit_length(), 512), 1


def _columns_block(length: int) -> tuple[int, int]:
    """32 columns, each shared among a power of two of threads, at least 8 elements for each.

    >>> _columns_block(3), _columns_block(64), _columns_block(4096)
    ((32, 4), (32, 8), (32, 32))
    """
    shares = 1 << (length // 8).bit_length() - 1 if length >= 8 else 1
    return 32, min(max(shares, 4), 32)


def run(grad: Any, out: Any, axis: int = -1) -> Any:
    """As the operator; allocates with the arrays' own namespace."""
    axis = check(grad, out, axis)
    xp = grad.__array_namespace__()
    result = xp.empty(grad.shape, dtype=grad.dtype)
    if not grad.size:
        return result
    given = (cuda.contiguous(grad), cuda.contiguous(out), result)
    length = grad.shape[axis]
    outer, inner = math.prod(grad.shape[:axis]), math.prod(grad.shape[axis + 1 :])
    if inner == 1:
        block = _rows_block(length, result.itemsize)
        blocks = cuda.grid_size(outer, block[1])
        KERNELS[result.dtype, "rows"](blocks, block, (*given, outer, length))
    else:
        block = _columns_block(length)
        blocks = cuda.grid_size(outer * inner, block[0])
        KERNELS[result.dtype, "columns"](blocks, block, (*given, outer, length, inner))
    return result
