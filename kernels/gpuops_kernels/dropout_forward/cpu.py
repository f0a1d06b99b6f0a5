"""``dropout_forward`` on the CPU: ``dropout_apply``, after a draw."""

from __future__ import annotations

import numpy as np

from gpuops.random import RNGState
from gpuops_kernels.dropout_apply.cpu import apply
from gpuops_kernels.dropout_forward.op import check, draw

__all__ = ["run"]


def run(x: np.ndarray, p: float, rng: RNGState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The kernel; see ``op.dropout_forward``."""
    check("dropout_forward", x, p, rng)
    first = draw(x, rng)
    return apply(x, p, rng.key, first), rng.key.copy(), first
