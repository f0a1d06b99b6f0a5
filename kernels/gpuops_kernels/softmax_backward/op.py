"""Declaration and reference of ``gpuops_kernels::softmax_backward``."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpuops
from gpuops import Array, custom_op, get_ctx
from gpuops_kernels._batching import element, with_batch

__all__ = ["check", "softmax_backward"]

_DTYPES = tuple(map(np.dtype, ("float16", "float32", "float64")))


def check(grad: Any, out: Any, axis: int) -> int:
    """Refuse what no kernel computes; the axis, counted from the front.

    Raises:
        TypeError: a dtype other than float16, float32 or float64, or two different ones.
        ValueError: two different shapes, or there is no such axis.
    """
    if out.shape != grad.shape:
        raise ValueError(
            f"softmax_backward: out must have the shape {grad.shape} of grad, got {out.shape}"
        )
    return _check_kinds(grad, out, axis)


def _check_kinds(grad: Any, out: Any, axis: int) -> int:
    """What does not depend on sizes."""
    if grad.dtype not in _DTYPES:
        raise TypeError(
            f"softmax_backward: grad must be float16, float32 or float64, got {grad.dtype}"
        )
    if out.dtype != grad.dtype:
        raise TypeError(f"softmax_backward: out must be {grad.dtype} like grad, got {out.dtype}")
    if not -grad.ndim <= axis < grad.ndim:
        raise ValueError(f"softmax_backward: grad has {grad.ndim} axes, so there is no axis {axis}")
    return axis % grad.ndim


@custom_op("gpuops_kernels::softmax_backward", mutates_args=())
def softmax_backward(grad: Array, out: Array, axis: int = -1) -> Array:
    """The gradient of ``softmax(x, axis)``: ``out * (grad - sum(grad * out))`` along the axis.

    Args:
        grad: float16, float32 or float64, any shape but 0-d, any layout: the gradient of the
            result.
        out: the result, of the same dtype and shape.
        axis: from -grad.ndim to grad.ndim - 1.

    Returns:
        A C-contiguous array of that dtype and shape: the gradient of x. float16 is computed in
        float32.

    Raises:
        TypeError, ValueError: see `check`.

    >>> import numpy as np
    >>> softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    axis = check(grad, out, axis)
    wide = np.promote_types(grad.dtype, np.float32)
    g, y = grad.astype(wide), out.astype(wide)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found = y * (g - (g * y).sum(axis=axis, keepdims=True))
        return np.asarray(found, grad.dtype, order="C")


@softmax_backward.register_fake
def _fake(grad: Any, out: Any, axis: int) -> Any:
    _check_kinds(grad, out, axis)
    get_ctx().check_same_shape(out.shape, grad.shape, "out must have the shape of grad")
    return grad.new_empty(grad.shape)


@softmax_backward.register_vmap
def _batched(info: Any, in_dims: Any, grad: Any, out: Any, axis: int) -> Any:
    axis = check(element(grad, in_dims[0]), element(out, in_dims[1]), axis)
    grad = with_batch(grad, in_dims[0], info.batch_size)
    return softmax_backward(grad, with_batch(out, in_dims[1], info.batch_size), axis + 1), 0


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.axis = inputs[2]


def _backward(ctx: Any, g: Any) -> Any:
    # Once more is rare, and worth no kernel: the gradient of the formula above.
    grad, out = ctx.saved_arrays
    xp, axis = gpuops.xp, (ctx.axis,)
    along = xp.sum(g * out, axis=axis, keepdims=True)
    of_out = g * (grad - xp.sum(grad * out, axis=axis, keepdims=True)) - grad * along
    return out * (g - along), of_out, None


softmax_backward.register_autograd(_backward, setup_context=_keep)
softmax_backward.register_kernel("cpu", ".cpu:run")
softmax_backward.register_kernel("cuda", ".cuda:run")
