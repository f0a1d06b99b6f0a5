"""``silu_mul_backward`` in torch."""

from __future__ import annotations

import torch

__all__ = ["run"]


def run(
    grad: torch.Tensor, gate: torch.Tensor, up: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """As the operator, by what torch's own gradient of ``silu(gate) * up`` calls."""
    of_gate = torch.ops.aten.silu_backward(grad * up, gate)
    return of_gate, grad * torch.nn.functional.silu(gate)
