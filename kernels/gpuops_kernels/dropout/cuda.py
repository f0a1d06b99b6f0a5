"""The "cuda" kernel of ``dropout``: that of ``dropout_apply``, after a draw."""

from __future__ import annotations

from typing import Any

from gpuops.random import RNGState
from gpuops_kernels.dropout_apply.cuda import KERNELS, apply
from gpuops_kernels.dropout_forward.op import check, draw

__all__ = ["KERNELS", "run"]


def run(x: Any, p: float, rng: RNGState) -> Any:
    """As the operator; allocates with the array's own namespace."""
    check("dropout", x, p, rng)
    return apply(x, p, rng.key, draw(x, rng))
