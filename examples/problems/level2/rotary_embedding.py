"""Rotary position embedding of queries and keys: halves are turned by angles that are computed."""

import torch
from torch import nn

BATCH = 2
HEADS = 8
TOKENS = 256
WIDTH = 64
BASE = 10000.0


class Model(nn.Module):
    def __init__(self, width: int, base: float) -> None:
        super().__init__()
        self.register_buffer("speed", base ** (-torch.arange(0, width, 2) / width))

    def turn(self, x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, dim=-1)
        cosine, sine = angle.cos(), angle.sin()
        return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)

    def forward(self, query: torch.Tensor, key: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        position = torch.arange(query.shape[-2], device=query.device, dtype=query.dtype)
        angle = position[:, None] * self.speed
        return self.turn(query, angle), self.turn(key, angle)


def get_inputs():
    return [torch.randn(BATCH, HEADS, TOKENS, WIDTH) for _ in range(2)]


def get_init_inputs():
    return [WIDTH, BASE]
