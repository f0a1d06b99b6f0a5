"""What host code around a launch keeps computing: C++ type names and grid sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ceil_div", "ctype", "grid_size"]

MAX_BLOCKS = 2**31 - 1
"""The most blocks along x, of every architecture (CUDA C++ Programming Guide, table 21)."""

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
