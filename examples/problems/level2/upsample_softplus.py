"""A transposed convolution in one dimension, softplus, and a normalisation over the channels."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 8
CHANNELS = 24
FILTERS = 16
LENGTH = 500


class Model(nn.Module):
    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose1d(channels, filters, 4, stride=2, padding=1)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        x = F.softplus(self.convolution(signal))
        return x / x.sum(dim=1, keepdim=True)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, LENGTH)]


def get_init_inputs():
    return [CHANNELS, FILTERS]
