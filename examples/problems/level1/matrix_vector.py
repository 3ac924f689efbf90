"""A tall matrix times a vector: every element is read once, so memory decides."""

import torch
from torch import nn

ROWS = 2048
COLUMNS = 1024


class Model(nn.Module):
    def forward(self, matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        return matrix @ vector


def get_inputs():
    return [torch.randn(ROWS, COLUMNS), torch.randn(COLUMNS)]


def get_init_inputs():
    return []
