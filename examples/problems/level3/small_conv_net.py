"""A small image classifier: two convolutions, channel normalisation, pooling, a linear head."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 8
SIZE = 32
CHANNELS = 32
CLASSES = 10


class Model(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.norm = nn.GroupNorm(4, channels)
        self.second = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.head = nn.Linear(2 * channels, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.norm(self.first(image)))
        x = F.max_pool2d(x, 2)
        x = F.hardswish(self.second(x))
        return self.head(x.mean(dim=(2, 3)))


def get_inputs():
    return [torch.rand(BATCH, 3, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, CLASSES]
