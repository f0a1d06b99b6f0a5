"""``rms_norm`` on the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit

from gpuops_kernels._dense import dense
from gpuops_kernels._parallel import for_each_chunk
from gpuops_kernels.rms_norm.op import check

__all__ = ["run"]

# 75 us on one thread, against 27 us for handing work to another (bench/bench_threads.py).
_LEAST = 2**19


# Reassociation lets the sum run in vector lanes; rounding differs, by less than adding in order.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _rows(x, weight, eps, out, start, stop):  # type: ignore[no-untyped-def]
    n = x.shape[1]
    for row in range(start, stop):
        values, results = x[row], out[row]
        total = 0.0
        # Blocks in the array's own precision, their sum in double: as exact for long rows.
        for block in range(0, n, 4096):
            from_ = values[block : block + 4096]
            part = x.dtype.type(0)
            for i in range(from_.size):
                part += from_[i] * from_[i]
            total += part
        scale = x.dtype.type(1.0 / np.sqrt(total / n + eps))
        for i in range(n):
            results[i] = values[i] * scale * weight[i]


def run(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    """The kernel; see ``op.rms_norm``."""
    check(x, weight)
    wide = np.float32 if x.dtype.itemsize == 2 else x.dtype
    values = dense(x, wide).reshape(-1, max(x.shape[-1], 1))
    scales = dense(weight, wide)
    out = np.empty(x.shape, wide)
    if x.size:
        rows = out.reshape(values.shape)
        for_each_chunk(
            lambda start, stop: _rows(values, scales, eps, rows, start, stop),
            len(values),
            values.size,
            _LEAST,
        )
    return out if out.dtype == x.dtype else out.astype(x.dtype)
