"""Declaration and reference of ``gpuops_kernels::rms_norm``."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpuops
from gpuops import Array, custom_op, get_ctx
from gpuops_kernels._batching import element, front, wide, with_batch
from gpuops_kernels.rms_norm_backward.op import rms_norm_backward

__all__ = ["check", "rms_norm"]

# As dtypes and not as classes, which every comparison would have to make a dtype of.
_DTYPES = tuple(map(np.dtype, ("float16", "float32", "float64")))


def check(x: Any, weight: Any) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: a dtype other than float16, float32 or float64, or two different ones.
        ValueError: `x` has no axes, or `weight` does not fit its last one.
    """
    _check_dtypes(x, weight)
    if weight.shape != x.shape[-1:]:
        raise ValueError(
            f"rms_norm: weight must have the shape {x.shape[-1:]} of x's last axis, "
            f"got {weight.shape}"
        )


def _check_dtypes(x: Any, weight: Any) -> None:
    if x.dtype not in _DTYPES:
        raise TypeError(f"rms_norm: x must be float16, float32 or float64, got {x.dtype}")
    if weight.dtype != x.dtype:
        raise TypeError(f"rms_norm: weight must be {x.dtype} like x, got {weight.dtype}")
    if x.ndim == 0:
        raise ValueError("rms_norm: x must have at least one axis, got a 0-d array")


@custom_op("gpuops_kernels::rms_norm", mutates_args=())
def rms_norm(x: Array, weight: Array, eps: float = 1e-6) -> Array:
    """``x / sqrt(mean(x**2, axis=-1) + eps) * weight``.

    Source: B. Zhang, R. Sennrich: Root Mean Square Layer Normalization, 2019, equation 4.

    Args:
        x: float16, float32 or float64, shape (..., n), any layout.
        weight: the same dtype, shape (n,).
        eps: added to the mean square.

    Returns:
        A C-contiguous array like `x`. float16 is computed in float32.

    Raises:
        TypeError, ValueError: see `check`.

    >>> import numpy as np
    >>> rms_norm(np.array([[3.0, 4.0]]), np.ones(2), 0.0).round(3)
    array([[0.849, 1.131]])
    """
    check(x, weight)
    wide = np.promote_types(x.dtype, np.float32)
    values = x.astype(wide)
    # The mean of no numbers is not needed: there is nothing to divide by it.
    mean = np.square(values).sum(axis=-1, keepdims=True) / max(x.shape[-1], 1)
    out = values / np.sqrt(mean + wide.type(eps)) * weight.astype(wide)
    return np.asarray(out, x.dtype, order="C")


@rms_norm.register_fake
def _fake(x: Any, weight: Any, eps: float) -> Any:
    _check_dtypes(x, weight)
    # Through the context: of sizes that are not known yet, a condition is recorded.
    get_ctx().check_same_shape(weight.shape, x.shape[-1:], "weight must fit x's last axis")
    return x.new_empty(x.shape)


@rms_norm.register_vmap
def _batched(info: Any, in_dims: Any, x: Any, weight: Any, eps: float) -> Any:
    _check_dtypes(element(x, in_dims[0]), weight)
    if in_dims[1] is None:
        return rms_norm(front(x, in_dims[0]), weight, eps), 0
    check(element(x, in_dims[0]), element(weight, in_dims[1]))
    # A weight for each element: the kernel has one for all, so it multiplies by 1.
    x = gpuops.xp.astype(with_batch(x, in_dims[0], info.batch_size), wide(x.dtype))
    weights = front(weight, in_dims[1])
    # Of a sum, which has the right shape for a batch of none too.
    ones = gpuops.xp.ones_like(gpuops.xp.sum(weights, axis=0), dtype=x.dtype)
    weights = gpuops.xp.reshape(weights, (info.batch_size, *(1,) * (x.ndim - 2), weights.shape[1]))
    return gpuops.xp.astype(rms_norm(x, ones, eps) * weights, weight.dtype), 0


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.eps = inputs[2]


def _backward(ctx: Any, grad: Any) -> Any:
    x, weight = ctx.saved_arrays
    return (*rms_norm_backward(grad, x, weight, ctx.eps), None)


rms_norm.register_autograd(_backward, setup_context=_keep)
rms_norm.register_kernel("cpu", ".cpu:run")
rms_norm.register_kernel("cuda", ".cuda:run")
