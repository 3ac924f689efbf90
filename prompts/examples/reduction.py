import metalwright
import torch
from torch import nn

# The search tries these values of the constant; every one of them must give right results.
GROUP = 256
TUNABLE = {"GROUP": [64, 128, 256, 512]}

SOURCE = """
#include <metal_stdlib>
using namespace metal;

// One threadgroup per row: each thread sums a part, each simdgroup sums its threads, and the first
// simdgroup sums the simdgroups.
kernel void row_mean(device float* out [[buffer(0)]],
                     device const float* x [[buffer(1)]],
                     constant uint& width [[buffer(2)]],
                     uint row [[threadgroup_position_in_grid]],
                     uint t [[thread_position_in_threadgroup]],
                     uint lane [[thread_index_in_simdgroup]],
                     uint group [[simdgroup_index_in_threadgroup]]) {
  threadgroup float partial[GROUP / 32];
  device const float* line = x + row * width;
  float sum = 0.0f;
  for (uint i = t; i < width; i += GROUP) {
    sum += line[i];
  }
  sum = simd_sum(sum);
  if (lane == 0) {
    partial[group] = sum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (group == 0) {
    float total = simd_sum(lane < GROUP / 32 ? partial[lane] : 0.0f);
    if (lane == 0) {
      out[row] = total / width;
    }
  }
}
"""


class ModelNew(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.library = metalwright.compile(SOURCE, macros={"GROUP": GROUP})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous()
        rows, width = x.numel() // x.shape[-1], x.shape[-1]
        out = x.new_empty(x.shape[:-1])
        self.library.row_mean(out, x, width, threadgroups=rows, group_size=GROUP)
        return out
