"""A linear layer, group normalisation of its features, leaky ReLU and a doubling."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 128
FEATURES = 512
HIDDEN = 768
GROUPS = 24


class Model(nn.Module):
    def __init__(self, features: int, hidden: int, groups: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, hidden)
        self.norm = nn.GroupNorm(groups, hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.leaky_relu(self.norm(self.linear(x)), 0.01)
        return x + x


def get_inputs():
    return [torch.randn(BATCH, FEATURES)]


def get_init_inputs():
    return [FEATURES, HIDDEN, GROUPS]
