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

# 140 us on one thread, against 27 us for handing work to another (bench/bench_threads.py).
_LEAST = 2**18

_U, _F = np.uint64, np.float32
_4, _2, _5, _6, _8 = _U(4), _U(2), _U(5), _U(6), _U(8)
_2_24 = _F(2.0**-24)


@njit(cache=True, nogil=True)
def _float32(out, first, k0, k1):  # type: ignore[no-untyped-def]
    for i in range(out.size // 4):
        a, b, c, d = philox(first + _U(i), k0, k1)
        # Unsigned, so that LLVM knows that no index is negative; and by way of int32, which is what
        # processors before AVX-512 can make floats of.
        at = _U(i) * _4
        out[at] = _F(np.int32(a >> _8)) * _2_24
        out[at + _U(1)] = _F(np.int32(b >> _8)) * _2_24
        out[at + _U(2)] = _F(np.int32(c >> _8)) * _2_24
        out[at + _U(3)] = _F(np.int32(d >> _8)) * _2_24


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
    if dtype == np.float16:
        # Numba has no float16. The float32 numbers are multiples of 2**-24: cut off, not rounded.
        wide = np.empty(shape, np.float32)
        fill(_float32, wide, 4, rng, _LEAST)
        return (np.floor(wide * _F(2.0**11)) * _F(2.0**-11)).astype(np.float16)
    out = np.empty(shape, dtype)
    fill(_float32 if dtype == np.float32 else _float64, out, PER_BLOCK[dtype], rng, _LEAST)
    return out
