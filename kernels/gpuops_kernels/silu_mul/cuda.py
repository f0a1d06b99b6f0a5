"""The "cuda" kernel of ``silu_mul``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops import cuda
from gpuops_kernels.silu_mul.op import check

__all__ = ["KERNELS", "run"]

KERNELS = {
    np.dtype(dtype): cuda.Kernel("silu_mul.cu", f"silu_mul<{cuda.ctype(dtype)}>")
    for dtype in (np.float16, np.float32, np.float64)
}

_THREADS = 256


def run(gate: Any, up: Any) -> Any:
    """As the operator; allocates with the arrays' own namespace."""
    check(gate, up)
    xp = gate.__array_namespace__()
    out = xp.empty(gate.shape, dtype=gate.dtype)
    gate, up = cuda.contiguous(gate), cuda.contiguous(up)
    blocks = cuda.grid_size(out.size * out.itemsize, 16 * _THREADS)
    KERNELS[out.dtype](blocks, _THREADS, (gate, up, out, out.size))
    return out
