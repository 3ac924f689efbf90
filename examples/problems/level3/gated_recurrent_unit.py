"""A gated recurrent unit written out, two gates and a candidate state, along a sequence."""

import torch
from torch import nn

BATCH = 16
STEPS = 12
FEATURES = 64
HIDDEN = 64


class Model(nn.Module):
    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(features, 3 * hidden)
        self.state = nn.Linear(hidden, 3 * hidden)
        self.hidden = hidden

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        state = sequence.new_zeros(sequence.shape[0], self.hidden)
        outputs = []
        for part in self.input(sequence).unbind(dim=1):
            reset_in, keep_in, new_in = part.chunk(3, dim=1)
            reset_state, keep_state, new_state = self.state(state).chunk(3, dim=1)
            keep = torch.sigmoid(keep_in + keep_state)
            new = torch.tanh(new_in + torch.sigmoid(reset_in + reset_state) * new_state)
            state = (1 - keep) * new + keep * state
            outputs.append(state)
        return torch.stack(outputs, dim=1)


def get_inputs():
    return [torch.randn(BATCH, STEPS, FEATURES)]


def get_init_inputs():
    return [FEATURES, HIDDEN]
