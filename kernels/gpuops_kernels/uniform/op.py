"""Declaration and reference of ``gpuops_kernels::uniform``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops import Array, Device, DType, FakeArray, custom_op
from gpuops.random import RNGState
from gpuops_kernels._random import (
    CPU,
    FLOAT32,
    blocks_for,
    check_device,
    check_dtype,
    check_shape,
    words_of,
)

__all__ = ["PER_BLOCK", "check", "uniform"]

# How many numbers a block of four words makes.
PER_BLOCK = {np.dtype(np.float16): 4, np.dtype(np.float32): 4, np.dtype(np.float64): 2}


def check(shape: Sequence[int], rng: RNGState, dtype: Any, device: Device | str) -> tuple[int, ...]:
    """Refuse what no kernel makes; the shape as a tuple.

    Raises:
        TypeError: a dtype other than float16, float32 or float64.
        ValueError: a negative length.
        DeviceError: `rng` is not on `device`.
    """
    check_dtype("uniform", "dtype", dtype)
    check_device("uniform", rng, device)
    return check_shape("uniform", shape)


@custom_op("gpuops_kernels::uniform", mutates_args=())
def uniform(
    shape: Sequence[int],
    rng: RNGState,
    *,
    dtype: DType = FLOAT32,
    device: Device = CPU,
) -> Array:
    """Numbers from [0, 1), uniformly distributed, on a grid of 2**-p for p bits of precision.

    Element i, in row-major order, is made of these words of the blocks drawn:

    - float32: ``(w >> 8) * 2**-24``, w being word ``i % 4`` of block ``i // 4``;
    - float16: ``(w >> 21) * 2**-11``, likewise;
    - float64: ``((a >> 5) * 2**26 + (b >> 6)) * 2**-53``, a and b being words ``2 * (i % 2)`` and
      ``2 * (i % 2) + 1`` of block ``i // 2``.

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
    >>> uniform([3], RNGState(0))
    array([0.39904642, 0.88052016, 0.73571277], dtype=float32)
    """
    shape = check(shape, rng, dtype, device)
    count = math.prod(shape)
    if not count:
        return np.empty(shape, dtype)
    blocks = blocks_for(count, PER_BLOCK[dtype])
    words = words_of(rng.key, rng.reserve(blocks), blocks)
    if dtype == np.float16:
        numbers = (words >> 21).astype(np.float64) * 2.0**-11
    elif dtype == np.float32:
        numbers = (words >> 8).astype(np.float64) * 2.0**-24
    else:
        high, low = words[:, 0::2] >> 5, words[:, 1::2] >> 6
        numbers = (high * 2.0**26 + low) * 2.0**-53
    return numbers.reshape(-1)[:count].reshape(shape).astype(dtype)


@uniform.register_fake
def _fake(shape: Sequence[int], rng: RNGState, *, dtype: Any, device: Device) -> Any:
    check_dtype("uniform", "dtype", dtype)
    return FakeArray(check_shape("uniform", shape), dtype, device)


@uniform.register_vmap
def _batched(
    info: Any, in_dims: Any, shape: Sequence[int], rng: RNGState, *, dtype: Any, device: Device
) -> Any:
    return uniform([info.batch_size, *shape], rng, dtype=dtype, device=device), 0


uniform.register_no_gradient("its numbers depend on no array of floating-point numbers")
uniform.register_kernel("cpu", ".cpu:run")
uniform.register_kernel("cuda", ".cuda:run")
