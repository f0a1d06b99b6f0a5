"""``nonzero`` on the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit

from gpuops_kernels._parallel import for_each_chunk
from gpuops_kernels.nonzero.op import check

__all__ = ["run"]

# 117 us on one thread, against 27 us for handing work to another (bench/bench_threads.py).
_LEAST = 2**16


@njit(cache=True, nogil=True)
def _rows(mask, lead, before, out, start, stop):  # type: ignore[no-untyped-def]
    n = mask.shape[1]
    found = np.empty(n + 1, np.int64)
    index = np.empty(lead.size, np.int64)
    place = before[start]
    for row in range(start, stop):
        # Without a branch, which the processor could only guess: the place of every element is
        # written down, and only that of a nonzero one is kept.
        count = 0
        for i in range(n):
            found[count] = i
            count += mask[row, i]
        if count == 0:
            continue
        rest = row
        for axis in range(lead.size - 1, -1, -1):
            index[axis] = rest % lead[axis]
            rest //= lead[axis]
        for i in range(count):
            for axis in range(lead.size):
                out[place + i, axis] = index[axis]
            out[place + i, lead.size] = found[i]
        place += count


def run(x: np.ndarray) -> np.ndarray:
    """The kernel; see ``op.nonzero``."""
    check(x)
    # One compiled loop for all dtypes: NumPy's comparison is vector code for each of them.
    mask = np.ascontiguousarray(x if x.dtype == np.bool_ else x != 0)
    # Long vectors are cut up, so that there are rows to share.
    mask = mask.reshape(-1, max(x.shape[-1], 1)).view(np.uint8)
    lead = np.array(x.shape[:-1], np.int64)
    before = np.zeros(len(mask) + 1, np.int64)
    np.cumsum(np.count_nonzero(mask, axis=1), out=before[1:])
    out = np.empty((int(before[-1]), x.ndim), np.int64)
    if len(out):
        for_each_chunk(
            lambda start, stop: _rows(mask, lead, before, out, start, stop),
            len(mask),
            mask.size,
            _LEAST,
        )
    return out
