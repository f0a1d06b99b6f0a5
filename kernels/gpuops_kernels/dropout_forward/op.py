"""Declaration and reference of ``gpuops_kernels::dropout_forward``."""

from __future__ import annotations

import math
from typing import Any

import gpuops
from gpuops import Array, custom_op
from gpuops.random import RNGState
from gpuops_kernels._batching import element, with_batch
from gpuops_kernels._random import WORDS, blocks_for, check_same_device
from gpuops_kernels.dropout_apply.op import (
    apply,
    check_input,
    dropout_apply,
    in_blocks,
    masked,
    out_of_blocks,
)

__all__ = ["batched", "check", "draw", "dropout_forward"]


def check(name: str, x: Any, p: float, rng: RNGState) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: `x` is neither float16, float32 nor float64.
        ValueError: `p` is not from 0 to 1.
        DeviceError: `rng` is not on the device of `x`.
    """
    check_input(name, x, p)
    check_same_device(name, rng, x)


def draw(x: Any, rng: RNGState) -> Any:
    """Reserve a word for each element; the number of the first block."""
    return rng.reserve(blocks_for(x.size, WORDS))


@custom_op("gpuops_kernels::dropout_forward", mutates_args=())
def dropout_forward(x: Array, p: float, rng: RNGState) -> tuple[Array, Array, Array]:
    """``dropout(x, p, rng)``, and the numbers that ``dropout_apply`` makes the same mask of.

    What is computed in the place of ``dropout`` where its gradient is wanted: nobody else can draw
    between the numbers that the forward pass used and those that are kept for the reverse pass.

    Args:
        x: see ``dropout``.
        p: see ``dropout``.
        rng: see ``dropout``.

    Returns:
        The result of ``dropout``; a copy of ``rng.key``, uint32, shape (2,); and the number of the
        first block that was drawn, uint64, shape (1,). All are on the device of `x`.

    Raises:
        TypeError, ValueError, DeviceError: see `check`.

    >>> import numpy as np
    >>> from gpuops.random import RNGState
    >>> x = np.ones(6, np.float32)
    >>> out, key, offset = dropout_forward(x, 0.5, RNGState(5))
    >>> out
    array([2., 0., 2., 2., 0., 0.], dtype=float32)
    >>> bool((out == dropout_apply(x, 0.5, key, offset)).all())
    True
    """
    check("dropout_forward", x, p, rng)
    first = draw(x, rng)
    return apply(x, p, rng.key, first), rng.key.copy(), first


@dropout_forward.register_fake
def _fake(x: Any, p: float, rng: RNGState) -> Any:
    check_input("dropout_forward", x, p)
    return x.new_empty(x.shape), x.new_empty((2,), "uint32"), x.new_empty((1,), "uint64")


@dropout_forward.register_vmap
def batched(info: Any, in_dims: Any, x: Any, p: float, rng: RNGState) -> Any:
    """The numbers that a loop over the elements would draw, or the same ones for all of them."""
    xp = gpuops.xp
    one = element(x, in_dims[0])
    check_input("dropout_forward", one, p)
    x = with_batch(x, in_dims[0], info.batch_size)
    device = gpuops.device_of(x) or x.device
    if info.randomness == "same":
        ones = xp.ones(one.shape, dtype=x.dtype, device=device)
        drawn, key, first = dropout_forward(ones, p, rng)
        return (masked(x, drawn != 0, p), key, first), (0, None, None)
    # Each element begins with a new block, as a call of its own does.
    out, key, first = dropout_forward(in_blocks(x), p, rng)
    blocks = blocks_for(math.prod(one.shape), WORDS)
    steps = xp.arange(info.batch_size, dtype="uint64", device=device) * blocks
    offsets = xp.reshape(steps, (-1, 1)) + first
    return (out_of_blocks(out, x.shape), key, offsets), (0, None, 0)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.p = inputs[1]
    ctx.save_for_backward(*output[1:])


def _backward(ctx: Any, grad: Any, _key: None, _offset: None) -> Any:
    return dropout_apply(grad, ctx.p, *ctx.saved_arrays), None, None


dropout_forward.register_autograd(_backward, setup_context=_keep)
dropout_forward.register_kernel("cpu", ".cpu:run")
dropout_forward.register_kernel("cuda", ".cuda:run")
