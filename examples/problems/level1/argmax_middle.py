"""Greatest value and its place along the middle dimension: two outputs, one of them integers."""

import torch
from torch import nn

BATCH = 16
CHANNELS = 96
PIXELS = 1000


class Model(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, places = torch.max(x, dim=1)
        return values, places


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, PIXELS)]


def get_init_inputs():
    return []
