"""Samples of ``rms_norm_backward``."""

from __future__ import annotations

import numpy as np

from gpuops.cases import Arguments, BenchShape, Case
from gpuops_kernels._samples import DTYPES, LAYOUTS, sample

__all__ = ["BENCH", "CASES"]

_SHAPES = [(5,), (3, 64), (2, 3, 33), (2, 2, 3, 7), (3, 1), (0, 4), (3, 0), (1, 5000), (150, 40)]
# Sums over rows and over columns, in another order than the reference's.
_TOLERANCE = {"float16": (4e-3, 4e-3), "float32": (1e-5, 1e-5), "float64": (1e-12, 1e-12)}


def _case(shape: tuple[int, ...], dtype: str, layout: str = "contiguous") -> Case:
    def build(rng: np.random.Generator) -> Arguments:
        grad, x = (sample(rng, shape, dtype, layout) for _ in range(2))
        return (grad, x, sample(rng, shape[-1:], dtype, layout), 1e-5), {}

    name = f"{'x'.join(map(str, shape))}-{layout}-{dtype}"
    return Case(name, build, tolerance=_TOLERANCE)


def _zeros(rng: np.random.Generator) -> Arguments:
    """Rows of zeros, of huge and of tiny numbers: only eps keeps the first from dividing by 0."""
    x = sample(rng, (3, 8), "float32") * np.array([[0], [1e15], [1e-15]], np.float32)
    return (sample(rng, (3, 8), "float32"), x, np.ones(8, np.float32)), {}


CASES = [
    *(_case(shape, dtype) for shape in _SHAPES for dtype in DTYPES),
    *(_case((4, 6, 8), dtype, layout) for layout in LAYOUTS[1:] for dtype in DTYPES),
    Case("zero-huge-and-tiny-rows", _zeros),
]


def _bench(rows: int, columns: int) -> BenchShape:
    def build(rng: np.random.Generator) -> Arguments:
        grad, x = (sample(rng, (rows, columns), "float32") for _ in range(2))
        return (grad, x, sample(rng, (columns,), "float32")), {}

    return BenchShape(f"{rows}x{columns}-float32", build)


BENCH = [_bench(4096, 1024), _bench(64, 1024)]
