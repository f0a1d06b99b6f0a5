"""``linear`` on the CPU: the BLAS that NumPy has."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpuops_kernels._dense import aligned
from gpuops_kernels.linear.op import check

__all__ = ["run"]


def run(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, handle: Any) -> np.ndarray:
    """The kernel; see ``op.linear``."""
    check(x, weight, bias)
    wide = np.float32 if x.dtype == np.float16 else x.dtype
    # One product of two matrices, however many axes there are: NumPy would make one for each.
    rows = aligned(x, wide).reshape(prod(x.shape[:-1]), x.shape[-1])
    weights = aligned(weight, wide)
    out = np.empty((rows.shape[0], weight.shape[0]), wide)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        np.matmul(rows, weights.T, out=out)
        if bias is not None:
            out += bias
        result = out.astype(x.dtype, copy=False)
    return result.reshape(*x.shape[:-1], weight.shape[0])
