"""Philox 4x32-10 in compiled loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from gpuops.random import RNGState
from gpuops_kernels._parallel import for_each_chunk
from gpuops_kernels._random import blocks_for

__all__ = ["fill", "from_blocks", "philox"]

_U = np.uint64
_ROUNDS = 10
_MULTIPLY_0, _MULTIPLY_1 = _U(0xD2511F53), _U(0xCD9E8D57)
_WEYL_0, _WEYL_1 = _U(0x9E3779B9), _U(0xBB67AE85)
_LOW, _32, _0 = _U(2**32 - 1), _U(32), _U(0)


# The words are uint64, and the function is inlined by Numba rather than by LLVM: the loops around
# it become vector code, which they do neither with uint32 nor with a call. 4 million words take 2.1
# ms instead of 14 (one thread, AVX-512).
@njit(inline="always")
def philox(block, k0, k1):  # type: ignore[no-untyped-def]
    """The four words of a block, each a uint64 below 2**32; all arguments are uint64."""
    c0, c1, c2, c3 = block & _LOW, block >> _32, _0, _0
    for _ in range(_ROUNDS):
        left, right = c0 * _MULTIPLY_0, c2 * _MULTIPLY_1
        c0, c1 = (right >> _32) ^ c1 ^ k0, right & _LOW
        c2, c3 = (left >> _32) ^ c3 ^ k1, left & _LOW
        k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


Loop = Callable[..., Any]
"""``loop(*arrays, first, k0, k1, *constants)`` writes the elements of blocks, from `first` on."""


def fill(
    loop: Loop,
    out: np.ndarray,
    per_block: int,
    rng: RNGState,
    least: int,
    constants: tuple[Any, ...] = (),
) -> None:
    """Draw the blocks that `out` needs, and fill it.

    Args:
        loop: compiled; writes an array of whole blocks.
        out: contiguous.
        per_block: the elements that a block makes.
        rng: on the CPU.
        least: fewer elements than that are not worth a second thread.
        constants: what else the loop takes, after the keys.
    """
    if out.size:
        first = rng.reserve(blocks_for(out.size, per_block))
        from_blocks(loop, (out.reshape(-1),), per_block, rng.key, first, least, constants)


def from_blocks(
    loop: Loop,
    arrays: tuple[np.ndarray, ...],
    per_block: int,
    key: np.ndarray,
    first: np.ndarray,
    least: int,
    constants: tuple[Any, ...] = (),
) -> None:
    """Run a loop over arrays of one length, from a block of a stream on.

    Args:
        loop: compiled; takes parts of the arrays that are whole blocks.
        arrays: 1-d, contiguous, of one size; the last is written to.
        per_block: the elements that a block makes.
        key: uint32, shape (2,).
        first: uint64, shape (1,).
        least: fewer elements than that are not worth a second thread.
        constants: what else the loop takes, after the keys.
    """
    k0, k1 = map(_U, key)
    begin = int(first[0])
    count = arrays[0].size
    blocks = count // per_block

    def work(start: int, stop: int) -> None:
        parts = [array[start * per_block : stop * per_block] for array in arrays]
        loop(*parts, _U((begin + start) % 2**64), k0, k1, *constants)

    if blocks:
        for_each_chunk(work, blocks, count, least)
    done = blocks * per_block
    if done < count:
        # What is left of a block is made like a whole one, elsewhere.
        last = [np.zeros(per_block, array.dtype) for array in arrays]
        for whole, array in zip(last, arrays, strict=True):
            whole[: count - done] = array[done:]
        loop(*last, _U((begin + blocks) % 2**64), k0, k1, *constants)
        arrays[-1][done:] = last[-1][: count - done]
