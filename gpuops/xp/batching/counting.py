"""Functions of an element as a whole: once per element.

NumPy computes them for one array at a time. Where the shape of a result differs from element to
element, there is no batch of them, and the loop says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops.registry import Operator
from gpuops.transforms.vmap.axes import front
from gpuops.transforms.vmap.loop import loop
from gpuops.xp.batching._rules import Rule, flat, moved_axis, rule

__all__ = ["looked_up", "repeat_each", "searchsorted"]

rule(
    *("choose", "select"),
    *("bincount", "convolve", "correlate", "diag_of", "histogram", "nonzero"),
    *("unique_all", "unique_counts", "unique_inverse", "unique_values"),
)(loop)


@rule("searchsorted")
def searchsorted(operator: Operator) -> Rule:
    """For one sorted array and a batch to look up, all at once."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x1: Any, x2: Any, side: str, sorter: Any) -> Any:
        if in_dims[0] is None and in_dims[3] is None:
            return call(x1, x2, side, sorter), in_dims[1]
        return one_by_one(info, in_dims, x1, x2, side, sorter)

    return batched


@rule("digitize", "interp", "isin")
def looked_up(operator: Operator) -> Rule:
    """In one table, all at once."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, *rest: Any, **options: Any) -> Any:
        if all(dim is None for dim in in_dims[1:]):
            return call(x, *rest, **options), in_dims[0]
        return one_by_one(info, in_dims, x, *rest, **options)

    return batched


@rule("repeat_each")
def repeat_each(operator: Operator) -> Rule:
    """With the same numbers of repetitions for all elements, all at once."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, repeats: Any, axis: int | None) -> Any:
        if in_dims[1] is not None:
            return one_by_one(info, in_dims, x, repeats, axis)
        if axis is None:
            return call(flat(x, in_dims[0]), repeats, 1), 0
        return call(front(x, in_dims[0]), repeats, moved_axis(x, axis, 0)), 0

    return batched
