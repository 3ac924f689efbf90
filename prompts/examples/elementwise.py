import metalwright
import torch
from torch import nn

SOURCE = """
#include <metal_stdlib>
using namespace metal;

kernel void scaled_relu(device float* out [[buffer(0)]],
                        device const float* x [[buffer(1)]],
                        constant float& scale [[buffer(2)]],
                        uint i [[thread_position_in_grid]]) {
  out[i] = scale * max(x[i], 0.0f);
}
"""


class ModelNew(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.library = metalwright.compile(SOURCE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous()
        out = torch.empty_like(x)
        self.library.scaled_relu(out, x, self.scale, threads=x.numel(), group_size=256)
        return out
