"""Integers in, integers out."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void mix(device const long* x, device long* y, uint i [[thread_position_in_grid]]) {
  y[i] = x[i] * 3 + 1;
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        self.library.mix(x.contiguous(), y, threads=x.numel())
        return y
