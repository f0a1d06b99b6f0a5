"""Declaration and reference of ``gpuops_kernels::nonzero``."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpuops
from gpuops import Array, custom_op, get_ctx
from gpuops_kernels._batching import each, element

__all__ = ["check", "nonzero"]


def check(x: Any) -> None:
    """Refuse what no kernel computes.

    Raises:
        TypeError: `x` holds neither bools nor numbers.
        ValueError: `x` has no axes.
    """
    if x.dtype.kind not in "biufc":
        raise TypeError(f"nonzero: x must hold bools or numbers, got {x.dtype}")
    if x.ndim == 0:
        raise ValueError("nonzero: x must have at least one axis, got a 0-d array")


@custom_op("gpuops_kernels::nonzero", mutates_args=())
def nonzero(x: Array) -> Array:
    """The indices of the elements that are not zero, in row-major order.

    How many there are depends on the data: a "cuda" kernel has to wait for the device to learn it.

    Args:
        x: bools or numbers, at least one axis, any layout. nan is not zero.

    Returns:
        int64, shape (count, x.ndim), one row per element: ``numpy.argwhere(x)``.

    Raises:
        TypeError, ValueError: see `check`.

    >>> import numpy as np
    >>> nonzero(np.array([[0, 7], [8, 9]]))
    array([[0, 1],
           [1, 0],
           [1, 1]])
    """
    check(x)
    return np.asarray(np.stack(np.nonzero(x), axis=1), np.int64, order="C")


@nonzero.register_fake
def _fake(x: Any) -> Any:
    check(x)
    size = x.size
    if isinstance(size, int):
        count = get_ctx().new_dynamic_size(max=size)
    else:
        count = get_ctx().new_dynamic_size()
        get_ctx().check(count <= size, "more elements are nonzero than there are")
    return x.new_empty((count, x.ndim), np.int64)


@nonzero.register_vmap
def _batched(info: Any, in_dims: Any, x: Any) -> Any:
    one = element(x, in_dims[0])
    check(one)
    found = each(nonzero, info, in_dims, x)
    if not found:
        device = gpuops.device_of(x) or x.device
        return gpuops.xp.zeros((0, 0, one.ndim), dtype=np.int64, device=device), 0
    counts = {indices.shape[0] for indices in found}
    if len(counts) > 1:
        raise ValueError(
            "nonzero: the elements of a batch must have as many nonzeros each, got "
            f"{', '.join(map(str, sorted(counts)))}"
        )
    return gpuops.xp.stack(found), 0


nonzero.register_no_gradient("the indices are integers, constant almost everywhere")
nonzero.register_kernel("cpu", ".cpu:run")
nonzero.register_kernel("cuda", ".cuda:run")
