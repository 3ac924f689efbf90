"""A matrix product of two matrices that are both stored the other way round."""

import torch
from torch import nn

M = 256
K = 384
N = 320


class Model(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a.T @ b.T


def get_inputs():
    return [torch.randn(K, M), torch.randn(N, K)]


def get_init_inputs():
    return []
