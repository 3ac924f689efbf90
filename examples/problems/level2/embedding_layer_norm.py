"""Token and position embeddings are looked up, added and normalised: a gather and a reduction."""

import torch
from torch import nn

BATCH = 8
TOKENS = 128
WIDTH = 384
VOCABULARY = 5000


class Model(nn.Module):
    def __init__(self, vocabulary: int, tokens: int, width: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(tokens, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        place = torch.arange(text.shape[1], device=text.device)
        return self.norm(self.token(text) + self.position(place))


def get_inputs():
    return [torch.randint(0, VOCABULARY, (BATCH, TOKENS))]


def get_init_inputs():
    return [VOCABULARY, TOKENS, WIDTH]
