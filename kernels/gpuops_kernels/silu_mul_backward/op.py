"""Declaration and reference of ``gpuops_kernels::silu_mul_backward``."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpuops
from gpuops import Array, custom_op, get_ctx
from gpuops_kernels._batching import with_batch

__all__ = ["check", "silu_mul_backward"]

_DTYPES = tuple(map(np.dtype, ("float16", "float32", "float64")))


def check(grad: Any, gate: Any, up: Any) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: a dtype other than float16, float32 or float64, or different ones.
        ValueError: different shapes.
    """
    _check_dtypes(grad, gate, up)
    for name, array in (("gate", gate), ("up", up)):
        if array.shape != grad.shape:
            raise ValueError(
                f"silu_mul_backward: {name} must have the shape {grad.shape} of grad, "
                f"got {array.shape}"
            )


def _check_dtypes(grad: Any, gate: Any, up: Any) -> None:
    if grad.dtype not in _DTYPES:
        raise TypeError(
            f"silu_mul_backward: grad must be float16, float32 or float64, got {grad.dtype}"
        )
    for name, array in (("gate", gate), ("up", up)):
        if array.dtype != grad.dtype:
            raise TypeError(
                f"silu_mul_backward: {name} must be {grad.dtype} like grad, got {array.dtype}"
            )


@custom_op("gpuops_kernels::silu_mul_backward", mutates_args=())
def silu_mul_backward(grad: Array, gate: Array, up: Array) -> tuple[Array, Array]:
    """The gradients of ``silu_mul(gate, up)``, of that of its result.

    With ``s = 1 / (1 + exp(-gate))``: ``grad * up * s * (1 + gate * (1 - s))`` and
    ``grad * gate * s``.

    Args:
        grad: float16, float32 or float64, any shape and layout: the gradient of the result.
        gate: the same dtype and shape.
        up: the same dtype and shape.

    Returns:
        C-contiguous arrays of that dtype and shape: the gradients of `gate` and of `up`. float16
        is computed in float32.

    Raises:
        TypeError, ValueError: see `check`.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> [x.round(3) for x in silu_mul_backward(one, 0 * one, 4 * one)]
    [array([2.]), array([0.])]
    """
    check(grad, gate, up)
    wide = np.promote_types(gate.dtype, np.float32)
    g, x, y = (array.astype(wide) for array in (grad, gate, up))
    # exp may overflow, to inf, for which the quotient is right.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        share = 1 / (1 + np.exp(-x))
        of_gate = g * y * (share * (1 + x * (1 - share)))
        of_up = g * (x * share)
        return (
            np.asarray(of_gate, gate.dtype, order="C"),
            np.asarray(of_up, gate.dtype, order="C"),
        )


@silu_mul_backward.register_fake
def _fake(grad: Any, gate: Any, up: Any) -> Any:
    _check_dtypes(grad, gate, up)
    for name, array in (("gate", gate), ("up", up)):
        get_ctx().check_same_shape(array.shape, grad.shape, f"{name} must have the shape of grad")
    return grad.new_empty(grad.shape), grad.new_empty(grad.shape)


@silu_mul_backward.register_vmap
def _batched(info: Any, in_dims: Any, *args: Any) -> Any:
    arrays = [with_batch(x, dim, info.batch_size) for x, dim in zip(args, in_dims, strict=True)]
    return silu_mul_backward(*arrays), 0


def _composition(grad: Any, gate: Any, up: Any) -> Any:
    """The same from operators that have gradients."""
    share = 1 / (1 + gpuops.xp.exp(-gate))
    return grad * up * (share * (1 + gate * (1 - share))), grad * (gate * share)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, of_gate: Any, of_up: Any) -> Any:
    # Once more is rare, and worth no kernel.
    _, backward = gpuops.vjp(_composition, *ctx.saved_arrays)
    return backward(of_gate, of_up)


silu_mul_backward.register_autograd(_backward, setup_context=_keep)
silu_mul_backward.register_kernel("cpu", ".cpu:run")
silu_mul_backward.register_kernel("cuda", ".cuda:run")
