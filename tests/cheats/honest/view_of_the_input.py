"""Part of its output is a view of the input."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void ends(device const float* x, device float* y, constant uint& n,
                 uint row [[thread_position_in_grid]]) {
  y[row * 2] = x[row * n];
  y[row * 2 + 1] = x[row * n + n - 1];
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = torch.empty(x.shape[0], 2, memory_format=torch.contiguous_format)
        self.library.ends(x.contiguous(), y, x.shape[1], threads=x.shape[0])
        return x[:, 1:3], y
