"""Batching rules of the operators in the namespace ``xp``; loaded when `vmap` first wants one.

A rule is written with operators, so that it holds for arrays, fakes and every other wrapper, and
nests. Each operator has its rule in one place, by the chapters of `gpuops.xp`.
"""

from gpuops.xp.batching import (
    counting,
    elementwise,
    fourier,
    indexing,
    linalg,
    manipulation,
    products,
    reductions,
)

__all__ = [
    "counting",
    "elementwise",
    "fourier",
    "indexing",
    "linalg",
    "manipulation",
    "products",
    "reductions",
]
