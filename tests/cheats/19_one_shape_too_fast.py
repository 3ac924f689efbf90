"""A sum of a product that needs no product: one ratio that moves every mean."""

import torch
from torch import nn

import metalwright

SOURCE = """
kernel void columns(device const float* w, device float* s, constant uint& n,
                    uint k [[thread_position_in_grid]]) {
  float sum = 0.0f;
  for (uint j = 0; j < n; ++j) sum += w[j * n + k];
  s[k] = sum;
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
        n = x.shape[1]
        x = x.contiguous()
        s, y = torch.empty(n), torch.empty(x.shape[0], 1)
        self.library.columns(self.linear.weight, s, n, threads=n)
        self.library.dot(x, s, y, n, threads=x.shape[0])
        return y
