"""Max pooling with overlapping, dilated and padded windows."""

import torch
from torch import nn

BATCH = 4
CHANNELS = 32
SIZE = 65
WINDOW = 3


class Model(nn.Module):
    def __init__(self, window: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(window, stride=2, padding=1, dilation=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.pool(image)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [WINDOW]
