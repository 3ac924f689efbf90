"""The gate of a SwiGLU block with bias, clamp and residual: one long elementwise chain."""

import torch
from torch import nn

TOKENS = 512
WIDTH = 2048
LIMIT = 7.0


class Model(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate_bias = nn.Parameter(0.1 * torch.randn(width))
        self.value_bias = nn.Parameter(0.1 * torch.randn(width))

    def forward(
        self, gate: torch.Tensor, value: torch.Tensor, residual: torch.Tensor
    ) -> torch.Tensor:
        gate = torch.clamp(gate + self.gate_bias, max=LIMIT)
        value = torch.clamp(value + self.value_bias, -LIMIT, LIMIT)
        return residual + gate * torch.sigmoid(1.702 * gate) * (value + 1)


def get_inputs():
    return [torch.randn(TOKENS, WIDTH) for _ in range(3)]


def get_init_inputs():
    return [WIDTH]
