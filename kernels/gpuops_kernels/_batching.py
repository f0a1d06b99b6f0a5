"""What batching rules of the pack share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

import gpuops

__all__ = ["each", "element", "front", "wide", "with_batch"]


def front(x: Any, dim: int | None) -> Any:
    """The array with the batch axis first; one without a batch axis as it is."""
    return x if not dim else gpuops.xp.moveaxis(x, dim, 0)


def with_batch(x: Any, dim: int | None, size: Any) -> Any:
    """The array with the batch axis first; one without is repeated, as a view."""
    if dim is not None:
        return front(x, dim)
    return gpuops.xp.broadcast_to(x, (size, *x.shape))


def element(x: Any, dim: int | None) -> Any:
    """What checks look at, of one element of a batch: shape, number of axes and dtype."""
    if x is None or dim is None:
        return x
    shape = (*x.shape[:dim], *x.shape[dim + 1 :])
    return SimpleNamespace(shape=shape, ndim=len(shape), dtype=x.dtype)


def wide(dtype: Any) -> np.dtype[Any]:
    """The dtype that kernels compute in: float16 is too narrow for what lies between."""
    return np.promote_types(dtype, np.float32)


def each(call: Callable[..., Any], info: Any, in_dims: Sequence[Any], *args: Any) -> list[Any]:
    """The results of a function for one element after the other."""
    parts = [
        [arg] * info.batch_size if dim is None else gpuops.xp.unstack(arg, axis=dim)
        for arg, dim in zip(args, in_dims, strict=True)
    ]
    return [call(*values) for values in zip(*parts, strict=True)]
