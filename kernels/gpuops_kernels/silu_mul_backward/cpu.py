"""``silu_mul_backward`` on the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit

from gpuops_kernels._dense import dense
from gpuops_kernels._exp import logistic
from gpuops_kernels._parallel import for_each_chunk
from gpuops_kernels.silu_mul_backward.op import check

__all__ = ["run"]

# As of silu_mul; this loop takes half as long again.
_LEAST = 2**18


# NumPy's error model: a division that may raise is a branch, and the loop no vector code.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _range(grad, gate, up, of_gate, of_up, start, stop):  # type: ignore[no-untyped-def]
    one = gate.dtype.type(1)
    # Of slices, LLVM knows that no index is negative.
    grad, gate, up = grad[start:stop], gate[start:stop], up[start:stop]
    of_gate, of_up = of_gate[start:stop], of_up[start:stop]
    for i in range(gate.size):
        share, rest = logistic(gate[i])
        of_gate[i] = grad[i] * up[i] * (share * (one + gate[i] * rest))
        of_up[i] = grad[i] * (gate[i] * share)


def run(grad: np.ndarray, gate: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kernel; see ``op.silu_mul_backward``."""
    check(grad, gate, up)
    dtype = gate.dtype
    wide = np.float32 if dtype.itemsize == 2 else dtype
    flat = [dense(array, wide).reshape(-1) for array in (grad, gate, up)]
    outs = np.empty(gate.shape, wide), np.empty(gate.shape, wide)
    results = [out.reshape(-1) for out in outs]
    for_each_chunk(
        lambda start, stop: _range(*flat, *results, start, stop), gate.size, gate.size, _LEAST
    )
    if wide == dtype:
        return outs
    with np.errstate(over="ignore"):  # of float16, as in the reference
        return outs[0].astype(dtype), outs[1].astype(dtype)
