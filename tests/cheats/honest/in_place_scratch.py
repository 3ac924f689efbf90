"""Works in place on scratch memory that it keeps."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void scale(device float* x, device const float* b, constant float& f, constant uint& n,
                  uint i [[thread_position_in_grid]]) { x[i] = f * x[i] + b[i % n]; }
"""


class ModelNew(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.bias = nn.Parameter(torch.randn(1000))
        self.scratch = None
        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        if self.scratch is None or self.scratch.shape != x.shape:
            self.scratch = torch.empty_like(x)
        self.scratch.copy_(x)
        self.library.scale(self.scratch, self.bias, self.factor, 1000, threads=x.numel())
        return self.scratch.clone()
