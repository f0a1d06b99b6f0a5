"""Where the batch axis is, for rules: to the front, and arrays of several ranks lined up.

They call operators only, so that rules written with them nest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops.transforms.array_methods import xp

__all__ = ["aligned", "front", "insert_axes", "logical_ndim", "with_batch"]


def front(x: Any, dim: int | None) -> Any:
    """The array with the batch axis first; one without a batch axis as it is."""
    return x if not dim else xp.moveaxis(x, (dim,), (0,))


def logical_ndim(x: Any, dim: int | None) -> int:
    """The number of axes of one element."""
    return len(x.shape) - (dim is not None)


def insert_axes(x: Any, position: int, number: int) -> Any:
    """The array with `number` axes of size 1 in front of axis `position`."""
    if number <= 0:
        return x
    return xp.expand_dims(x, tuple(range(position, position + number)))


def with_batch(x: Any, dim: int | None, size: Any) -> Any:
    """The array with the batch axis first; one without is repeated, as a view."""
    if dim is not None:
        return front(x, dim)
    return xp.broadcast_to(x, (size, *x.shape))


def aligned(arrays: Sequence[Any], dims: Sequence[int | None]) -> list[Any]:
    """Arrays whose elements are broadcast together: the batch axis first in those that have one.

    Those of less axes than the others get axes of size 1 behind the batch axis, so that it does not
    meet an axis of another array's elements. What is no array is left as it is.

    >>> import numpy as np
    >>> [x.shape for x in aligned([np.ones((3, 5)), np.ones((4, 3))], [1, None])]
    [(5, 1, 3), (4, 3)]
    """
    ranks = [
        logical_ndim(x, dim) if hasattr(x, "shape") else 0
        for x, dim in zip(arrays, dims, strict=True)
    ]
    most = max(ranks)
    return [
        x if dim is None else insert_axes(front(x, dim), 1, most - rank)
        for x, dim, rank in zip(arrays, dims, ranks, strict=True)
    ]
