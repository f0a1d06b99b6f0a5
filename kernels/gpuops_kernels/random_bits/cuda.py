"""The "cuda" kernel of ``random_bits``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops import Device, cuda
from gpuops.random import RNGState
from gpuops_kernels._random import WORDS
from gpuops_kernels._random_cuda import fill
from gpuops_kernels.random_bits.op import check

__all__ = ["KERNELS", "run"]

KERNELS = {np.dtype(np.uint32): cuda.Kernel("random_bits.cu", "random_bits")}


def run(shape: Sequence[int], rng: RNGState, *, device: Device) -> Any:
    """As the operator."""
    out = cuda.namespace(device).empty(check(shape, rng, device), dtype=np.uint32)
    fill(KERNELS[out.dtype], out, WORDS, rng)
    return out
