"""Samples of ``dropout_apply``."""

from __future__ import annotations

from gpuops_kernels._dropout_cases import dropout_bench, dropout_cases

__all__ = ["BENCH", "CASES"]

CASES = dropout_cases(lambda state: (state.key, state.offset))
BENCH = dropout_bench(lambda state: (state.key, state.offset))
