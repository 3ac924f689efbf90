"""A depthwise convolution: one small filter per channel, no sum over channels."""

import torch
from torch import nn

BATCH = 4
CHANNELS = 64
SIZE = 56
WIDTH = 5


class Model(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, width, padding=width // 2, groups=channels)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.convolution(image)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, WIDTH]
