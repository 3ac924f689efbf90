"""Instance normalisation: each channel of each image by its own mean and variance."""

import torch
from torch import nn

BATCH = 8
CHANNELS = 32
SIZE = 48


class Model(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels, affine=True)
        nn.init.normal_(self.norm.weight, 1.0, 0.1)
        nn.init.normal_(self.norm.bias, 0.0, 0.1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.norm(image)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS]
