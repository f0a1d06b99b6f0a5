"""``dropout`` on the CPU."""

from __future__ import annotations

import numpy as np

from gpuops.random import RNGState
from gpuops_kernels.dropout_apply.cpu import apply
from gpuops_kernels.dropout_forward.op import check, draw

__all__ = ["run"]


def run(x: np.ndarray, p: float, rng: RNGState) -> np.ndarray:
    """The kernel; see ``op.dropout``."""
    check("dropout", x, p, rng)
    return apply(x, p, rng.key, draw(x, rng))
