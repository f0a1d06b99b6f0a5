"""Declaration and reference of ``gpuops_kernels::silu_mul``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops import Array, custom_op, get_ctx
from gpuops_kernels._batching import with_batch
from gpuops_kernels.silu_mul_backward.op import silu_mul_backward

__all__ = ["check", "silu_mul"]

# As dtypes and not as classes, which every comparison would have to make a dtype of.
_DTYPES = tuple(map(np.dtype, ("float16", "float32", "float64")))


def check(gate: Any, up: Any) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: a dtype other than float16, float32 or float64, or two different ones.
        ValueError: two different shapes; they are not broadcast.
    """
    _check_dtypes(gate, up)
    if up.shape != gate.shape:
        raise ValueError(f"silu_mul: up must have the shape {gate.shape} of gate, got {up.shape}")


def _check_dtypes(gate: Any, up: Any) -> None:
    if gate.dtype not in _DTYPES:
        raise TypeError(f"silu_mul: gate must be float16, float32 or float64, got {gate.dtype}")
    if up.dtype != gate.dtype:
        raise TypeError(f"silu_mul: up must be {gate.dtype} like gate, got {up.dtype}")


@custom_op("gpuops_kernels::silu_mul", mutates_args=())
def silu_mul(gate: Array, up: Array) -> Array:
    """``gate / (1 + exp(-gate)) * up``, elementwise.

    Source: N. Shazeer: GLU Variants Improve Transformer, 2020, equation 6 (between its matrix
    products).

    Args:
        gate: float16, float32 or float64, any shape and layout.
        up: the same dtype and shape.

    Returns:
        A C-contiguous array of that dtype and shape. float16 is computed in float32.

    Raises:
        TypeError, ValueError: see `check`.

    >>> import numpy as np
    >>> silu_mul(np.array([0.0, 1.0]), np.array([5.0, 2.0])).round(3)
    array([0.   , 1.462])
    """
    check(gate, up)
    wide = np.promote_types(gate.dtype, np.float32)
    values = gate.astype(wide)
    # exp may overflow, to inf, for which the quotient is right.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        out = values / (1 + np.exp(-values)) * up.astype(wide)
        return np.asarray(out, gate.dtype, order="C")


@silu_mul.register_fake
def _fake(gate: Any, up: Any) -> Any:
    _check_dtypes(gate, up)
    get_ctx().check_same_shape(up.shape, gate.shape, "up must have the shape of gate")
    return gate.new_empty(gate.shape)


@silu_mul.register_vmap
def _batched(info: Any, in_dims: Any, gate: Any, up: Any) -> Any:
    if in_dims[0] == in_dims[1]:
        return silu_mul(gate, up), in_dims[0]
    whole = [with_batch(x, d, info.batch_size) for x, d in zip((gate, up), in_dims, strict=True)]
    return silu_mul(*whole), 0


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Any) -> Any:
    return silu_mul_backward(grad, *ctx.saved_arrays)


silu_mul.register_autograd(_backward, setup_context=_keep)
silu_mul.register_kernel("cpu", ".cpu:run")
silu_mul.register_kernel("cuda", ".cuda:run")
