"""Two graph convolutions over a list of edges: gather, scatter, division by the degree, ReLU."""

import torch
from torch import nn

NODES = 512
EDGES = 4096
FEATURES = 32
HIDDEN = 64
CLASSES = 8


class Model(nn.Module):
    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, classes)

    def spread(self, x: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        degree = torch.ones_like(x[:, 0]).index_add(
            0, target, torch.ones_like(target, dtype=x.dtype)
        )
        return (x + torch.zeros_like(x).index_add(0, target, x[source])) / degree[:, None]

    def forward(self, x: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.spread(self.first(x), source, target))
        return self.spread(self.second(x), source, target)


def get_inputs():
    ends = [torch.randint(0, NODES, (EDGES,)) for _ in range(2)]
    return [torch.randn(NODES, FEATURES), *ends]


def get_init_inputs():
    return [FEATURES, HIDDEN, CLASSES]
