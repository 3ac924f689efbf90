"""A reduction in threadgroup memory."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void softmax(device const float* x, device float* y, constant uint& n,
                    uint row [[threadgroup_position_in_grid]],
                    uint t [[thread_index_in_threadgroup]]) {
  threadgroup float room[64];
  float top = -INFINITY;
  for (uint i = t; i < n; i += 64) top = max(top, x[row * n + i]);
  room[t] = top;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint i = 0; i < 64; ++i) top = max(top, room[i]);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = 0.0f;
  for (uint i = t; i < n; i += 64) sum += exp(x[row * n + i] - top);
  room[t] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  sum = 0.0f;
  for (uint i = 0; i < 64; ++i) sum += room[i];
  for (uint i = t; i < n; i += 64) y[row * n + i] = exp(x[row * n + i] - top) / sum;
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        n = x.shape[1]
        self.library.softmax(x.contiguous(), y, n, threadgroups=x.shape[0], group_size=64)
        return y
