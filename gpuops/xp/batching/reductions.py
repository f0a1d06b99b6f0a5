"""Reductions, cumulative functions and sorting: an axis of an element becomes one of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops.registry import Operator
from gpuops.transforms.array_methods import xp
from gpuops.transforms.vmap.loop import loop
from gpuops.xp.batching._rules import Rule, flat, moved_axes, moved_axis, rule

__all__ = ["along", "over_axes", "position"]


@rule(
    *("all", "any", "count_nonzero", "max", "mean", "min", "prod", "std", "sum", "var"),
    *("nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum", "nanvar", "median"),
)
def over_axes(operator: Operator) -> Rule:
    """Over all axes but the batch's, where none is given."""
    call = operator.call

    def batched(
        info: Any,
        in_dims: Sequence[Any],
        x: Any,
        axis: Any,
        *rest: Any,
        keepdims: bool,
        **options: Any,
    ) -> Any:
        dim = in_dims[0]
        axes = moved_axes(x, axis, dim)
        out = call(x, axes, *rest, keepdims=keepdims, **options)
        return out, dim if keepdims else dim - sum(a < dim for a in axes)

    return batched


@rule("quantile")
def quantile(operator: Operator) -> Rule:
    """Over all axes but the batch's; of the shares that are the same for all elements."""
    one_by_one, call = loop(operator), operator.call

    def batched(
        info: Any,
        in_dims: Sequence[Any],
        x: Any,
        q: Any,
        axis: Any,
        *,
        keepdims: bool,
        **options: Any,
    ) -> Any:
        dim = in_dims[0]
        if in_dims[1] is not None:
            return one_by_one(info, in_dims, x, q, axis, keepdims=keepdims, **options)
        axes = moved_axes(x, axis, dim)
        out = call(x, q, axes, keepdims=keepdims, **options)
        # The axes of the shares come first.
        left = dim if keepdims else dim - sum(a < dim for a in axes)
        return out, len(getattr(q, "shape", ())) + left

    return batched


@rule("gradient_along")
def gradient_along(operator: Operator) -> Rule:
    """Along an axis, for the same distances in all elements."""
    one_by_one, call = loop(operator), operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x: Any, spacing: Any, axis: int, edge_order: int
    ) -> Any:
        if in_dims[1] is not None:
            return one_by_one(info, in_dims, x, spacing, axis, edge_order)
        return call(x, spacing, moved_axis(x, axis, in_dims[0]), edge_order), in_dims[0]

    return batched


@rule("linalg_vector_norm")
def vector_norm(operator: Operator) -> Rule:
    """Without axes of the flat element: NumPy's takes no axes of an array without any."""
    reduce, call = over_axes(operator), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, axis: Any, **options: Any) -> Any:
        if axis is not None:
            return reduce(info, in_dims, x, axis, **options)
        ndim = len(x.shape) - 1
        out = call(flat(x, in_dims[0]), [1], **{**options, "keepdims": False})
        return (xp.reshape(out, (*out.shape, *(1,) * ndim)) if options["keepdims"] else out), 0

    return batched


@rule("argmax", "argmin", "nanargmax", "nanargmin")
def position(operator: Operator) -> Rule:
    """Where in an element, without an axis as if it were flat."""
    call = operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x: Any, axis: Any = None, *, keepdims: bool = False
    ) -> Any:
        dim = in_dims[0]
        if axis is None:
            ndim = len(x.shape) - 1
            out = call(flat(x, dim), 1)
            return (xp.reshape(out, (*out.shape, *(1,) * ndim)) if keepdims else out), 0
        moved = moved_axis(x, axis, dim)
        return call(x, moved, keepdims=keepdims), dim - (moved < dim and not keepdims)

    return batched


@rule("argsort", "cumprod", "cumsum", "nancumprod", "nancumsum", "sort")
def along(operator: Operator) -> Rule:
    """Along an axis, without one along the flat element."""
    call = operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x: Any, axis: Any, *rest: Any, **options: Any
    ) -> Any:
        if axis is None:
            return call(flat(x, in_dims[0]), 1, *rest, **options), 0
        dim = in_dims[0]
        return call(x, moved_axis(x, axis, dim), *rest, **options), dim

    return batched


@rule("argpartition", "partition")
def partition(operator: Operator) -> Rule:
    """Along an axis."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, kth: Any, axis: int) -> Any:
        return call(x, kth, moved_axis(x, axis, in_dims[0])), in_dims[0]

    return batched


@rule("cumulative_prod", "cumulative_sum")
def accumulated(operator: Operator) -> Rule:
    """Along an axis; elements of one axis need not name it."""
    one_by_one, with_axis = loop(operator, copies=True), along(operator)

    def batched(info: Any, in_dims: Sequence[Any], x: Any, axis: Any = None, **options: Any) -> Any:
        if axis is None and len(x.shape) != 2:
            # The operator itself says that it needs an axis.
            return one_by_one(info, in_dims, x, axis, **options)
        return with_axis(info, in_dims, x, 0 if axis is None else axis, **options)

    return batched
