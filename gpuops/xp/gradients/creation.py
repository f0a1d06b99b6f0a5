"""Arrays like others, conversions, copies."""

from __future__ import annotations

from typing import Any

from gpuops import xp
from gpuops.xp.gradients._rules import gradients

__all__: list[str] = []

for _name in ("empty_like", "zeros_like", "ones_like", "full_like"):
    # No gradient goes through them. A rule there is all the same: so they are arrays that belong to
    # the differentiation, and what is written to them keeps its gradient.
    gradients(_name, x=lambda g: None)

# Gradients are cast to the dtype of what they are the gradient of.
gradients("astype", x=lambda g: g)
gradients("asarray", x=lambda g: g)
gradients("copy", x=lambda g: g)
gradients("tril", x=lambda g, k: xp.tril(g, k))
gradients("triu", x=lambda g, k: xp.triu(g, k))


def _meshgrid(g: Any, arrays_shapes: Any, indexing: str) -> Any:
    found: list[Any] = []
    number = len(arrays_shapes)
    for index, (gradient, shape) in enumerate(zip(g, arrays_shapes, strict=True)):
        if gradient is None:
            found.append(None)
            continue
        axis = 1 - index if indexing == "xy" and index < 2 and number > 1 else index
        others = tuple(other for other in range(number) if other != axis)
        found.append(xp.reshape(xp.sum(gradient, axis=others), shape))
    return found


gradients("meshgrid", arrays=_meshgrid)
