"""The launch that the "cuda" kernels which make random numbers share."""

from __future__ import annotations

from typing import Any

from gpuops import cuda
from gpuops.random import RNGState
from gpuops_kernels._random import blocks_for, check_same_device

__all__ = ["THREADS", "fill"]

THREADS = 256


def fill(kernel: cuda.Kernel, out: Any, per_block: int, rng: RNGState) -> None:
    """Draw the blocks that `out` needs, and fill it, on the current stream.

    Args:
        kernel: takes the array, its size, the key and the number of the first block.
        out: contiguous, on "cuda", just allocated and so aligned.
        per_block: the elements that a block makes.
        rng: where the blocks are drawn.

    Raises:
        DeviceError: `rng` is not on the device of `out`.
    """
    if not out.size:
        return
    check_same_device(kernel.name.partition("<")[0], rng, out)
    blocks = blocks_for(out.size, per_block)
    first = rng.reserve(blocks)
    grid = cuda.grid_size(blocks, THREADS)
    kernel(grid, THREADS, (out, out.size, rng.key, first))
