"""Samples of the three operators of dropout, which take the same arrays and the same state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuops.cases import Arguments, BenchShape, Case
from gpuops.random import RNGState
from gpuops_kernels._samples import DTYPES, LAYOUTS, OFFSETS, sample, state

__all__ = ["dropout_bench", "dropout_cases"]

Drawn = Callable[[RNGState], tuple[Any, ...]]
"""The last arguments of an operator, by the state that it draws from."""

_SHAPES = [(), (1,), (5,), (3, 64), (2, 3, 33), (2, 2, 3, 7), (0,), (3, 0, 2), (1, 10_003)]

# The same bits on every device.
_EXACT = dict.fromkeys(DTYPES, (0.0, 0.0))


def dropout_cases(drawn: Drawn) -> list[Case]:
    """Shapes, dtypes, layouts, probabilities, offsets, and numbers that are not finite."""

    def case(
        shape: tuple[int, ...],
        dtype: str,
        layout: str = "contiguous",
        p: float = 0.3,
        offset: int = 0,
    ) -> Case:
        def build(rng: np.random.Generator) -> Arguments:
            x = sample(rng, shape, dtype, layout)
            return (x, p, *drawn(state(rng, offset))), {}

        name = "x".join(map(str, shape)) or "0d"
        return Case(f"{name}-{layout}-{dtype}-p{p}-from-{offset}", build, tolerance=_EXACT)

    def not_finite(rng: np.random.Generator) -> Arguments:
        """What is dropped is 0, whatever it was; and a product that is too large for float16."""
        x = np.resize(np.array([np.inf, -np.inf, np.nan, 60000], np.float16), 40)
        return (x, 0.5, *drawn(state(rng))), {}

    return [
        *(case(shape, dtype) for shape in _SHAPES for dtype in DTYPES),
        *(case((4, 6, 8), dtype, layout) for layout in LAYOUTS[1:] for dtype in DTYPES),
        *(case((7, 9), dtype, p=p) for dtype in DTYPES for p in (0.0, 0.5, 1.0)),
        *(case((33,), "float32", offset=offset) for offset in OFFSETS[1:]),
        Case("not-finite", not_finite),
    ]


def dropout_bench(drawn: Drawn) -> list[BenchShape]:
    """A large matrix and a small one."""

    def shape(rows: int, columns: int) -> BenchShape:
        def build(rng: np.random.Generator) -> Arguments:
            x = sample(rng, (rows, columns), "float32")
            return (x, 0.1, *drawn(state(rng))), {}

        return BenchShape(f"{rows}x{columns}-float32", build)

    return [shape(4096, 1024), shape(64, 1024)]
