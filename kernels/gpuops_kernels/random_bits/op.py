"""Declaration and reference of ``gpuops_kernels::random_bits``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops import Array, Device, FakeArray, custom_op
from gpuops.random import RNGState
from gpuops_kernels._random import CPU, WORDS, blocks_for, check_device, check_shape, words_of

__all__ = ["check", "random_bits"]


def check(shape: Sequence[int], rng: RNGState, device: Device | str) -> tuple[int, ...]:
    """Refuse what no kernel makes; the shape as a tuple.

    Raises:
        ValueError: a negative length.
        DeviceError: `rng` is not on `device`.
    """
    check_device("random_bits", rng, device)
    return check_shape("random_bits", shape)


@custom_op("gpuops_kernels::random_bits", mutates_args=())
def random_bits(shape: Sequence[int], rng: RNGState, *, device: Device = CPU) -> Array:
    """Words of 32 bits, each bit 0 or 1 with probability 1/2: the stream as it is.

    Element i, in row-major order, is word ``i % 4`` of block ``i // 4`` of those drawn.

    Args:
        shape: of the result; an empty one draws nothing.
        rng: where they come from, on `device`; it moves on by ``ceil(size / 4)`` blocks.
        device: of the result.

    Returns:
        uint32, C-contiguous; the same on every device.

    Raises:
        ValueError, DeviceError: see `check`.

    >>> from gpuops.random import RNGState
    >>> random_bits([4], RNGState(0))
    array([1713891541, 3781805453, 3159862348, 2600524760], dtype=uint32)
    """
    shape = check(shape, rng, device)
    count = math.prod(shape)
    if not count:
        return np.empty(shape, np.uint32)
    blocks = blocks_for(count, WORDS)
    words = words_of(rng.key, rng.reserve(blocks), blocks)
    return words.reshape(-1)[:count].reshape(shape).copy()


@random_bits.register_fake
def _fake(shape: Sequence[int], rng: RNGState, *, device: Device) -> Any:
    return FakeArray(check_shape("random_bits", shape), np.uint32, device)


@random_bits.register_vmap
def _batched(
    info: Any, in_dims: Any, shape: Sequence[int], rng: RNGState, *, device: Device
) -> Any:
    return random_bits([info.batch_size, *shape], rng, device=device), 0


random_bits.register_no_gradient("its numbers are integers")
random_bits.register_kernel("cpu", ".cpu:run")
random_bits.register_kernel("cuda", ".cuda:run")
