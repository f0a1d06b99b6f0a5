"""Samples of ``random_bits``."""

from __future__ import annotations

import numpy as np

from gpuops.cases import Arguments, BenchShape, Case
from gpuops_kernels._samples import OFFSETS, state

__all__ = ["BENCH", "CASES"]

_SHAPES = [(), (1,), (5,), (3, 64), (2, 3, 33), (2, 2, 3, 7), (0,), (3, 0, 2), (1, 10_003)]


def _case(shape: tuple[int, ...], offset: int = 0) -> Case:
    def build(rng: np.random.Generator) -> Arguments:
        return (list(shape), state(rng, offset)), {}

    return Case(f"{'x'.join(map(str, shape)) or '0d'}-from-{offset}", build)


CASES = [
    *(_case(shape) for shape in _SHAPES),
    *(_case((33,), offset) for offset in OFFSETS[1:]),
]


def _bench(rows: int, columns: int) -> BenchShape:
    def build(rng: np.random.Generator) -> Arguments:
        return ([rows, columns], state(rng)), {}

    return BenchShape(f"{rows}x{columns}", build)


BENCH = [_bench(4096, 1024), _bench(64, 1024)]
