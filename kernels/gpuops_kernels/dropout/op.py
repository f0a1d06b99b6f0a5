"""Declaration and reference of ``gpuops_kernels::dropout``."""

from __future__ import annotations

from typing import Any

from gpuops import Array, custom_op
from gpuops.random import RNGState
from gpuops_kernels.dropout_apply.op import apply, check_input, dropout_apply
from gpuops_kernels.dropout_forward.op import batched, check, draw, dropout_forward

__all__ = ["dropout"]


@custom_op("gpuops_kernels::dropout", mutates_args=())
def dropout(x: Array, p: float, rng: RNGState) -> Array:
    """Each element 0 with probability p, and else multiplied by ``1 / (1 - p)``.

    Source: N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting,
    2014, with the scaling at training time (section 10).

    Element i, in row-major order, is dropped if word ``i % 4`` of block ``i // 4`` of those drawn
    is below ``p * 2**32``, rounded. With p = 0 the result is `x`, with p = 1 it is 0 throughout,
    also where `x` is inf or nan. Its size alone says how far `rng` moves on, not p.

    The gradient is ``dropout_apply`` with the same numbers, which ``dropout_forward`` returns: no
    mask is kept. In a batch with ``randomness="different"``, elements have the numbers that calls
    one after the other would draw.

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
    check("dropout", x, p, rng)
    return apply(x, p, rng.key, draw(x, rng))


@dropout.register_fake
def _fake(x: Any, p: float, rng: RNGState) -> Any:
    check_input("dropout", x, p)
    return x.new_empty(x.shape)


@dropout.register_vmap
def _batched(info: Any, in_dims: Any, x: Any, p: float, rng: RNGState) -> Any:
    (out, _, _), _ = batched(info, in_dims, x, p, rng)
    return out, 0


def _forward(x: Any, p: float, rng: RNGState) -> Any:
    out, key, offset = dropout_forward(x, p, rng)
    return out, (key, offset)


def _keep(ctx: Any, inputs: Any, output: Any, residuals: Any) -> None:
    ctx.p = inputs[1]
    ctx.save_for_backward(*residuals)


def _backward(ctx: Any, grad: Any) -> Any:
    return dropout_apply(grad, ctx.p, *ctx.saved_arrays), None, None


dropout.register_autograd(_backward, setup_context=_keep, forward=_forward)
dropout.register_kernel("cpu", ".cpu:run")
dropout.register_kernel("cuda", ".cuda:run")
