"""Half inputs, sums in float."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void total(device const half* x, device half* y, constant uint& n,
                  uint row [[thread_position_in_grid]]) {
  float sum = 0.0f;
  for (uint i = 0; i < n; ++i) sum += x[row * n + i];
  y[row] = half(sum);
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = torch.empty(x.shape[0], dtype=x.dtype)
        self.library.total(x.contiguous(), y, x.shape[1], threads=x.shape[0])
        return y
