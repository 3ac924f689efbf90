"""A convolution, batch normalisation with stored statistics, ReLU, max pooling."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 4
CHANNELS = 16
FILTERS = 32
SIZE = 48


class Model(nn.Module):
    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(filters).eval()
        nn.init.normal_(self.norm.running_mean, 0.0, 0.2)
        nn.init.uniform_(self.norm.running_var, 0.5, 1.5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(F.relu(self.norm(self.convolution(image))), 2)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, FILTERS]
