"""Causal self-attention with its four projections, the softmax written out."""

import math

import torch
from torch import nn

BATCH = 2
TOKENS = 128
WIDTH = 128
HEADS = 4


class Model(nn.Module):
    def __init__(self, width: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        self.register_buffer("future", torch.ones(tokens, tokens, dtype=torch.bool).triu(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        split = self.project_in(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / math.sqrt(width // self.heads)
        scores = scores.masked_fill(self.future[:tokens, :tokens], float("-inf"))
        mixed = torch.softmax(scores, dim=-1) @ value
        return self.project_out(mixed.transpose(1, 2).reshape(batch, tokens, width))


def get_inputs():
    return [torch.randn(BATCH, TOKENS, WIDTH)]


def get_init_inputs():
    return [WIDTH, HEADS, TOKENS]
