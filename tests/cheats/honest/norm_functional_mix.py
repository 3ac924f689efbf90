"""The statistics are the kernel's, the affine part is torch's."""

import torch
from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void norm(device const float* x, device const float* w, device const float* b,
                 device float* y, uint row [[threadgroup_position_in_grid]],
                 uint lane [[thread_index_in_simdgroup]]) {
  float a = x[row * 64 + lane], c = x[row * 64 + lane + 32];
  float mean = simd_sum(a + c) / 64.0f;
  float d = a - mean, e = c - mean;
  float scale = 1.0f / sqrt(simd_sum(d * d + e * e) / 64.0f + 1e-5f);
  y[row * 64 + lane] = d * scale * w[lane] + b[lane];
  y[row * 64 + lane + 32] = e * scale * w[lane + 32] + b[lane + 32];
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.register_buffer("one", torch.ones(64), persistent=False)
        self.register_buffer("zero", torch.zeros(64), persistent=False)
        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        self.library.norm(
            x.contiguous(), self.one, self.zero, y, threadgroups=x.shape[0], group_size=32
        )
        return y * self.norm.weight + self.norm.bias
