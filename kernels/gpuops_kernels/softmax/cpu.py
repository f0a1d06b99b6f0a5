"""``softmax`` on the CPU."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gpuops_kernels._exp import exp_below_0, order, unorder
from gpuops_kernels._parallel import for_each_chunk
from gpuops_kernels.softmax.op import check

__all__ = ["run"]

# 98 us on one thread, against 27 us for handing work to another (bench/bench_threads.py).
_LEAST = 2**18


# Reassociation lets the sum run in vector lanes. exp is compiled without it: taking ln 2 off in two
# parts has to stay two subtractions. NumPy's error model: no branch for a division by zero.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _rows(x, out, start, stop):  # type: ignore[no-untyped-def]
    n = x.shape[1]
    for row in range(start, stop):
        values, results = x[row], out[row]
        highest = order(values[0])
        for i in range(n):
            highest = max(highest, order(values[i]))
        top = unorder(highest)
        total = 0.0
        # Blocks in the array's own precision, their sum in double: as exact for long rows.
        for block in range(0, n, 4096):
            from_, to = values[block : block + 4096], results[block : block + 4096]
            part = x.dtype.type(0)
            for i in range(from_.size):
                raised = exp_below_0(from_[i] - top)
                to[i] = raised
                part += raised
            total += part
        scale = x.dtype.type(1.0 / total)
        for i in range(n):
            results[i] *= scale


# Columns that one piece of work takes. At 4096x1024 float32, 128 take 0.8 of the time of 32;
# wider ones leave the second-level cache between the passes.
_TILE = 128


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _columns(x, out, start, stop):  # type: ignore[no-untyped-def]
    length, inner = x.shape[1], x.shape[2]
    tiles = (inner + _TILE - 1) // _TILE
    top = np.empty(_TILE, x.dtype)
    # Of another type than int64 for float32; the loop below fills what is used.
    highest = np.full(_TILE, order(x[0, 0, 0]))
    part = np.empty(_TILE, x.dtype)
    total = np.empty(_TILE, np.float64)
    for piece in range(start, stop):
        outer, first = piece // tiles, piece % tiles * _TILE
        # One row at a time: LLVM sees that its elements are neighbours, of a 2-d view it does not.
        row = x[outer, 0, first : first + _TILE]
        n = row.size
        for j in range(n):
            highest[j] = order(row[j])
        for i in range(1, length):
            row = x[outer, i, first : first + _TILE]
            for j in range(n):
                highest[j] = max(highest[j], order(row[j]))
        for j in range(n):
            top[j] = unorder(highest[j])
            total[j] = 0.0
        for block in range(0, length, 4096):
            part[:] = 0
            for i in range(block, min(block + 4096, length)):
                row = x[outer, i, first : first + _TILE]
                result = out[outer, i, first : first + _TILE]
                for j in range(n):
                    raised = exp_below_0(row[j] - top[j])
                    result[j] = raised
                    part[j] += raised
            for j in range(n):
                total[j] += part[j]
        for j in range(n):
            part[j] = x.dtype.type(1.0 / total[j])
        for i in range(length):
            result = out[outer, i, first : first + _TILE]
            for j in range(n):
                result[j] *= part[j]


def run(x: np.ndarray, axis: int) -> np.ndarray:
    """The kernel; see ``op.softmax``."""
    axis = check(x, axis)
    wide = np.float32 if x.dtype == np.float16 else x.dtype
    length, inner = x.shape[axis], math.prod(x.shape[axis + 1 :])
    values = np.require(x, wide, "CA")
    out = np.empty(x.shape, wide)
    if x.size:
        loop, shape, pieces = _rows, (-1, length), x.size // length
        if inner > 1:
            loop, shape = _columns, (-1, length, inner)
            pieces = pieces // inner * -(-inner // _TILE)
        given, results = values.reshape(shape), out.reshape(shape)
        for_each_chunk(
            lambda start, stop: loop(given, results, start, stop), pieces, x.size, _LEAST
        )
    return out.astype(x.dtype, copy=False)
