"""Who owns an array's memory, and whether two arrays share some."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["byte_range", "owner", "shares_memory"]


def owner(array: Any) -> Any:
    """The array at the bottom of a chain of views: the one that holds the memory.

    >>> import numpy as np
    >>> x = np.zeros((4, 4))
    >>> owner(x[1:].T) is x
    True
    """
    # NumPy's subclasses may be views of its plain arrays.
    cls = np.ndarray if isinstance(array, np.ndarray) else type(array)
    while (base := getattr(array, "base", None)) is not None and isinstance(base, cls):
        array = base
    return array


def byte_range(array: Any) -> tuple[int, int]:
    """The addresses [low, high) that an array's elements lie in, whatever its strides.

    Works for NumPy arrays and for CuPy arrays (device addresses).

    >>> import numpy as np
    >>> x = np.zeros(4, np.float32)
    >>> low, high = byte_range(x[::-1])
    >>> high - low
    16
    """
    try:
        data = getattr(array, "data", None)
    except ValueError:  # NumPy gives no buffer of dates
        data = None
    pointer = getattr(data, "ptr", None)
    low = high = int(array.ctypes.data if pointer is None else pointer)
    if array.size == 0:
        return low, low
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            low += (length - 1) * stride
        else:
            high += (length - 1) * stride
    return low, high + array.itemsize


def shares_memory(left: Any, right: Any) -> bool:
    """Whether two arrays of one library are views of the same allocation or overlap in memory.

    Views of one allocation count even where their elements do not overlap: each keeps the
    allocation alive and none is fresh. Sharing that the library does not know of (two arrays made
    from one pointer or buffer) is found by address. Two empty arrays share nothing unless one is
    a view of the other.

    >>> import numpy as np
    >>> x = np.zeros(6)
    >>> shares_memory(x[:3], x[3:]), shares_memory(x, x.copy()), shares_memory(x, x[0:0])
    (True, False, True)
    """
    if type(left) is not type(right):
        return False
    if owner(left) is owner(right):
        return True
    left_low, left_high = byte_range(left)
    right_low, right_high = byte_range(right)
    return max(left_low, right_low) < min(left_high, right_high)
