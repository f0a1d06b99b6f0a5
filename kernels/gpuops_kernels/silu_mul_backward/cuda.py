"""The "cuda" kernel of ``silu_mul_backward``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops import cuda
from gpuops_kernels.silu_mul_backward.op import check

__all__ = ["KERNELS", "run"]

KERNELS = {
    np.dtype(dtype): cuda.Kernel("silu_mul_backward.cu", f"silu_mul_backward<{cuda.ctype(dtype)}>")
    for dtype in (np.float16, np.float32, np.float64)
}

_THREADS = 256


def run(grad: Any, gate: Any, up: Any) -> Any:
    """As the operator; allocates with the arrays' own namespace."""
    check(grad, gate, up)
    xp = gate.__array_namespace__()
    of_gate = xp.empty(gate.shape, dtype=gate.dtype)
    of_up = xp.empty(gate.shape, dtype=gate.dtype)
    given = (cuda.contiguous(grad), cuda.contiguous(gate), cuda.contiguous(up))
    blocks = cuda.grid_size(of_up.size * of_up.itemsize, 16 * _THREADS)
    KERNELS[of_up.dtype](blocks, _THREADS, (*given, of_gate, of_up, of_up.size))
    return of_gate, of_up
