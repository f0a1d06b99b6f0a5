"""``rms_norm_backward`` on the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit

from gpuops_kernels._dense import dense
from gpuops_kernels._parallel import for_each_chunk
from gpuops_kernels.rms_norm_backward.op import check

__all__ = ["run"]

# As of rms_norm, with some more work for each element.
_LEAST = 2**18
# Rows whose part of the weight's gradient is summed at once. The division does not depend on the
# number of threads, so the rounding does not either.
_TOGETHER = 64


# Reassociation lets the sums run in vector lanes; rounding differs, by less than adding in order.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _rows(grad, x, weight, eps, of_x, parts, start, stop):  # type: ignore[no-untyped-def]
    n = x.shape[1]
    for piece in range(start, stop):
        part = parts[piece]
        part[:] = 0
        for row in range(piece * _TOGETHER, min((piece + 1) * _TOGETHER, x.shape[0])):
            gradients, values, results = grad[row], x[row], of_x[row]
            squares = 0.0
            products = 0.0
            # Blocks in the array's own precision, their sum in double: as exact for long rows.
            for block in range(0, n, 4096):
                g, v = gradients[block : block + 4096], values[block : block + 4096]
                w = weight[block : block + 4096]
                square = x.dtype.type(0)
                product = x.dtype.type(0)
                for i in range(v.size):
                    square += v[i] * v[i]
                    product += g[i] * w[i] * v[i]
                squares += square
                products += product
            scale = 1.0 / np.sqrt(squares / n + eps)
            r = x.dtype.type(scale)
            # In this order: the cube of the scale may be out of range where the whole is not.
            along = x.dtype.type(scale * (products * scale / n) * scale)
            for i in range(n):
                part[i] += gradients[i] * (values[i] * r)
                results[i] = r * (gradients[i] * weight[i]) - values[i] * along


def run(
    grad: np.ndarray, x: np.ndarray, weight: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel; see ``op.rms_norm_backward``."""
    check(grad, x, weight)
    dtype, length = x.dtype, max(x.shape[-1], 1)
    wide = np.float32 if dtype.itemsize == 2 else dtype
    gradients = dense(grad, wide).reshape(-1, length)
    values = dense(x, wide).reshape(-1, length)
    scales = dense(weight, wide)
    of_x = np.empty(x.shape, wide)
    if not x.size:
        return of_x.astype(dtype, copy=False), np.zeros(weight.shape, dtype)
    results = of_x.reshape(values.shape)
    parts = np.empty((-(-len(values) // _TOGETHER), length), wide)
    for_each_chunk(
        lambda start, stop: _rows(gradients, values, scales, eps, results, parts, start, stop),
        len(parts),
        values.size,
        _LEAST,
    )
    if wide == dtype:
        return of_x, _sum(parts).astype(dtype, copy=False)
    with np.errstate(over="ignore"):  # of float16, as in the reference
        return of_x.astype(dtype), _sum(parts).astype(dtype)


def _sum(parts: np.ndarray) -> np.ndarray:
    # `reduce` is what `sum` calls, through three functions in Python.
    return parts[0] if len(parts) == 1 else np.add.reduce(parts, axis=0, dtype=np.float64)
