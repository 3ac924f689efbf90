"""A residual block with a strided convolution and a projected shortcut, then global pooling."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 4
CHANNELS = 24
FILTERS = 48
SIZE = 32


class Model(nn.Module):
    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, filters, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(filters).eval()
        self.second = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(filters).eval()
        self.shortcut = nn.Conv2d(channels, filters, 1, stride=2, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first_norm(self.first(image)))
        x = F.relu(self.second_norm(self.second(x)) + self.shortcut(image))
        return x.mean(dim=(2, 3))


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, FILTERS]
