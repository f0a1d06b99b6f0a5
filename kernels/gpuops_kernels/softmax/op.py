"""Declaration and reference of ``gpuops_kernels::softmax``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops import Array, custom_op
from gpuops_kernels._batching import element, front
from gpuops_kernels.softmax_backward.op import softmax_backward

__all__ = ["check", "softmax"]

# As dtypes and not as classes, which every comparison would have to make a dtype of.
_DTYPES = tuple(map(np.dtype, ("float16", "float32", "float64")))


def check(x: Any, axis: int) -> int:
    """Refuse what no kernel computes; the axis, counted from the front.

    Raises:
        TypeError: a dtype other than float16, float32 or float64.
        ValueError: `x` has no such axis.
    """
    if x.dtype not in _DTYPES:
        raise TypeError(f"softmax: x must be float16, float32 or float64, got {x.dtype}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"softmax: x has {x.ndim} axes, so there is no axis {axis}")
    return axis % x.ndim


@custom_op("gpuops_kernels::softmax", mutates_args=())
def softmax(x: Array, axis: int = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along an axis, computed as ``exp(x - max(x))``.

    Taking the maximum off changes nothing but keeps exp from overflowing (M. Milakov,
    N. Gimelshein: Online normalizer calculation for softmax, 2018, section 2).

    Args:
        x: float16, float32 or float64, any shape but 0-d, any layout.
        axis: from -x.ndim to x.ndim - 1.

    Returns:
        A C-contiguous array like `x`, sums along the axis 1. Where a slice has nan or +inf, or is
        -inf throughout, its result has nan. float16 is computed in float32.

    Raises:
        TypeError, ValueError: see `check`.

    >>> import numpy as np
    >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    axis = check(x, axis)
    wide = np.promote_types(x.dtype, np.float32)
    values = x.astype(wide)
    highest = values.max(axis=axis, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore", under="ignore"):
        raised = np.exp(values - highest)
        out = raised / raised.sum(axis=axis, keepdims=True)
    return np.asarray(out, x.dtype, order="C")


@softmax.register_fake
def _fake(x: Any, axis: int) -> Any:
    check(x, axis)
    return x.new_empty(x.shape)


@softmax.register_vmap
def _batched(info: Any, in_dims: Any, x: Any, axis: int) -> Any:
    axis = check(element(x, in_dims[0]), axis)
    return softmax(front(x, in_dims[0]), axis + 1), 0


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(output)
    ctx.axis = inputs[1]


def _backward(ctx: Any, grad: Any) -> Any:
    (out,) = ctx.saved_arrays
    return softmax_backward(grad, out, ctx.axis), None


softmax.register_autograd(_backward, setup_context=_keep)
softmax.register_kernel("cpu", ".cpu:run")
softmax.register_kernel("cuda", ".cuda:run")
