"""A plain recurrent network: one tanh cell stepped along a sequence, a head on its last state."""

import torch
from torch import nn

BATCH = 32
STEPS = 16
FEATURES = 48
HIDDEN = 96


class Model(nn.Module):
    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.cell = nn.Linear(features + hidden, hidden)
        self.head = nn.Linear(hidden, features)

    def forward(self, sequence: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        for step in range(sequence.shape[1]):
            state = torch.tanh(self.cell(torch.cat((sequence[:, step], state), dim=1)))
        return self.head(state)


def get_inputs():
    return [torch.randn(BATCH, STEPS, FEATURES), torch.zeros(BATCH, HIDDEN)]


def get_init_inputs():
    return [FEATURES, HIDDEN]
