"""Declaration and reference of ``gpuops_kernels::normal``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops import Array, Device, DType, FakeArray, custom_op
from gpuops.random import RNGState
from gpuops_kernels import _normal
from gpuops_kernels._random import (
    CPU,
    FLOAT32,
    blocks_for,
    check_device,
    check_dtype,
    check_shape,
    words_of,
)

__all__ = ["PER_BLOCK", "check", "normal"]

# How many numbers a block of four words makes.
PER_BLOCK = {np.dtype(np.float16): 4, np.dtype(np.float32): 4, np.dtype(np.float64): 2}


def check(shape: Sequence[int], rng: RNGState, dtype: Any, device: Device | str) -> tuple[int, ...]:
    """Refuse what no kernel makes; the shape as a tuple.

    Raises:
        TypeError: a dtype other than float16, float32 or float64.
        ValueError: a negative length.
        DeviceError: `rng` is not on `device`.
    """
    check_dtype("normal", "dtype", dtype)
    check_device("normal", rng, device)
    return check_shape("normal", shape)


@custom_op("gpuops_kernels::normal", mutates_args=())
def normal(
    shape: Sequence[int],
    rng: RNGState,
    *,
    dtype: DType = FLOAT32,
    device: Device = CPU,
) -> Array:
    """Numbers of the normal distribution with mean 0 and deviation 1.

    Two numbers at a time, by the method of Box and Muller: ``r cos t`` and ``r sin t`` with
    ``r = sqrt(-2 ln u)``. In float32, words 0 and 1 of a block make elements 0 and 1 of its four,
    words 2 and 3 make elements 2 and 3: u is ``(w + 1/2) * 2**-32``, rounded to float32, of the
    first word of the two, and t ``w * 2**-32`` turns of the second. float16 is float32, rounded.
    In float64 a block makes two elements: u is ``((w0 >> 5) * 2**26 + (w1 >> 6) + 1) * 2**-53`` and
    t ``(w2 * 2**32 + w3) * 2**-64`` turns. The largest number is 6.77, in float64 8.58.

    Args:
        shape: of the result; an empty one draws nothing.
        rng: where they come from, on `device`; it moves on by the blocks drawn.
        dtype: float16, float32 or float64.
        device: of the result.

    Returns:
        A C-contiguous array, with the same bits on every device.

    Raises:
        TypeError, ValueError, DeviceError: see `check`.

    >>> from gpuops.random import RNGState
    >>> normal([3], RNGState(0)).round(4)
    array([ 0.9911, -0.9247, -0.6176], dtype=float32)
    """
    shape = check(shape, rng, dtype, device)
    count = math.prod(shape)
    if not count:
        return np.empty(shape, dtype)
    blocks = blocks_for(count, PER_BLOCK[dtype])
    words = words_of(rng.key, rng.reserve(blocks), blocks).astype(np.int64)
    if dtype == np.float64:
        exponent, bits = _normal.parts64(_normal.unit64(words[:, 0], words[:, 1]).view(np.int64))
        radius = _normal.radius64(exponent, bits.view(np.float64))
        pairs = _normal.pair64(radius, words[:, 2], words[:, 3])
    else:
        exponent, bits = _normal.parts32(_normal.unit32(words[:, 0::2]).view(np.int32))
        radius = _normal.radius32(exponent, bits.view(np.float32))
        pairs = _normal.pair32(radius, words[:, 1::2])
    numbers = np.stack(pairs, axis=-1)
    return numbers.reshape(-1)[:count].reshape(shape).astype(dtype)


@normal.register_fake
def _fake(shape: Sequence[int], rng: RNGState, *, dtype: Any, device: Device) -> Any:
    check_dtype("normal", "dtype", dtype)
    return FakeArray(check_shape("normal", shape), dtype, device)


@normal.register_vmap
def _batched(
    info: Any, in_dims: Any, shape: Sequence[int], rng: RNGState, *, dtype: Any, device: Device
) -> Any:
    return normal([info.batch_size, *shape], rng, dtype=dtype, device=device), 0


normal.register_no_gradient("its numbers depend on no array of floating-point numbers")
normal.register_kernel("cpu", ".cpu:run")
normal.register_kernel("cuda", ".cuda:run")
