"""A state-space block: input-dependent decay and input, a linear recurrence along time, a gate."""

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 4
STEPS = 32
WIDTH = 48
STATES = 8


class Model(nn.Module):
    def __init__(self, width: int, states: int) -> None:
        super().__init__()
        self.states = states
        self.project_in = nn.Linear(width, 2 * width)
        self.select = nn.Linear(width, 2 * states + width)
        self.decay = nn.Parameter(torch.log(torch.arange(1.0, states + 1)).repeat(width, 1))
        self.skip = nn.Parameter(torch.ones(width))
        self.project_out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, gate = self.project_in(x).chunk(2, dim=-1)
        value = F.silu(value)
        selected = self.select(value)
        inward, outward = selected[..., : self.states], selected[..., self.states : 2 * self.states]
        step = F.softplus(selected[..., 2 * self.states :])
        kept = torch.exp(-step[..., None] * torch.exp(self.decay))
        added = (step * value)[..., None] * inward[:, :, None, :]
        state = torch.zeros_like(added[:, 0])
        outputs = []
        for time in range(x.shape[1]):
            state = kept[:, time] * state + added[:, time]
            outputs.append((state * outward[:, time, None, :]).sum(dim=-1))
        y = torch.stack(outputs, dim=1) + self.skip * value
        return self.project_out(y * F.silu(gate))


def get_inputs():
    return [torch.randn(BATCH, STEPS, WIDTH)]


def get_init_inputs():
    return [WIDTH, STATES]
