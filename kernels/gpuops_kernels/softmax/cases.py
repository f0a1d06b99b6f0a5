"""Samples of ``softmax``."""

from __future__ import annotations

import numpy as np

from gpuops.cases import Arguments, BenchShape, Case
from gpuops_kernels._samples import DTYPES, LAYOUTS, sample

__all__ = ["BENCH", "CASES"]

_SHAPES = [
    ((5,), 0), ((3, 64), -1), ((3, 64), 0), ((2, 3, 33), 1), ((2, 2, 3, 7), 2), ((2, 2, 3, 7), -4),
    ((3, 1), 1), ((0, 4), 1), ((0, 4), 0), ((3, 0), -1), ((1, 5000), -1),
]  # fmt: skip


def _case(shape: tuple[int, ...], axis: int, dtype: str, layout: str = "contiguous") -> Case:
    def build(rng: np.random.Generator) -> Arguments:
        return (sample(rng, shape, dtype, layout), axis), {}

    return Case(f"{'x'.join(map(str, shape))}-axis{axis}-{layout}-{dtype}", build)


def _far_apart(rng: np.random.Generator) -> Arguments:
    """exp of these would overflow or vanish if the maximum were not taken off first."""
    x = sample(rng, (3, 40), "float32") * np.array([[1e4], [100], [0]], np.float32)
    x[1] -= 3e38
    return (x,), {}


def _not_finite(rng: np.random.Generator) -> Arguments:
    """Masked scores, as in attention; and rows whose result is nan."""
    x = sample(rng, (6, 20), "float32")
    x[0, 3:] = -np.inf
    x[1] = -np.inf
    x[2, 5] = np.inf
    x[3, 7] = np.nan
    x[4, 9] = -np.float32(np.nan)
    return (x, 1), {}


CASES = [
    *(_case(shape, axis, dtype) for shape, axis in _SHAPES for dtype in DTYPES),
    *(_case((4, 6, 8), 1, dtype, layout) for layout in LAYOUTS[1:] for dtype in DTYPES),
    Case("far-apart", _far_apart),
    Case("not-finite", _not_finite),
]


def _bench(rows: int, columns: int, axis: int) -> BenchShape:
    def build(rng: np.random.Generator) -> Arguments:
        return (sample(rng, (rows, columns), "float32"), axis), {}

    return BenchShape(f"{rows}x{columns}-float32-axis{axis}", build)


BENCH = [_bench(4096, 1024, -1), _bench(4096, 1024, 0), _bench(64, 1024, -1)]
