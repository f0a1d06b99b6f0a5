"""``softmax`` on the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit

from gpuops_kernels._exp import exp_below_0, order, unorder
from gpuops_kernels._parallel import for_each_chunk
from gpuops_kernels.softmax.op import check

__all__ = ["run"]

_LEAST = 2**15


# Reassociation lets the sum run in vector lanes. exp is compiled without it: taking ln 2 off in two
# parts has to stay two subtractions. NumPy's error model: no branch for a division by zero.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _rows(x, out, start, stop):  # type: ignore[no-untyped-def]
    n = x.shape[1]
    for row in range(start, stop):
        values, results = x[row], out[row]
        highest = order(values[0])
        for i in range(n):
            highest = max(highest, order(values[i]))
        top = unorder(highest)
        total = 0.0
        # Blocks in the array's own precision, their sum in double: as exact for long rows.
        for block in range(0, n, 4096):
            from_, to = values[block : block + 4096], results[block : block + 4096]
            part = x.dtype.type(0)
            for i in range(from_.size):
                raised = exp_below_0(from_[i] - top)
                to[i] = raised
                part += raised
            total += part
        scale = x.dtype.type(1.0 / total)
        for i in range(n):
            results[i] *= scale


def run(x: np.ndarray, axis: int) -> np.ndarray:
    """The kernel; see ``op.softmax``."""
    axis = check(x, axis)
    wide = np.float32 if x.dtype == np.float16 else x.dtype
    # Slices become rows; a copy, unless they are already.
    turned = np.moveaxis(x, axis, -1)
    values = np.require(turned, wide, "CA").reshape(-1, max(x.shape[axis], 1))
    out = np.empty(turned.shape, wide)
    if x.size:
        rows = out.reshape(values.shape)
        for_each_chunk(
            lambda start, stop: _rows(values, rows, start, stop), len(values), values.size, _LEAST
        )
    return np.asarray(np.moveaxis(out, -1, axis), x.dtype, order="C")
