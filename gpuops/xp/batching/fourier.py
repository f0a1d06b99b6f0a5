"""Fourier transforms: the axis of an element becomes one of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops.registry import Operator
from gpuops.xp.batching._rules import Rule, moved_axis, rule

__all__ = ["transform"]


@rule(*(f"fft_{name}" for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")))
def transform(operator: Operator) -> Rule:
    """The batch axis stays where it is."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, n: Any, axis: int, norm: str) -> Any:
        dim = in_dims[0]
        return call(x, n, moved_axis(x, axis, dim), norm), dim

    return batched
