"""The "cuda" kernel of ``uniform``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops import Device, cuda
from gpuops.random import RNGState
from gpuops_kernels._random_cuda import fill
from gpuops_kernels.uniform.op import PER_BLOCK, check

__all__ = ["KERNELS", "run"]

KERNELS = {dtype: cuda.Kernel("uniform.cu", f"uniform<{cuda.ctype(dtype)}>") for dtype in PER_BLOCK}


def run(shape: Sequence[int], rng: RNGState, *, dtype: np.dtype, device: Device) -> Any:
    """As the operator."""
    shape = check(shape, rng, dtype, device)
    out = cuda.namespace(device).empty(shape, dtype=dtype)
    fill(KERNELS[out.dtype], out, PER_BLOCK[out.dtype], rng)
    return out
