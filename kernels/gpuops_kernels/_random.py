"""What the operators that draw random numbers share: their checks and their reference.

Element i of a result always comes from block ``first + i // n`` of the stream, where `first` is the
first block that the call reserved and n the number of elements that one block of four words makes.
So it depends on nothing else: not on threads, grids or the way the work is divided.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from gpuops import Device, DeviceError, device_of
from gpuops.random import RNGState, philox4x32

__all__ = [
    "CPU",
    "FLOAT32",
    "FLOATS",
    "WORDS",
    "blocks_for",
    "check_device",
    "check_dtype",
    "check_shape",
    "words_of",
]

# The defaults of arguments.
CPU = Device("cpu")
FLOAT32 = np.dtype(np.float32)

FLOATS = tuple(map(np.dtype, ("float16", "float32", "float64")))

WORDS = 4
"""How many words of 32 bits a block has."""


def check_shape(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape as a tuple.

    Raises:
        ValueError: a length is negative.
    """
    if any(length < 0 for length in shape):
        raise ValueError(f"{name}: shape must have no negative lengths, got {tuple(shape)}")
    return tuple(shape)


def check_dtype(name: str, what: str, dtype: Any, allowed: Collection[Any] = FLOATS) -> None:
    """Refuse a dtype that no kernel makes.

    Raises:
        TypeError: it is none of those allowed.
    """
    if dtype not in allowed:
        *first, last = map(str, allowed)
        raise TypeError(f"{name}: {what} must be {', '.join(first)} or {last}, got {dtype}")


def check_device(name: str, rng: RNGState, device: Device | str) -> None:
    """Refuse a state that is on another device than the result.

    Raises:
        DeviceError: it is.
    """
    wanted, here = Device(device), rng.device
    other = here.index not in (None, wanted.index) and wanted.index is not None
    if here.type != wanted.type or other:
        raise DeviceError(
            f"{name}: rng must be on {wanted}, where the result is to be, but is on {here}. "
            f"Draw with device={str(here)!r}, or move it with rng.to({str(wanted)!r})"
        )


def check_same_device(name: str, rng: RNGState, array: Any) -> None:
    """Refuse a state that is on another device than an array.

    Raises:
        DeviceError: it is.
    """
    device = device_of(array)
    assert device is not None
    check_device(name, rng, device)


def blocks_for(count: int, per_block: int) -> int:
    """How many blocks have the words for `count` elements.

    >>> blocks_for(5, 4), blocks_for(0, 4)
    (2, 0)
    """
    return -(-count // per_block)


def words_of(key: np.ndarray, first: np.ndarray, blocks: int) -> np.ndarray:
    """The words of consecutive blocks: the reference that all kernels have to agree with.

    Args:
        key: uint32, shape (2,).
        first: uint64, shape (1,): the number of the first block.
        blocks: how many.

    Returns:
        uint32, shape (blocks, 4).

    >>> import numpy as np
    >>> words_of(np.zeros(2, np.uint32), np.zeros(1, np.uint64), 1)
    array([[1713891541, 3781805453, 3159862348, 2600524760]], dtype=uint32)
    """
    numbers = first + np.arange(blocks, dtype=np.uint64)
    counter = np.zeros((blocks, WORDS), np.uint32)
    counter[:, 0] = numbers & np.uint64(2**32 - 1)
    counter[:, 1] = numbers >> np.uint64(32)
    return philox4x32(counter, key)
