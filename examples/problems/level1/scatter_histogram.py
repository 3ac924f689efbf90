"""A weighted histogram: many elements are added to few places, so writers meet."""

import torch
from torch import nn

ELEMENTS = 65536
BINS = 512


class Model(nn.Module):
    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, places: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        empty = torch.zeros(self.bins, dtype=weights.dtype, device=weights.device)
        return empty.scatter_add(0, places, weights)


def get_inputs():
    return [torch.randint(0, BINS, (ELEMENTS,)), torch.rand(ELEMENTS)]


def get_init_inputs():
    return [BINS]
