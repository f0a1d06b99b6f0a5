"""``dropout_apply`` on the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit

from gpuops_kernels._philox import from_blocks, philox
from gpuops_kernels._random import WORDS
from gpuops_kernels.dropout_apply.op import check, scale_of, threshold_of

__all__ = ["apply", "run"]

# 147 us on one thread, against 27 us for handing work to another (bench/bench_threads.py).
_LEAST = 2**18

_U = np.uint64


@njit(cache=True, nogil=True)
def _elements(x, out, first, k0, k1, threshold, scale):  # type: ignore[no-untyped-def]
    zero = x.dtype.type(0)
    for i in range(out.size // WORDS):
        a, b, c, d = philox(first + _U(i), k0, k1)
        # Unsigned, so that LLVM knows that no index is negative; and products whether or not they
        # are wanted, so that the loop has no branches.
        at = _U(i) * _U(WORDS)
        u, v = x[at] * scale, x[at + _U(1)] * scale
        w, y = x[at + _U(2)] * scale, x[at + _U(3)] * scale
        out[at] = u if a >= threshold else zero
        out[at + _U(1)] = v if b >= threshold else zero
        out[at + _U(2)] = w if c >= threshold else zero
        out[at + _U(3)] = y if d >= threshold else zero


def apply(x: np.ndarray, p: float, key: np.ndarray, first: np.ndarray) -> np.ndarray:
    """As `run`, for arguments that were checked."""
    # Numba has no float16.
    wide = np.promote_types(x.dtype, np.float32)
    values = np.require(x, wide, "CA").reshape(-1)
    out = np.empty(x.shape, wide)
    constants = (_U(threshold_of(p)), wide.type(scale_of(p)))
    from_blocks(
        _elements, (values, out.reshape(-1)), WORDS, key, first, _LEAST, constants=constants
    )
    with np.errstate(over="ignore"):  # of float16, as in the reference
        return out.astype(x.dtype, copy=False)


def run(x: np.ndarray, p: float, key: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The kernel; see ``op.dropout_apply``."""
    check(x, p, key, offset)
    return apply(x, p, key, offset)
