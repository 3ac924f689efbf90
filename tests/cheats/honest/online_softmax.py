"""One pass for maximum and sum."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void softmax(device const float* x, device float* y, constant uint& n,
                    uint row [[thread_position_in_grid]]) {
  float top = -INFINITY, sum = 0.0f;
  for (uint i = 0; i < n; ++i) {
    float value = x[row * n + i], next = max(top, value);
    sum = sum * exp(top - next) + exp(value - next);
    top = next;
  }
  for (uint i = 0; i < n; ++i) y[row * n + i] = exp(x[row * n + i] - top) / sum;
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        self.library.softmax(x.contiguous(), y, x.shape[1], threads=x.shape[0])
        return y
