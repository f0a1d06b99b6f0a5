"""The "cuda" kernel of ``dropout_apply``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops import cuda
from gpuops_kernels._random import FLOATS, WORDS, blocks_for
from gpuops_kernels._random_cuda import THREADS
from gpuops_kernels.dropout_apply.op import check, scale_of, threshold_of

__all__ = ["KERNELS", "apply", "run"]

KERNELS = {
    dtype: cuda.Kernel("dropout_apply.cu", f"dropout_apply<{cuda.ctype(dtype)}>")
    for dtype in FLOATS
}


def apply(x: Any, p: float, key: Any, first: Any) -> Any:
    """As `run`, for arguments that were checked."""
    xp = x.__array_namespace__()
    out = xp.empty(x.shape, dtype=x.dtype)
    if not x.size:
        return out
    x = cuda.contiguous(x)
    grid = cuda.grid_size(blocks_for(x.size, WORDS), THREADS)
    numbers = (np.uint64(threshold_of(p)), scale_of(p))
    KERNELS[out.dtype](grid, THREADS, (x, out, x.size, key, first, *numbers))
    return out


def run(x: Any, p: float, key: Any, offset: Any) -> Any:
    """As the operator; allocates with the array's own namespace."""
    check(x, p, key, offset)
    return apply(x, p, key, offset)
