"""Samples of ``linear``."""

from __future__ import annotations

import numpy as np

from gpuops.cases import Arguments, BenchShape, Case
from gpuops_kernels._samples import DTYPES, LAYOUTS, sample

__all__ = ["BENCH", "CASES"]

_SHAPES = [(5,), (3, 64), (2, 3, 33), (2, 2, 3, 7), (0,), (3, 0), (0, 4), (2, 0, 3), (300, 16)]
# Sums of a few dozen products, in another order than the reference's.
_TOLERANCE = {"float16": (4e-3, 4e-3), "float32": (1e-5, 1e-5), "float64": (1e-12, 1e-12)}


def _case(
    shape: tuple[int, ...],
    dtype: str,
    layout: str = "contiguous",
    *,
    columns: int = 6,
    bias: bool = True,
) -> Case:
    def build(rng: np.random.Generator) -> Arguments:
        x = sample(rng, shape, dtype, layout)
        weight = sample(rng, (columns, shape[-1]), dtype, layout)
        return (x, weight, sample(rng, (columns,), dtype) if bias else None), {}

    parts = ["x".join(map(str, shape)), str(columns), layout, "bias" if bias else "plain", dtype]
    return Case("-".join(parts), build, tolerance=_TOLERANCE)


CASES = [
    *(_case(shape, dtype) for shape in _SHAPES for dtype in DTYPES),
    *(_case((3, 6, 8), dtype, layout) for layout in LAYOUTS[1:] for dtype in DTYPES),
    *(_case((4, 5), dtype, bias=False) for dtype in DTYPES),
    *(_case((4, 5), "float32", columns=columns) for columns in (0, 1, 300)),
]


def _bench(rows: int, inner: int, columns: int) -> BenchShape:
    def build(rng: np.random.Generator) -> Arguments:
        x = sample(rng, (rows, inner), "float32")
        weight = sample(rng, (columns, inner), "float32")
        return (x, weight, sample(rng, (columns,), "float32")), {}

    return BenchShape(f"{rows}x{inner}x{columns}-float32", build)


BENCH = [_bench(512, 1024, 1024), _bench(16, 256, 256)]
