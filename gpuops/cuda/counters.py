"""Counters in a GPU's memory, from which launches take numbers without the host's help."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.cuda.kernel import Kernel

__all__ = ["RESERVE", "reserve"]

# Atomic, so that launches on several streams get different numbers.
RESERVE = Kernel(
    """
extern "C" __global__ void reserve(unsigned long long* counter, unsigned long long count,
                                   unsigned long long* first) {
    *first = atomicAdd(counter, count);
}
""",
    "reserve",
)


def reserve(counter: Any, count: int) -> Any:
    """Take the next numbers of a counter; on the current stream, without waiting.

    Args:
        counter: uint64, shape (1,), on "cuda", whose device is the current one; `count` is added.
        count: 0 <= count < 2**64.

    Returns:
        uint64, shape (1,), a new array: what the counter was before.

    >>> import numpy as np, gpuops
    >>> with gpuops.cuda.simulator():
    ...     counter = gpuops.asarray(np.array([5], np.uint64), device="cuda")
    ...     reserve(counter, 3).get(), counter.get()
    (array([5], dtype=uint64), array([8], dtype=uint64))
    """
    first = counter.__array_namespace__().empty_like(counter)
    RESERVE(1, 1, (counter, np.uint64(count), first))
    return first
