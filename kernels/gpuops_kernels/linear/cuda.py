"""The "cuda" kernel of ``linear``: cuBLAS, over the bias that a kernel has put there."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpuops import cuda
from gpuops_kernels.linear.op import check

__all__ = ["KERNELS", "run"]

KERNELS = {
    np.dtype(dtype): cuda.Kernel("linear.cu", f"fill_rows<{cuda.ctype(dtype)}>")
    for dtype in (np.float16, np.float32, np.float64)
}

_THREADS = 256


def run(x: Any, weight: Any, bias: Any, handle: Any) -> Any:
    """As the operator; allocates with the arrays' own namespace."""
    check(x, weight, bias)
    xp = x.__array_namespace__()
    rows, columns = prod(x.shape[:-1]), weight.shape[0]
    out = xp.empty((rows, columns), dtype=x.dtype)
    if bias is not None:
        # Under the product, and not added after it: float16 is then rounded once.
        blocks = cuda.grid_size(out.size, _THREADS)
        KERNELS[out.dtype](blocks, _THREADS, (cuda.contiguous(bias), out, columns, out.size))
    matrix = cuda.contiguous(x).reshape(rows, x.shape[-1])
    chosen = cuda.default_handle() if handle is None else handle
    chosen.product(matrix, cuda.contiguous(weight), out, accumulate=bias is not None)
    return out.reshape(*x.shape[:-1], columns)
