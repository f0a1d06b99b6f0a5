"""``softmax`` in torch."""

from __future__ import annotations

import torch

__all__ = ["run"]


def run(x: torch.Tensor, axis: int = -1) -> torch.Tensor:
    """As the operator, by `torch.softmax`."""
    return torch.softmax(x, axis)
