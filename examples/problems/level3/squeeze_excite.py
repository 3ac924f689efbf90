"""An inverted bottleneck: expansion, depthwise convolution, squeeze and excitation, projection."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 4
CHANNELS = 16
EXPANDED = 64
SQUEEZED = 8
SIZE = 28


class Model(nn.Module):
    def __init__(self, channels: int, expanded: int, squeezed: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, expanded, 1)
        self.depthwise = nn.Conv2d(expanded, expanded, 3, padding=1, groups=expanded)
        self.squeeze = nn.Linear(expanded, squeezed)
        self.excite = nn.Linear(squeezed, expanded)
        self.project = nn.Conv2d(expanded, channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.hardswish(self.depthwise(F.hardswish(self.expand(image))))
        weight = F.hardsigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return image + self.project(x * weight[:, :, None, None])


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, EXPANDED, SQUEEZED]
