"""Declaration and reference of ``gpuops_kernels::rms_norm_backward``."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpuops
from gpuops import Array, custom_op, get_ctx
from gpuops_kernels._batching import element, wide, with_batch

__all__ = ["check", "rms_norm_backward"]

_DTYPES = tuple(map(np.dtype, ("float16", "float32", "float64")))


def check(grad: Any, x: Any, weight: Any) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: a dtype other than float16, float32 or float64, or different ones.
        ValueError: `grad` has no axes, `x` another shape, or `weight` does not fit its last axis.
    """
    _check_dtypes(grad, x, weight)
    if x.shape != grad.shape:
        raise ValueError(
            f"rms_norm_backward: x must have the shape {grad.shape} of grad, got {x.shape}"
        )
    if weight.shape != x.shape[-1:]:
        raise ValueError(
            f"rms_norm_backward: weight must have the shape {x.shape[-1:]} of x's last axis, "
            f"got {weight.shape}"
        )


def _check_dtypes(grad: Any, x: Any, weight: Any) -> None:
    if grad.dtype not in _DTYPES:
        raise TypeError(
            f"rms_norm_backward: grad must be float16, float32 or float64, got {grad.dtype}"
        )
    for name, array in (("x", x), ("weight", weight)):
        if array.dtype != grad.dtype:
            raise TypeError(
                f"rms_norm_backward: {name} must be {grad.dtype} like grad, got {array.dtype}"
            )
    if grad.ndim == 0:
        raise ValueError("rms_norm_backward: grad must have at least one axis, got a 0-d array")


@custom_op("gpuops_kernels::rms_norm_backward", mutates_args=())
def rms_norm_backward(
    grad: Array, x: Array, weight: Array, eps: float = 1e-6
) -> tuple[Array, Array]:
    """The gradients of ``rms_norm(x, weight, eps)``, of that of its result.

    With ``r = 1 / sqrt(mean(x**2, axis=-1) + eps)`` and ``p = grad * weight``:
    ``r * (p - x * r**2 * mean(p * x, axis=-1))``, and the sum of ``grad * x * r`` over all axes
    but the last.

    Args:
        grad: float16, float32 or float64, shape (..., n), any layout: the gradient of the result.
        x: the same dtype and shape.
        weight: the same dtype, shape (n,).
        eps: as in ``rms_norm``.

    Returns:
        C-contiguous arrays of that dtype: the gradient of `x`, of its shape, and of `weight`, of
        shape (n,). float16 is computed in float32.

    Raises:
        TypeError, ValueError: see `check`.

    >>> import numpy as np
    >>> x = np.array([[3.0, 4.0]])
    >>> [found.round(3) for found in rms_norm_backward(np.ones((1, 2)), x, np.ones(2), 0.0)]
    [array([[ 0.045, -0.034]]), array([0.849, 1.131])]
    """
    check(grad, x, weight)
    wide = np.promote_types(x.dtype, np.float32)
    g, values, scales = (array.astype(wide) for array in (grad, x, weight))
    length = max(x.shape[-1], 1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean = np.square(values).sum(axis=-1, keepdims=True) / length
        r = 1 / np.sqrt(mean + wide.type(eps))
        p = g * scales
        normed = values * r
        along = (p * normed).sum(axis=-1, keepdims=True) / length
        of_x = r * (p - normed * along)
        of_weight = (g * normed).sum(axis=tuple(range(x.ndim - 1)))
        return (
            np.asarray(of_x, x.dtype, order="C"),
            np.asarray(of_weight, x.dtype, order="C"),
        )


@rms_norm_backward.register_fake
def _fake(grad: Any, x: Any, weight: Any, eps: float) -> Any:
    _check_dtypes(grad, x, weight)
    # Through the context: of sizes that are not known yet, a condition is recorded.
    get_ctx().check_same_shape(x.shape, grad.shape, "x must have the shape of grad")
    get_ctx().check_same_shape(weight.shape, x.shape[-1:], "weight must fit x's last axis")
    return x.new_empty(x.shape), x.new_empty(weight.shape)


def _composition(grad: Any, x: Any, weight: Any, eps: float, batch: int = 0) -> Any:
    """The same from operators that have gradients.

    Args:
        grad: see `rms_norm_backward`.
        x: see `rms_norm_backward`.
        weight: of a shape that goes with that of `x`.
        eps: see `rms_norm_backward`.
        batch: how many axes in front the gradient of `weight` keeps.
    """
    xp = gpuops.xp
    r = 1 / xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + eps)
    p = grad * weight
    normed = x * r
    of_x = r * (p - normed * xp.mean(p * normed, axis=-1, keepdims=True))
    axes = tuple(range(batch, x.ndim - 1))
    of_weight = grad * normed
    return of_x, xp.sum(of_weight, axis=axes) if axes else of_weight


@rms_norm_backward.register_vmap
def _batched(info: Any, in_dims: Any, grad: Any, x: Any, weight: Any, eps: float) -> Any:
    # The kernel sums over all rows: here each element has its own sum.
    check(*map(element, (grad, x, weight), in_dims))
    dtype = x.dtype
    grad, x, weight = (
        gpuops.xp.astype(with_batch(array, dim, info.batch_size), wide(dtype))
        for array, dim in zip((grad, x, weight), in_dims, strict=False)
    )
    length = x.shape[-1]
    if not length:
        return (gpuops.xp.astype(grad, dtype), gpuops.xp.astype(weight, dtype)), 0
    weights = gpuops.xp.reshape(weight, (info.batch_size, *(1,) * (x.ndim - 2), length))
    found = _composition(grad, x, weights, eps, batch=1)
    return tuple(gpuops.xp.astype(array, dtype) for array in found), 0


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.eps = inputs[3]


def _backward(ctx: Any, of_x: Any, of_weight: Any) -> Any:
    # Once more is rare, and worth no kernel.
    def again(grad: Any, x: Any, weight: Any) -> Any:
        return _composition(grad, x, weight, ctx.eps)

    _, backward = gpuops.vjp(again, *ctx.saved_arrays)
    return (*backward(of_x, of_weight), None)


rms_norm_backward.register_autograd(_backward, setup_context=_keep)
rms_norm_backward.register_kernel("cpu", ".cpu:run")
rms_norm_backward.register_kernel("cuda", ".cuda:run")
