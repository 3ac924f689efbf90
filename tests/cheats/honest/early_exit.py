"""Returns at once for what is negative."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void relu(device const float* x, device float* y, constant uint& n,
                 uint i [[thread_position_in_grid]]) {
  if (i >= n || x[i] <= 0.0f) return;
  y[i] = 2.0f * x[i];
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = torch.zeros_like(x, memory_format=torch.contiguous_format)
        self.library.relu(x.contiguous(), y, x.numel(), threads=x.numel() + 37)
        return y
