"""A running sum from the end of each column to its start: a scan along the strided dimension."""

import torch
from torch import nn

ROWS = 512
COLUMNS = 768


class Model(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flip(torch.cumsum(torch.flip(x, (0,)), dim=0), (0,))


def get_inputs():
    return [torch.randn(ROWS, COLUMNS)]


def get_init_inputs():
    return []
