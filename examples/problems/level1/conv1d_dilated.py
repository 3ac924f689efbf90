"""A causal convolution in one dimension with dilation, as sound models stack them."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 4
CHANNELS = 32
LENGTH = 2048
WIDTH = 3
DILATION = 4


class Model(nn.Module):
    def __init__(self, channels: int, width: int, dilation: int) -> None:
        super().__init__()
        self.padding = (width - 1) * dilation
        self.convolution = nn.Conv1d(channels, channels, width, dilation=dilation)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return self.convolution(F.pad(signal, (self.padding, 0)))


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, LENGTH)]


def get_init_inputs():
    return [CHANNELS, WIDTH, DILATION]
