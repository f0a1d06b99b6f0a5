"""Samples of ``silu_mul_backward``."""

from __future__ import annotations

import numpy as np

from gpuops.cases import Arguments, BenchShape, Case
from gpuops_kernels._samples import DTYPES, LAYOUTS, sample

__all__ = ["BENCH", "CASES"]

_SHAPES = [(), (5,), (3, 64), (2, 3, 33), (2, 2, 3, 7), (0,), (3, 0, 2), (1, 20_003)]


def _case(shape: tuple[int, ...], dtype: str, layout: str = "contiguous") -> Case:
    def build(rng: np.random.Generator) -> Arguments:
        grad, gate = (sample(rng, shape, dtype, layout) for _ in range(2))
        return (grad, gate, sample(rng, shape, dtype)), {}

    return Case(f"{'x'.join(map(str, shape)) or '0d'}-{layout}-{dtype}", build)


def _extremes(rng: np.random.Generator) -> Arguments:
    gate = [-1000, -100, -88, -1e-30, -0.0, 0.0, 1e-30, 88, 100, 1000, np.inf, np.nan]
    gates = np.array(gate, np.float32)
    return (np.ones_like(gates), gates, np.linspace(-3, 3, gates.size, dtype=np.float32)), {}


CASES = [
    *(_case(shape, dtype) for shape in _SHAPES for dtype in DTYPES),
    *(_case((4, 6, 8), dtype, layout) for layout in LAYOUTS[1:] for dtype in DTYPES),
    Case("extremes", _extremes),
]


def _bench(rows: int, columns: int) -> BenchShape:
    def build(rng: np.random.Generator) -> Arguments:
        shape = (rows, columns)
        return tuple(sample(rng, shape, "float32") for _ in range(3)), {}

    return BenchShape(f"{rows}x{columns}-float32", build)


BENCH = [_bench(4096, 1024), _bench(64, 1024)]
