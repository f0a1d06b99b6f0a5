"""``silu_mul`` on the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit

from gpuops_kernels._dense import dense
from gpuops_kernels._exp import logistic
from gpuops_kernels._parallel import for_each_chunk
from gpuops_kernels.silu_mul.op import check

__all__ = ["run"]

# 85 us on one thread, against 27 us for handing work to another (bench/bench_threads.py).
_LEAST = 2**18


# NumPy's error model: a division that may raise is a branch, and the loop no vector code.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _range(gate, up, out, start, stop):  # type: ignore[no-untyped-def]
    # Of slices, LLVM knows that no index is negative.
    gate, up, out = gate[start:stop], up[start:stop], out[start:stop]
    for i in range(gate.size):
        out[i] = gate[i] * logistic(gate[i])[0] * up[i]


def run(gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The kernel; see ``op.silu_mul``."""
    check(gate, up)
    dtype = gate.dtype
    wide = np.float32 if dtype.itemsize == 2 else dtype
    gates = dense(gate, wide).reshape(-1)
    ups = dense(up, wide).reshape(-1)
    out = np.empty(gate.shape, wide)
    flat = out.reshape(-1)
    for_each_chunk(
        lambda start, stop: _range(gates, ups, flat, start, stop), gates.size, gates.size, _LEAST
    )
    if out.dtype == dtype:
        return out
    with np.errstate(over="ignore"):  # of float16, as in the reference
        return out.astype(dtype)
