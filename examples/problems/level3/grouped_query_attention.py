"""Attention in which several query heads share one key and value head, over a sliding window."""

import math

import torch
from torch import nn

BATCH = 2
TOKENS = 128
WIDTH = 128
QUERY_HEADS = 8
KEY_HEADS = 2
WINDOW = 32


class Model(nn.Module):
    def __init__(self, width: int, query_heads: int, key_heads: int, window: int) -> None:
        super().__init__()
        self.query_heads, self.key_heads, self.window = query_heads, key_heads, window
        self.size = width // query_heads
        self.query = nn.Linear(width, query_heads * self.size)
        self.key_value = nn.Linear(width, 2 * key_heads * self.size)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        groups = self.query_heads // self.key_heads
        query = self.query(x).view(batch, tokens, self.key_heads, groups, self.size)
        pair = self.key_value(x).view(batch, tokens, 2, self.key_heads, self.size)
        query = query.permute(0, 2, 3, 1, 4)
        key, value = pair.permute(2, 0, 3, 1, 4)
        scores = query @ key[:, :, None].transpose(-2, -1) / math.sqrt(self.size)
        place = torch.arange(tokens, device=x.device)
        distance = place[:, None] - place[None, :]
        scores = scores.masked_fill((distance < 0) | (distance >= self.window), float("-inf"))
        mixed = torch.softmax(scores, dim=-1) @ value[:, :, None]
        return self.out(mixed.permute(0, 3, 1, 2, 4).reshape(batch, tokens, width))


def get_inputs():
    return [torch.randn(BATCH, TOKENS, WIDTH)]


def get_init_inputs():
    return [WIDTH, QUERY_HEADS, KEY_HEADS, WINDOW]
