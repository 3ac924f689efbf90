"""As torch: NaN stays NaN."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void relu(device const float* x, device float* y, uint i [[thread_position_in_grid]]) {
  y[i] = x[i] < 0.0f ? 0.0f : 2.0f * x[i];
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        self.library.relu(x.contiguous(), y, threads=x.numel())
        return y
