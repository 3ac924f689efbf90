"""A KernelBench solution as such files are: no more than ModelNew and its functions."""

import torch
import torch.nn as nn

import metalwright

source = """
#include <metal_stdlib>
using namespace metal;
kernel void relu2(device const float* x, device float* y, uint i [[thread_position_in_grid]]) {
  y[i] = 2.0f * max(x[i], 0.0f);
}
"""
library = metalwright.compile(source)


def relu2(x: torch.Tensor) -> torch.Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    library.relu2(x, y, threads=x.numel())
    return y


class ModelNew(nn.Module):
    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return relu2(x)


batch_size = 8


def get_inputs():
    return [torch.rand(batch_size, 200)]


def get_init_inputs():
    return []
