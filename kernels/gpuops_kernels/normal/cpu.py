"""``normal`` on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from gpuops import Device
from gpuops.random import RNGState
from gpuops_kernels import _normal
from gpuops_kernels._exp import bits32, bits64, from_bits32, from_bits64
from gpuops_kernels._philox import fill, philox
from gpuops_kernels.normal.op import PER_BLOCK, check

__all__ = ["run"]

# 166 us on one thread, against 27 us for handing work to another (bench/bench_threads.py).
_LEAST = 2**17

_U, _I = np.uint64, np.int64

# No fastmath: each operation has to be rounded on its own.
_inline = njit(inline="always")
_unit32, _parts32 = _inline(_normal.unit32), _inline(_normal.parts32)
_radius32, _pair32 = _inline(_normal.radius32), _inline(_normal.pair32)
_unit64, _parts64 = _inline(_normal.unit64), _inline(_normal.parts64)
_radius64, _pair64 = _inline(_normal.radius64), _inline(_normal.pair64)


@njit(inline="always")
def _two(a, b):  # type: ignore[no-untyped-def]
    exponent, mantissa = _parts32(bits32(_unit32(_I(a))))
    return _pair32(_radius32(exponent, from_bits32(mantissa)), _I(b))


# NumPy's error model: a division that may raise is a branch, and the loop no vector code.
@njit(cache=True, nogil=True, error_model="numpy")
def _float32(out, first, k0, k1):  # type: ignore[no-untyped-def]
    for i in range(out.size // 4):
        a, b, c, d = philox(first + _U(i), k0, k1)
        # Unsigned, so that LLVM knows that no index is negative.
        at = _U(i) * _U(4)
        out[at], out[at + _U(1)] = _two(a, b)
        out[at + _U(2)], out[at + _U(3)] = _two(c, d)


@njit(cache=True, nogil=True, error_model="numpy")
def _float64(out, first, k0, k1):  # type: ignore[no-untyped-def]
    for i in range(out.size // 2):
        a, b, c, d = philox(first + _U(i), k0, k1)
        exponent, mantissa = _parts64(bits64(_unit64(_I(a), _I(b))))
        radius = _radius64(exponent, from_bits64(mantissa))
        at = _U(i) * _U(2)
        out[at], out[at + _U(1)] = _pair64(radius, _I(c), _I(d))


def run(shape: Sequence[int], rng: RNGState, *, dtype: np.dtype, device: Device) -> np.ndarray:
    """The kernel; see ``op.normal``."""
    shape = check(shape, rng, dtype, device)
    # Numba has no float16.
    out = np.empty(shape, np.promote_types(dtype, np.float32))
    fill(_float64 if dtype == np.float64 else _float32, out, PER_BLOCK[dtype], rng, _LEAST)
    return out.astype(dtype, copy=False)
