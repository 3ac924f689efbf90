"""Euclidean distances between all points of two sets, without a matrix product."""

import torch
from torch import nn

FIRST = 192
SECOND = 256
DIMENSIONS = 16


class Model(nn.Module):
    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        difference = first[:, None, :] - second[None, :, :]
        return difference.square().sum(dim=2).sqrt()


def get_inputs():
    return [torch.randn(FIRST, DIMENSIONS), torch.randn(SECOND, DIMENSIONS)]


def get_init_inputs():
    return []
