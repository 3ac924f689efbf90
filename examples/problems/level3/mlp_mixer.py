"""A mixer block: one network over the patches of a channel, one over the channels of a patch."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 8
PATCHES = 64
CHANNELS = 128
TOKEN_HIDDEN = 96
CHANNEL_HIDDEN = 256


class Model(nn.Module):
    def __init__(self, patches: int, channels: int, tokens: int, hidden: int) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(channels)
        self.token_up = nn.Linear(patches, tokens)
        self.token_down = nn.Linear(tokens, patches)
        self.second_norm = nn.LayerNorm(channels)
        self.channel_up = nn.Linear(channels, hidden)
        self.channel_down = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first_norm(x).transpose(1, 2)
        x = x + self.token_down(F.gelu(self.token_up(y))).transpose(1, 2)
        return x + self.channel_down(F.gelu(self.channel_up(self.second_norm(x))))


def get_inputs():
    return [torch.randn(BATCH, PATCHES, CHANNELS)]


def get_init_inputs():
    return [PATCHES, CHANNELS, TOKEN_HIDDEN, CHANNEL_HIDDEN]
