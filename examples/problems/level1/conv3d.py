"""A convolution in three dimensions with an uneven window and stride."""

import torch
from torch import nn

BATCH = 2
CHANNELS = 8
FILTERS = 16
DEPTH = 12
SIZE = 24


class Model(nn.Module):
    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(
            channels, filters, (3, 5, 3), stride=(1, 2, 1), padding=(1, 2, 0)
        )

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        return self.convolution(volume)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, DEPTH, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, FILTERS]
