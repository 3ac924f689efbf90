"""What lanes share in groups is computed once for each group, not as a vector."""

from __future__ import annotations

import re
import time

import numpy as np

import metalwright

MIX = "h = h * h + (h << 3) + (h >> 5) + 1;\n"
SOURCE = f"""
#include <metal_stdlib>
using namespace metal;
kernel void transposed_tiles(device const float* x, device float* y, constant int& n,
                             uint2 g [[threadgroup_position_in_grid]],
                             uint2 t [[thread_position_in_threadgroup]]) {{
  threadgroup float tile[16][16];
  int row = g.y * 16 + t.y, column = g.x * 16 + t.x;
  float sum = 0;
  for (int k = 0; k < n; k += 16) {{
    tile[t.y][t.x] = x[row * n + k + t.x] + x[(k + t.y) * n + column];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    sum += tile[t.x][t.y];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }}
  y[row * n + column] = sum;
}}
// Rows that are far from each other, at places that take long to compute.
kernel void scattered_rows(device const float* x, device float* y,
                           uint2 t [[thread_position_in_threadgroup]]) {{
  threadgroup float rows[16][16];
  uint h = t.y;
  {MIX * 40}
  rows[t.y][t.x] = x[h % 64 * 16 + t.x];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[t.y * 16 + t.x] = rows[15 - t.y][t.x];
}}
"""


def test_addresses_of_tiles():
    n = 64
    x = np.random.default_rng(0).standard_normal((n, n), np.float32)
    y = np.zeros_like(x)
    kernel = metalwright.compile(SOURCE, device="cpu").transposed_tiles
    kernel(x, y, n, threadgroups=(n // 16, n // 16), group_size=(16, 16), arg_casts="int32")
    blocks = x.reshape(n // 16, 16, n // 16, 16)
    # The rows of the band and the columns of the stripe, each tile transposed: of [band, row,
    # stripe, column] in a block.
    along = blocks.sum(2).transpose(0, 2, 1)[:, :, None, :]
    down = blocks.sum(0).transpose(2, 1, 0)[None]
    expected = (along + down).reshape(n, n)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    code = kernel.code("llvm")
    assert "engine: simdgroup" in kernel.explain()
    of_vectors = set(re.findall(r"(%\S+) = extractelement <32 x ptr>", code))
    loaded = set(re.findall(r"load <16 x float>, ptr (%[^\s,]+)", code))
    assert loaded
    assert not loaded & of_vectors


def test_a_long_way_to_an_address():
    x = np.random.default_rng(0).standard_normal((64, 16), np.float32)
    y = np.zeros((16, 16), np.float32)
    kernel = metalwright.compile(SOURCE, device="cpu").scattered_rows
    begin = time.perf_counter()
    kernel(x, y, threadgroups=1, group_size=(16, 16))
    assert time.perf_counter() - begin < 10  # each level uses the one before four times
    h = np.arange(16, dtype=np.uint32)
    for _ in range(40):
        h = h * h + (h << np.uint32(3)) + (h >> np.uint32(5)) + np.uint32(1)
    np.testing.assert_array_equal(y, x[h % 64][::-1])
