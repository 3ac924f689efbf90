"""A matrix product none of whose sizes is a multiple of a tile."""

import torch
from torch import nn

M = 317
K = 259
N = 191


class Model(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b


def get_inputs():
    return [torch.randn(M, K), torch.randn(K, N)]


def get_init_inputs():
    return []
