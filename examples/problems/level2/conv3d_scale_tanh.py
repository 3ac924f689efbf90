"""A convolution in three dimensions, a scale per channel, tanh, sigmoid, a mean over depth."""

import torch
from torch import nn

BATCH = 2
CHANNELS = 4
FILTERS = 12
DEPTH = 10
SIZE = 24


class Model(nn.Module):
    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(channels, filters, 3)
        self.scale = nn.Parameter(torch.randn(filters, 1, 1, 1))
        self.bias = nn.Parameter(torch.randn(filters, 1, 1, 1))

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.convolution(volume) * self.scale)
        return torch.sigmoid(x * self.bias).mean(dim=2)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, DEPTH, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, FILTERS]
