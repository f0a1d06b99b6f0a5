"""Samples of ``softmax_backward``."""

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
        grad = sample(rng, shape, dtype, layout)
        # Positive and with sums of about 1, as the results of softmax are.
        out = np.abs(sample(rng, shape, dtype)) / max(shape[axis], 1)
        return (grad, np.asarray(out, dtype), axis), {}

    return Case(f"{'x'.join(map(str, shape))}-axis{axis}-{layout}-{dtype}", build)


CASES = [
    *(_case(shape, axis, dtype) for shape, axis in _SHAPES for dtype in DTYPES),
    *(_case((4, 6, 8), 1, dtype, layout) for layout in LAYOUTS[1:] for dtype in DTYPES),
]


def _bench(rows: int, columns: int, axis: int) -> BenchShape:
    def build(rng: np.random.Generator) -> Arguments:
        grad, out = (sample(rng, (rows, columns), "float32") for _ in range(2))
        return (grad, np.abs(out) / (rows, columns)[axis], axis), {}

    return BenchShape(f"{rows}x{columns}-float32-axis{axis}", build)


BENCH = [_bench(4096, 1024, -1), _bench(4096, 1024, 0), _bench(64, 1024, -1)]
