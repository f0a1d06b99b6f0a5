"""Functions of elements: of one array, and of several that are broadcast together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops.registry import Operator
from gpuops.transforms.vmap.axes import aligned
from gpuops.xp.batching._rules import Rule, rule
from gpuops.xp.elementwise import BINARY, UNARY

__all__ = ["of_one", "of_several"]


@rule(
    *UNARY,
    *("asarray", "astype", "copy", "empty_like", "frexp", "full_like", "imag", "modf"),
    *("nan_to_num", "ones_like", "real", "round", "zeros_like"),
)
def of_one(operator: Operator) -> Rule:
    """The batch axis stays where it is."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, *rest: Any, **options: Any) -> Any:
        return call(x, *rest, **options), in_dims[0]

    return batched


@rule(*BINARY, "divmod")
def of_two(operator: Operator) -> Rule:
    """The batch axis stays where it is if the other array's axes are all to the right of it."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x1: Any, x2: Any) -> Any:
        d1, d2 = in_dims
        if d1 == d2:
            if len(x1.shape) == len(x2.shape):
                return call(x1, x2), d1
        elif d2 is None:
            if not hasattr(x2, "shape") or len(x2.shape) < len(x1.shape) - d1:
                return call(x1, x2), d1
        elif d1 is None and (not hasattr(x1, "shape") or len(x1.shape) < len(x2.shape) - d2):
            return call(x1, x2), d2
        x1, x2 = aligned((x1, x2), in_dims)
        return call(x1, x2), 0

    return batched


@rule("clip", "isclose", "where")
def of_several(operator: Operator) -> Rule:
    """Lined up from the right, with the batch axis in front."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], *args: Any, **options: Any) -> Any:
        return call(*aligned(args, in_dims), **options), 0

    return batched
