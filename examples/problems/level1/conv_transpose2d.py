"""A transposed convolution that doubles an image's size, with padding of its output."""

import torch
from torch import nn

BATCH = 4
CHANNELS = 32
FILTERS = 16
SIZE = 28


class Model(nn.Module):
    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(
            channels, filters, 3, stride=2, padding=1, output_padding=1
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.convolution(image)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, FILTERS]
