"""``nonzero`` in torch."""

from __future__ import annotations

import torch

__all__ = ["run"]


def run(x: torch.Tensor) -> torch.Tensor:
    """As the operator, by `torch.nonzero`."""
    return torch.nonzero(x)
