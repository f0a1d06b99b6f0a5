"""``random_bits`` on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from gpuops import Device
from gpuops.random import RNGState
from gpuops_kernels._philox import fill, philox
from gpuops_kernels._random import WORDS
from gpuops_kernels.random_bits.op import check

__all__ = ["run"]

# 147 us on one thread, against 27 us for handing work to another (bench/bench_threads.py).
_LEAST = 2**18

_U = np.uint64


@njit(cache=True, nogil=True)
def _words(out, first, k0, k1):  # type: ignore[no-untyped-def]
    for i in range(out.size // WORDS):
        a, b, c, d = philox(first + _U(i), k0, k1)
        # Unsigned, so that LLVM knows that no index is negative.
        at = _U(i) * _U(WORDS)
        out[at] = a
        out[at + _U(1)] = b
        out[at + _U(2)] = c
        out[at + _U(3)] = d


def run(shape: Sequence[int], rng: RNGState, *, device: Device) -> np.ndarray:
    """The kernel; see ``op.random_bits``."""
    out = np.empty(check(shape, rng, device), np.uint32)
    fill(_words, out, WORDS, rng, _LEAST)
    return out
