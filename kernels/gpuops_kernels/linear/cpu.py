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
    dtype, shape = x.dtype, x.shape
    wide = np.float32 if dtype.itemsize == 2 else dtype
    # One product of two matrices, however many axes there are: NumPy would make one for each.
    rows = aligned(x if len(shape) == 2 else x.reshape(prod(shape[:-1]), shape[-1]), wide)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        # `dot`: before NumPy 2.3, `matmul` multiplies layouts that no BLAS takes on its own.
        out = np.dot(rows, aligned(weight, wide).T)
        if bias is not None:
            out += bias
        if out.dtype != dtype:
            out = out.astype(dtype)
    return out if len(shape) == 2 else out.reshape(*shape[:-1], weight.shape[0])
