"""Declaration and reference of ``gpuops_kernels::linear``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import gpuops
from gpuops import Array, custom_op, get_ctx, register_effect
from gpuops.cuda import CublasHandle
from gpuops_kernels._batching import element, front, wide, with_batch

__all__ = ["check", "linear"]

# As dtypes and not as classes, which every comparison would have to make a dtype of.
_DTYPES = tuple(map(np.dtype, ("float16", "float32", "float64")))


def check(x: Any, weight: Any, bias: Any) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: a dtype other than float16, float32 or float64, or different ones.
        ValueError: `x` is 0-d, `weight` is no matrix, or the sizes do not go together.
    """
    _check_kinds(x, weight, bias)
    if weight.shape[1] != x.shape[-1]:
        raise ValueError(
            f"linear: weight must have the shape (n, {x.shape[-1]}) for x of shape {x.shape}, "
            f"got {weight.shape}"
        )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise ValueError(
            f"linear: bias must have the shape ({weight.shape[0]},) for weight of shape "
            f"{weight.shape}, got {bias.shape}"
        )


def _check_kinds(x: Any, weight: Any, bias: Any) -> None:
    """What does not depend on sizes."""
    if x.dtype not in _DTYPES:
        raise TypeError(f"linear: x must be float16, float32 or float64, got {x.dtype}")
    if not x.ndim:
        raise ValueError("linear: x must have at least one axis, got a 0-d array")
    for name, array, ndim in (("weight", weight, 2), ("bias", bias, 1)):
        if array is None:
            continue
        if array.dtype != x.dtype:
            raise TypeError(f"linear: {name} must be {x.dtype} like x, got {array.dtype}")
        if array.ndim != ndim:
            raise ValueError(f"linear: {name} must have {ndim} axes, got {array.ndim}")


@custom_op("gpuops_kernels::linear", mutates_args=())
def linear(
    x: Array, weight: Array, bias: Array | None = None, handle: CublasHandle | None = None
) -> Array:
    """``x @ weight.T + bias``: one output for each row of `weight`.

    Args:
        x: float16, float32 or float64, shape (..., k), any layout.
        weight: the same dtype, shape (n, k).
        bias: the same dtype, shape (n,); None for none.
        handle: what cuBLAS is called with, on a GPU; None for `gpuops.cuda.default_handle`. The
            host's BLAS needs none.

    Returns:
        A C-contiguous array of that dtype, shape (..., n). float16 is accumulated in float32.

    Raises:
        TypeError, ValueError: see `check`.

    >>> import numpy as np
    >>> linear(np.array([[1.0, 2.0]]), np.array([[1.0, 1.0], [0.0, 3.0]]), np.array([0.5, 0.0]))
    array([[3.5, 6. ]])
    """
    check(x, weight, bias)
    # Not `@`: the reference is the definition, and comes from no BLAS.
    wide = np.promote_types(x.dtype, np.float32)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        out = np.einsum("...k,nk->...n", x.astype(wide), weight.astype(wide))
        if bias is not None:
            out = out + bias.astype(wide)
        return np.asarray(out, x.dtype, order="C")


@linear.register_fake
def _fake(x: Any, weight: Any, bias: Any, handle: Any) -> Any:
    _check_kinds(x, weight, bias)
    ctx = get_ctx()
    ctx.check_equal(weight.shape[1], x.shape[-1], "weight must have a column per column of x")
    if bias is not None:
        ctx.check_equal(bias.shape[0], weight.shape[0], "bias must have an item per row of weight")
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


@linear.register_vmap
def _batched(info: Any, in_dims: Any, x: Any, weight: Any, bias: Any, handle: Any) -> Any:
    first, second, third, _ = in_dims
    _check_kinds(element(x, first), element(weight, second), element(bias, third))
    if second is None and third is None:
        return linear(front(x, first), weight, bias, handle), 0
    check(element(x, first), element(weight, second), element(bias, third))
    # The kernel has one weight for all rows: a batch of them is a batch of matrix products.
    dtype = x.dtype
    x, weight = with_batch(x, first, info.batch_size), with_batch(weight, second, info.batch_size)
    x, weight = (gpuops.xp.astype(array, wide(dtype), copy=False) for array in (x, weight))
    rows = gpuops.xp.reshape(x, (info.batch_size, math.prod(x.shape[1:-1]), x.shape[-1]))
    out = gpuops.xp.matmul(rows, gpuops.xp.matrix_transpose(weight))
    if bias is not None:
        bias = with_batch(bias, third, info.batch_size)
        out = out + gpuops.xp.expand_dims(gpuops.xp.astype(bias, wide(dtype)), 1)
    out = gpuops.xp.reshape(out, (*x.shape[:-1], weight.shape[1]))
    return gpuops.xp.astype(out, dtype), 0


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    x, weight, bias, handle = inputs
    needs = ctx.needs_input_grad
    # Each is needed for the other's gradient only.
    ctx.save_for_backward(x if needs[1] else None, weight if needs[0] else None)
    ctx.shape, ctx.handle, ctx.has_bias = x.shape, handle, bias is not None


def _backward(ctx: Any, grad: Any) -> Any:
    x, weight = ctx.saved_arrays
    xp = gpuops.xp
    flat = grad
    if len(ctx.shape) != 2:
        rows = math.prod(ctx.shape[:-1])
        flat = xp.reshape(grad, (rows, grad.shape[-1]))
        x = None if x is None else xp.reshape(x, (rows, ctx.shape[-1]))
    of_x = of_weight = of_bias = None
    if ctx.needs_input_grad[0]:
        # The same operator, so the same BLAS: grad @ weight is grad @ (weight.T).T.
        of_x = linear(grad, weight.T, None, ctx.handle)
    if ctx.needs_input_grad[1]:
        of_weight = linear(flat.T, x.T, None, ctx.handle)
    if ctx.has_bias and ctx.needs_input_grad[2]:
        of_bias = xp.astype(
            xp.sum(xp.astype(flat, wide(flat.dtype), copy=False), axis=0), grad.dtype
        )
    return of_x, of_weight, of_bias, None


linear.register_autograd(_backward, setup_context=_keep)
# A handle has no state that a result depends on: a call that nothing uses may be left out.
register_effect(linear, None)
linear.register_kernel("cpu", ".cpu:run")
linear.register_kernel("cuda", ".cuda:run")
