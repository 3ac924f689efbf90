"""A sum with atomics: its rounding varies."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void columns(device const float* w, device atomic_float* s, constant uint& n,
                    uint2 i [[thread_position_in_grid]]) {
  float sum = 0.0f;
  for (uint j = i.y; j < n; j += 8) sum += w[j * n + i.x];
  atomic_fetch_add_explicit(&s[i.x], sum, memory_order_relaxed);
}
kernel void dot(device const float* x, device const float* s, device float* y, constant uint& n,
                uint i [[thread_position_in_grid]]) {
  float sum = 0.0f;
  for (uint k = 0; k < n; ++k) sum += x[i * n + k] * s[k];
  y[i] = sum;
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(768, 768, bias=False)
        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        x = x.contiguous()
        n = x.shape[1]
        s, y = torch.zeros(n), torch.empty(x.shape[0], 1)
        self.library.columns(self.linear.weight, s, n, threads=(n, 8))
        self.library.dot(x, s, y, n, threads=x.shape[0])
        return y
