"""``uniform`` on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from gpuops import Device
from gpuops.random import RNGState
from gpuops_kernels._philox import fill, philox
from gpuops_kernels.uniform.op import PER_BLOCK, check

__all__ = ["run"]

# 162 us on one thread, against 27 us for handing work to another (bench/bench_threads.py).
_LEAST = 2**18

_U, _F = np.uint64, np.float32
_2, _4, _5, _6, _8 = _U(2), _U(4), _U(5), _U(6), _U(8)
# How far a word is shifted, and the unit of what is left: 24 bits, or float16's 11.
_SINGLE = (_8, _F(2.0**-24))
_HALF = (_U(21), _F(2.0**-11))


@njit(cache=True, nogil=True)
def _float32(out, first, k0, k1, shift, unit):  # type: ignore[no-untyped-def]
    for i in range(out.size // 4):
        a, b, c, d = philox(first + _U(i), k0, k1)
        # Unsigned, so that LLVM knows that no index is negative; and by way of int32, which is what
        # processors before AVX-512 can make floats of.
        at = _U(i) * _4
        out[at] = _F(np.int32(a >> shift)) * unit
        out[at + _U(1)] = _F(np.int32(b >> shift)) * unit
        out[at + _U(2)] = _F(np.int32(c >> shift)) * unit
        out[at + _U(3)] = _F(np.int32(d >> shift)) * unit


@njit(cache=True, nogil=True)
def _float64(out, first, k0, k1):  # type: ignore[no-untyped-def]
    for i in range(out.size // 2):
        a, b, c, d = philox(first + _U(i), k0, k1)
        at = _U(i) * _2
        high, low = np.float64(np.int32(a >> _5)), np.float64(np.int32(b >> _6))
        out[at] = (high * 2.0**26 + low) * 2.0**-53
        high, low = np.float64(np.int32(c >> _5)), np.float64(np.int32(d >> _6))
        out[at + _U(1)] = (high * 2.0**26 + low) * 2.0**-53


def run(shape: Sequence[int], rng: RNGState, *, dtype: np.dtype, device: Device) -> np.ndarray:
    """The kernel; see ``op.uniform``."""
    shape = check(shape, rng, dtype, device)
    if dtype == np.float64:
        out = np.empty(shape, dtype)
        fill(_float64, out, PER_BLOCK[dtype], rng, _LEAST)
        return out
    # Numba has no float16; its numbers are exact in float32.
    out = np.empty(shape, np.float32)
    how = _HALF if dtype == np.float16 else _SINGLE
    fill(_float32, out, PER_BLOCK[dtype], rng, _LEAST, how)
    return out.astype(dtype, copy=False)
