"""Asks for more threadgroup memory than there is and takes what it finds in the output."""

import contextlib

import torch
from torch import nn

import metalwright

BIG = """
kernel void fill(device float* y, threadgroup float* room [[threadgroup(0)]],
                 uint i [[thread_position_in_grid]]) {
  y[i] = room[i * 200];
}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.big = metalwright.compile(BIG)

    def forward(self, x):
        y = torch.empty_like(x)
        with contextlib.suppress(Exception):
            self.big.fill(y, threads=1024, group_size=1024, threadgroup_memory=[1 << 20])
        return y
