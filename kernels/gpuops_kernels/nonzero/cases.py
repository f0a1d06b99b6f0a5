"""Samples of ``nonzero``."""

from __future__ import annotations

import numpy as np

from gpuops.cases import Arguments, BenchShape, Case
from gpuops_kernels._samples import LAYOUTS, sample

__all__ = ["BENCH", "CASES"]

_DTYPES = ("bool", "int8", "uint16", "int32", "int64", "float16", "float32", "float64")
_SHAPES = [(5,), (3, 64), (2, 3, 33), (2, 2, 3, 7), (300, 1), (0,), (3, 0, 2), (1, 100_003)]


def _case(shape: tuple[int, ...], dtype: str, density: float, layout: str = "contiguous") -> Case:
    def build(rng: np.random.Generator) -> Arguments:
        x = sample(rng, shape, dtype, layout, density)
        return (x,), {}

    name = "x".join(map(str, shape))
    return Case(f"{name}-{layout}-{dtype}-{round(100 * density)}%", build)


def _special(rng: np.random.Generator) -> Arguments:
    return (np.array([[0.0, -0.0, np.nan], [np.inf, 1e-45, -1.0]], np.float32),), {}


CASES = [
    *(_case(shape, dtype, 0.5) for shape in _SHAPES for dtype in _DTYPES),
    *(_case((4, 6, 8), "float32", 0.3, layout) for layout in LAYOUTS[1:]),
    *(_case((40, 60), "float32", density) for density in (0.0, 0.01, 1.0)),
    Case("special-values", _special),
]


def _bench(density: float) -> BenchShape:
    def build(rng: np.random.Generator) -> Arguments:
        x = sample(rng, (4096, 1024), "float32")
        x[rng.random(x.shape) >= density] = 0
        return (x,), {}

    return BenchShape(f"4096x1024-float32-{round(100 * density)}%", build)


BENCH = [_bench(0.5), _bench(0.1)]
