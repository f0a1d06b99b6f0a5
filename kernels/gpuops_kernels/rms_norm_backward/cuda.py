"""The "cuda" kernels of ``rms_norm_backward``: one by rows, two that sum over rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops import cuda
from gpuops_kernels.rms_norm_backward.op import check

__all__ = ["KERNELS", "run"]

KERNELS = {
    (np.dtype(dtype), part): cuda.Kernel(
        "rms_norm_backward.cu", f"rms_norm_backward_{part}<{cuda.ctype(dtype)}>"
    )
    for dtype in (np.float16, np.float32, np.float64)
    for part in ("rows", "parts", "sum")
}


def _block(length: int, itemsize: int) -> tuple[int, int]:
    """Threads per row and rows per block: a warp for a short row, up to 512 threads for a long.

    >>> _block(100, 4), _block(4096, 4)
    ((32, 8), (512, 1))
    """
    # Two loads of 16 bytes a thread: enough in flight, and few idle threads at a row's end.
    wanted = cuda.ceil_div(length * itemsize, 32)
    if wanted <= 32:
        return 32, 8
    return min(1 << (wanted - 1).bit_length(), 512), 1


def _parts(rows: int, length: int) -> int:
    """How many parts the rows are summed in: enough blocks for a GPU, 32 rows in each at least.

    >>> _parts(10, 1024), _parts(4096, 1024), _parts(100_000, 64)
    (1, 16, 256)
    """
    blocks = cuda.ceil_div(length, 32)
    return max(1, min(rows // 32, cuda.ceil_div(512, blocks)))


def run(grad: Any, x: Any, weight: Any, eps: float = 1e-6) -> Any:
    """As the operator; allocates with the arrays' own namespace."""
    check(grad, x, weight)
    xp = x.__array_namespace__()
    dtype, length = x.dtype, x.shape[-1]
    of_x, of_weight = xp.empty(x.shape, dtype=dtype), xp.zeros(weight.shape, dtype=dtype)
    if not x.size:
        return of_x, of_weight
    grad, x, weight = cuda.contiguous(grad), cuda.contiguous(x), cuda.contiguous(weight)
    rows = x.size // length
    wide = np.promote_types(dtype, np.float32)
    scales = xp.empty((rows,), dtype=wide)
    threads, rows_per_block = _block(length, x.itemsize)
    blocks = cuda.grid_size(rows, rows_per_block)
    KERNELS[dtype, "rows"](
        blocks, (threads, rows_per_block), (grad, x, weight, of_x, scales, rows, length, eps)
    )
    number = _parts(rows, length)
    parts = xp.empty((number, length), dtype=wide)
    columns = cuda.ceil_div(length, 32)
    KERNELS[dtype, "parts"]((columns, number), (32, 8), (grad, x, scales, parts, rows, length))
    KERNELS[dtype, "sum"](cuda.grid_size(length, 256), 256, (parts, of_weight, number, length))
    return of_x, of_weight
