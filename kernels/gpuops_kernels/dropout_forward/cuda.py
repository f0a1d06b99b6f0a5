"""The "cuda" kernel of ``dropout_forward``: that of ``dropout_apply``, after a draw."""

from __future__ import annotations

from typing import Any

from gpuops.random import RNGState
from gpuops_kernels.dropout_apply.cuda import KERNELS, apply
from gpuops_kernels.dropout_forward.op import check, draw

__all__ = ["KERNELS", "run"]


def run(x: Any, p: float, rng: RNGState) -> tuple[Any, Any, Any]:
    """As the operator; allocates with the array's own namespace."""
    check("dropout_forward", x, p, rng)
    first = draw(x, rng)
    return apply(x, p, rng.key, first), rng.key.copy(), first
