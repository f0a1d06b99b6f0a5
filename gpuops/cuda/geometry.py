"""What host code around a launch keeps computing: C++ type names, grid sizes, launch sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.errors import ArgumentError

__all__ = ["Dim", "ceil_div", "ctype", "grid_size", "launch_sizes"]

Dim = int | tuple[int, ...]
"""A number of blocks or threads: along x, or along up to three axes."""

# Of every architecture (CUDA Programming Guide, appendix "Compute Capabilities").
MAX_BLOCKS = 2**31 - 1
_MAX_GRID = (MAX_BLOCKS, 65535, 65535)
_MAX_BLOCK = (1024, 1024, 64)
MAX_THREADS = 1024

# By kind and size and not by name: which of int64's two spellings (`long`, `long long`) NumPy
# uses differs between platforms, but CUDA's `long` is 32 bits on Windows.
_CTYPES = {
    "b1": "bool",
    "i1": "signed char",
    "i2": "short",
    "i4": "int",
    "i8": "long long",
    "u1": "unsigned char",
    "u2": "unsigned short",
    "u4": "unsigned int",
    "u8": "unsigned long long",
    "f2": "__half",
    "f4": "float",
    "f8": "double",
}


def ctype(dtype: Any) -> str:
    """The CUDA C++ type of a dtype's elements, for name expressions.

    ``__half`` needs ``#include <cuda_fp16.h>`` in the source.

    Raises:
        TypeError: not a bool, integer, float16, float32 or float64 in this machine's byte order.

    >>> ctype(np.float16), ctype("int64")
    ('__half', 'long long')
    """
    found = np.dtype(dtype)
    name = _CTYPES.get(f"{found.kind}{found.itemsize}")
    if name is None or not found.isnative:
        raise TypeError(
            f"cuda.ctype: expected a bool, integer or float16, float32 or float64 dtype in native "
            f"byte order, got {found!r}"
        )
    return name


def ceil_div(count: int, size: int) -> int:
    """How many pieces of `size` hold `count`.

    >>> ceil_div(9, 4), ceil_div(0, 4)
    (3, 0)
    """
    return -(-count // size)


def grid_size(count: int, per_block: int, limit: int = MAX_BLOCKS) -> int:
    """How many blocks of `per_block` items cover `count` items, at most `limit`.

    A kernel launched so needs a grid-stride loop: with more than ``limit * per_block`` items a
    block has several shares.

    >>> grid_size(1000, 256)
    4
    >>> grid_size(10**15, 256) == 2**31 - 1
    True
    """
    return min(ceil_div(count, per_block), limit)


def launch_sizes(
    kernel: str, grid: Dim, block: Dim
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Blocks and threads along x, y and z.

    Raises:
        ArgumentError: no GPU accepts them.

    >>> launch_sizes("scale", 12, (32, 8))
    ((12, 1, 1), (32, 8, 1))
    """
    blocks = _sizes(kernel, "grid", grid, 0, _MAX_GRID)
    threads = _sizes(kernel, "block", block, 1, _MAX_BLOCK)
    if threads[0] * threads[1] * threads[2] > MAX_THREADS:
        raise ArgumentError(
            f"Kernel {kernel!r}: block must have at most {MAX_THREADS} threads, got {block}"
        )
    return blocks, threads


def _sizes(
    kernel: str, what: str, given: Any, least: int, most: tuple[int, int, int]
) -> tuple[int, int, int]:
    # This runs at every launch: what is usual comes first.
    if type(given) is int and least <= given <= most[0]:
        return (given, 1, 1)
    if type(given) is tuple:
        if len(given) == 1 and type(given[0]) is int and least <= given[0] <= most[0]:
            return (given[0], 1, 1)
        if (
            len(given) == 2
            and type(given[0]) is type(given[1]) is int
            and least <= given[0] <= most[0]
            and least <= given[1] <= most[1]
        ):
            return (given[0], given[1], 1)
    sizes = (given,) if isinstance(given, int | np.integer) else given
    if (
        not isinstance(sizes, tuple | list)
        or not 1 <= len(sizes) <= 3
        or not all(isinstance(n, int | np.integer) for n in sizes)
    ):
        raise ArgumentError(
            f"Kernel {kernel!r}: {what} must be an int or a tuple of one to three, got {given!r}"
        )
    x, y, z = (*(int(n) for n in sizes), 1, 1)[:3]
    if not all(least <= n <= limit for n, limit in zip((x, y, z), most, strict=True)):
        raise ArgumentError(
            f"Kernel {kernel!r}: {what} must be from {least} to {most} along x, y and z, "
            f"got {given!r}"
        )
    return x, y, z
