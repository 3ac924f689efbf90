"""Changes its input, as its reference does."""

from torch import nn

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void twice(device float* x, uint i [[thread_position_in_grid]]) { x[i] = 2.0f * x[i]; }
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        self.library.twice(x, threads=x.numel())
        return x
