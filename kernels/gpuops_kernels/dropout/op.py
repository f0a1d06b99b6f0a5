"""Declaration and reference of ``gpuops_kernels::dropout``."""

from __future__ import annotations

import math
from typing import Any

import gpuops
from gpuops import Array, custom_op
from gpuops.random import RNGState
from gpuops_kernels._batching import element, with_batch
from gpuops_kernels._random import WORDS, blocks_for, check_same_device
from gpuops_kernels.dropout_apply.op import apply, check_input, dropout_apply
from gpuops_kernels.dropout_apply.op import batched as dropout_apply_batched

__all__ = ["check", "draw", "dropout"]


def check(x: Any, p: float, rng: RNGState) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: `x` is neither float16, float32 nor float64.
        ValueError: `p` is not from 0 to 1.
        DeviceError: `rng` is not on the device of `x`.
    """
    check_input("dropout", x, p)
    check_same_device("dropout", rng, x)


def draw(x: Any, rng: RNGState) -> Any:
    """Reserve a word for each element; the number of the first block."""
    return rng.reserve(blocks_for(x.size, WORDS))


@custom_op("gpuops_kernels::dropout", mutates_args=())
def dropout(x: Array, p: float, rng: RNGState) -> Array:
    """Each element 0 with probability p, and else multiplied by ``1 / (1 - p)``.

    Source: N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting,
    2014, with the scaling at training time (section 10).

    Element i, in row-major order, is dropped if word ``i % 4`` of block ``i // 4`` of those drawn
    is below ``p * 2**32``, rounded. With p = 0 the result is `x`, with p = 1 it is 0 throughout,
    also where `x` is inf or nan. Its size alone says how far `rng` moves on, not p.

    The gradient is ``dropout_apply`` with the same numbers: no mask is kept. While one thread
    differentiates, no other may draw from the same state.

    Args:
        x: float16, float32 or float64, any shape and layout; an empty one draws nothing.
        p: from 0 to 1.
        rng: on the device of `x`; it moves on by ``ceil(x.size / 4)`` blocks.

    Returns:
        A C-contiguous array like `x`, with the same bits on every device. float16 is computed in
        float32.

    Raises:
        TypeError, ValueError, DeviceError: see `check`.

    >>> import numpy as np
    >>> from gpuops.random import RNGState
    >>> dropout(np.ones(6, np.float32), 0.5, RNGState(5))
    array([2., 0., 2., 2., 0., 0.], dtype=float32)
    """
    check(x, p, rng)
    return apply(x, p, rng.key, draw(x, rng))


@dropout.register_fake
def _fake(x: Any, p: float, rng: RNGState) -> Any:
    check_input("dropout", x, p)
    return x.new_empty(x.shape)


@dropout.register_vmap
def _batched(info: Any, in_dims: Any, x: Any, p: float, rng: RNGState) -> Any:
    if info.randomness == "same":
        one = element(x, in_dims[0])
        check_input("dropout", one, p)
        first = rng.reserve(blocks_for(math.prod(one.shape), WORDS))
        return dropout_apply_batched(info, (in_dims[0], None, None, None), x, p, rng.key, first)
    return dropout(with_batch(x, in_dims[0], info.batch_size), p, rng), 0


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    x, ctx.p, rng = inputs
    # The blocks were the last ones drawn; the state itself moves on until the reverse pass.
    first = gpuops.xp.subtract(rng.offset, blocks_for(x.size, WORDS))
    ctx.save_for_backward(gpuops.xp.copy(rng.key), first)


def _backward(ctx: Any, grad: Any) -> Any:
    return dropout_apply(grad, ctx.p, *ctx.saved_arrays), None, None


dropout.register_autograd(_backward, setup_context=_keep)
dropout.register_kernel("cpu", ".cpu:run")
dropout.register_kernel("cuda", ".cuda:run")
