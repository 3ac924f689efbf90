"""A two-level U-shaped network: down by pooling, up by a transposed convolution, both joined."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 2
CHANNELS = 3
FILTERS = 16
SIZE = 32


class Model(nn.Module):
    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, filters, 3, padding=1)
        self.below = nn.Conv2d(filters, 2 * filters, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * filters, filters, 2, stride=2)
        self.join = nn.Conv2d(2 * filters, filters, 3, padding=1)
        self.leave = nn.Conv2d(filters, channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        top = F.relu(self.enter(image))
        below = F.relu(self.below(F.max_pool2d(top, 2)))
        joined = torch.cat((top, self.up(below)), dim=1)
        return image + self.leave(F.relu(self.join(joined)))


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, FILTERS]
