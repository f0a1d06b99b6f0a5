"""Samples of ``normal``."""

from __future__ import annotations

import numpy as np

from gpuops.cases import Arguments, BenchShape, Case
from gpuops_kernels._samples import DTYPES, OFFSETS, state

__all__ = ["BENCH", "CASES"]

_SHAPES = [(), (1,), (5,), (3, 64), (2, 3, 33), (2, 2, 3, 7), (0,), (3, 0, 2), (1, 10_003)]

# The same bits on every device.
_EXACT = dict.fromkeys(DTYPES, (0.0, 0.0))


def _case(shape: tuple[int, ...], dtype: str, offset: int = 0) -> Case:
    def build(rng: np.random.Generator) -> Arguments:
        return (list(shape), state(rng, offset)), {"dtype": np.dtype(dtype)}

    name = "x".join(map(str, shape)) or "0d"
    return Case(f"{name}-{dtype}-from-{offset}", build, tolerance=_EXACT)


CASES = [
    *(_case(shape, dtype) for shape in _SHAPES for dtype in DTYPES),
    *(_case((33,), dtype, offset) for dtype in DTYPES for offset in OFFSETS[1:]),
]


def _bench(rows: int, columns: int, dtype: str) -> BenchShape:
    def build(rng: np.random.Generator) -> Arguments:
        return ([rows, columns], state(rng)), {"dtype": np.dtype(dtype)}

    return BenchShape(f"{rows}x{columns}-{dtype}", build)


BENCH = [
    _bench(4096, 1024, "float32"),
    _bench(4096, 1024, "float64"),
    _bench(64, 1024, "float32"),
]
