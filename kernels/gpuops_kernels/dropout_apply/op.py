"""Declaration and reference of ``gpuops_kernels::dropout_apply``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import gpuops
from gpuops import Array, custom_op
from gpuops_kernels._batching import each, element, front, wide, with_batch
from gpuops_kernels._random import WORDS, blocks_for, check_dtype, words_of

__all__ = [
    "apply",
    "batched",
    "check",
    "check_input",
    "dropout_apply",
    "in_blocks",
    "masked",
    "out_of_blocks",
    "scale_of",
    "threshold_of",
]


def check_input(name: str, x: Any, p: float) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: `x` is neither float16, float32 nor float64.
        ValueError: `p` is not from 0 to 1.
    """
    check_dtype(name, "x", x.dtype)
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be a probability from 0 to 1, got {p}")


def check(x: Any, p: float, key: Any, offset: Any) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: a dtype other than those of `dropout_apply`.
        ValueError: `p` is not from 0 to 1, or `key` or `offset` has another shape.
    """
    check_input("dropout_apply", x, p)
    for name, array, dtype, shape in (
        ("key", key, "uint32", (2,)),
        ("offset", offset, "uint64", (1,)),
    ):
        if array.dtype != dtype:
            raise TypeError(f"dropout_apply: {name} must be {dtype}, got {array.dtype}")
        if array.shape != shape:
            raise ValueError(f"dropout_apply: {name} must have shape {shape}, got {array.shape}")


def threshold_of(p: float) -> int:
    """Words below this are dropped: p in units of 2**-32.

    >>> threshold_of(0.0), threshold_of(0.5), threshold_of(1.0) == 2**32
    (0, 2147483648, True)
    """
    return round(p * 2**32)


def scale_of(p: float) -> float:
    """What an element that is kept is multiplied by: ``1 / (1 - p)``; 0 where none is.

    >>> scale_of(0.0), scale_of(0.75), scale_of(1.0)
    (1.0, 4.0, 0.0)
    """
    return 1 / (1 - p) if p < 1 else 0.0


def apply(x: np.ndarray, p: float, key: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The reference; see `dropout_apply`."""
    wide = np.promote_types(x.dtype, np.float32)
    words = words_of(key, first, blocks_for(x.size, WORDS)).reshape(-1)[: x.size]
    kept = words.reshape(x.shape) >= threshold_of(p)
    # A product may overflow, to inf; one that is dropped does not count, whatever x is.
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (x.astype(wide) * wide.type(scale_of(p))).astype(x.dtype)
    return np.where(kept, scaled, x.dtype.type(0))


@custom_op("gpuops_kernels::dropout_apply", mutates_args=())
def dropout_apply(x: Array, p: float, key: Array, offset: Array) -> Array:
    """Dropout with random numbers that are known: the mask is made anew instead of kept.

    What ``dropout(x, p, rng)`` is once it has drawn; and what its gradient is, of the gradient of
    the result: the offset, eight bytes, is all that has to be kept for it.

    Args:
        x: float16, float32 or float64, any shape and layout.
        p: the probability that an element is dropped.
        key: uint32, shape (2,): ``rng.key``.
        offset: uint64, shape (1,): the first of the blocks, ``rng.reserve(ceil(x.size / 4))``.

    Returns:
        A C-contiguous array like `x`; see ``dropout``.

    Raises:
        TypeError, ValueError: see `check`.

    >>> import numpy as np
    >>> from gpuops.random import RNGState
    >>> rng = RNGState(5)
    >>> x, offset = np.ones(6, np.float32), rng.reserve(2)
    >>> dropout_apply(x, 0.5, rng.key, offset)
    array([2., 0., 2., 2., 0., 0.], dtype=float32)
    """
    check(x, p, key, offset)
    return apply(x, p, key, offset)


@dropout_apply.register_fake
def _fake(x: Any, p: float, key: Any, offset: Any) -> Any:
    check(x, p, key, offset)
    return x.new_empty(x.shape)


@dropout_apply.register_vmap
def batched(info: Any, in_dims: Any, x: Any, p: float, key: Any, offset: Any) -> Any:
    """The same mask for all elements where they have the same numbers, as one by one."""
    xp = gpuops.xp
    if in_dims[2] is None and in_dims[3] is not None and type(offset) is np.ndarray:
        numbers = np.moveaxis(offset, in_dims[3], 0).reshape(-1)
        rows = with_batch(x, in_dims[0], info.batch_size)
        if _follow_each_other(numbers, rows):
            check(element(rows, 0), p, key, numbers[:1])
            whole = dropout_apply(in_blocks(rows), p, key, numbers[:1].copy())
            return out_of_blocks(whole, rows.shape), 0
    if in_dims[2] is not None or in_dims[3] is not None:
        found = each(dropout_apply, info, in_dims, x, p, key, offset)
        one = element(x, in_dims[0])
        if not found:
            device = gpuops.device_of(x) or x.device
            return xp.zeros((0, *one.shape), dtype=x.dtype, device=device), 0
        return xp.stack(found), 0
    x = front(x, in_dims[0])
    check(element(x, 0), p, key, offset)
    # With an axis of 1 in front, elements have the same numbers in row-major order.
    return masked(x, dropout_apply(xp.ones_like(x[:1]), p, key, offset) != 0, p), 0


def _follow_each_other(numbers: np.ndarray, rows: Any) -> bool:
    """Whether the blocks of each element of a batch begin where those of the one before end."""
    blocks = blocks_for(math.prod(rows.shape[1:]), WORDS)
    steps = np.arange(len(numbers), dtype=np.uint64) * np.uint64(blocks)
    return bool(len(numbers)) and np.array_equal(numbers, numbers[0] + steps)


def in_blocks(rows: Any) -> Any:
    """A batch as rows of whole blocks, with zeros behind each element where there are too few."""
    xp = gpuops.xp
    batch, size = rows.shape[0], math.prod(rows.shape[1:])
    if not size % WORDS:
        return rows
    device = gpuops.device_of(rows) or rows.device
    rest = xp.zeros((batch, -size % WORDS), dtype=rows.dtype, device=device)
    return xp.concat([xp.reshape(rows, (batch, size)), rest], axis=1)


def out_of_blocks(rows: Any, shape: tuple[Any, ...]) -> Any:
    """The batch of a shape that `in_blocks` made rows of."""
    size = math.prod(shape[1:])
    return rows if not size % WORDS else gpuops.xp.reshape(rows[:, :size], shape)


def masked(x: Any, kept: Any, p: float) -> Any:
    """What `dropout_apply` makes of an array whose mask is known, by operators of arrays."""
    xp = gpuops.xp
    # As in `apply`: a product may overflow, and one that is dropped does not count.
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = xp.astype(xp.astype(x, wide(x.dtype)) * scale_of(p), x.dtype)
    return xp.where(kept, scaled, xp.zeros_like(x))


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    _, ctx.p, key, offset = inputs
    ctx.save_for_backward(key, offset)


def _backward(ctx: Any, grad: Any) -> Any:
    return dropout_apply(grad, ctx.p, *ctx.saved_arrays), None, None, None


dropout_apply.register_autograd(_backward, setup_context=_keep)
dropout_apply.register_kernel("cpu", ".cpu:run")
dropout_apply.register_kernel("cuda", ".cuda:run")
