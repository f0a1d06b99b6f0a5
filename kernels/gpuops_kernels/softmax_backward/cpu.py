"""``softmax_backward`` on the CPU."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gpuops_kernels._dense import dense
from gpuops_kernels._parallel import for_each_chunk
from gpuops_kernels.softmax_backward.op import check

__all__ = ["run"]

# As of rms_norm, whose loops take about as long.
_LEAST = 2**19
# Columns that one piece of work takes, as in softmax.
_TILE = 128


# Reassociation lets the sum run in vector lanes.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _rows(grad, out, result, start, stop):  # type: ignore[no-untyped-def]
    n = grad.shape[1]
    for row in range(start, stop):
        gradients, values, results = grad[row], out[row], result[row]
        total = 0.0
        # Blocks in the array's own precision, their sum in double: as exact for long rows.
        for block in range(0, n, 4096):
            first, second = gradients[block : block + 4096], values[block : block + 4096]
            part = grad.dtype.type(0)
            for i in range(first.size):
                part += first[i] * second[i]
            total += part
        along = grad.dtype.type(total)
        for i in range(n):
            results[i] = values[i] * (gradients[i] - along)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _columns(grad, out, result, start, stop):  # type: ignore[no-untyped-def]
    length, inner = grad.shape[1], grad.shape[2]
    tiles = (inner + _TILE - 1) // _TILE
    part = np.empty(_TILE, grad.dtype)
    total = np.empty(_TILE, np.float64)
    for piece in range(start, stop):
        outer, first = piece // tiles, piece % tiles * _TILE
        n = min(_TILE, inner - first)
        total[:] = 0
        for block in range(0, length, 4096):
            part[:] = 0
            for i in range(block, min(block + 4096, length)):
                gradients = grad[outer, i, first : first + n]
                values = out[outer, i, first : first + n]
                for j in range(n):
                    part[j] += gradients[j] * values[j]
            for j in range(n):
                total[j] += part[j]
        for j in range(n):
            part[j] = grad.dtype.type(total[j])
        for i in range(length):
            gradients = grad[outer, i, first : first + n]
            values = out[outer, i, first : first + n]
            results = result[outer, i, first : first + n]
            for j in range(n):
                results[j] = values[j] * (gradients[j] - part[j])


def run(grad: np.ndarray, out: np.ndarray, axis: int) -> np.ndarray:
    """The kernel; see ``op.softmax_backward``."""
    axis = check(grad, out, axis)
    dtype, shape = grad.dtype, grad.shape
    wide = np.float32 if dtype == np.float16 else dtype
    length, inner = shape[axis], math.prod(shape[axis + 1 :])
    gradients, values = dense(grad, wide), dense(out, wide)
    result = np.empty(shape, wide)
    if grad.size:
        loop, parts, pieces = _rows, (-1, length), grad.size // length
        if inner > 1:
            loop, parts = _columns, (-1, length, inner)
            pieces = pieces // inner * -(-inner // _TILE)
        given = (gradients.reshape(parts), values.reshape(parts), result.reshape(parts))
        for_each_chunk(lambda start, stop: loop(*given, start, stop), pieces, grad.size, _LEAST)
    with np.errstate(over="ignore"):  # of float16, as in the reference
        return result.astype(dtype, copy=False)
