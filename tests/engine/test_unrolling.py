"""Loops through private arrays become values; loops around them stay loops."""

from __future__ import annotations

import numpy as np

import metalwright

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void product(device const float* a, device const float* b, device float* c,
                    uint2 g [[threadgroup_position_in_grid]]) {
  for (uint row = 0; row < 64; row += 8) {
    simdgroup_float8x8 sum[4], right[4], left;
    for (uint i = 0; i < 4; i++) sum[i] = simdgroup_float8x8(0);
    for (uint k = 0; k < 128; k += 8) {
      simdgroup_load(left, a + row * 128 + k, 128);
      for (uint i = 0; i < 4; i++) simdgroup_load(right[i], b + k * 32 + 8 * i, 32);
      for (uint i = 0; i < 4; i++)
        simdgroup_multiply_accumulate(sum[i], left, right[i], sum[i]);
    }
    for (uint i = 0; i < 4; i++) simdgroup_store(sum[i], c + row * 32 + 8 * i, 32);
  }
}
"""


def test_matrices_in_arrays_are_values_and_the_loops_around_them_are_loops():
    kernel = metalwright.compile(SOURCE, device="cpu").product
    random = np.random.default_rng(0)
    a = random.standard_normal((64, 128), np.float32)
    b = random.standard_normal((128, 32), np.float32)
    c = np.zeros((64, 32), np.float32)
    kernel(a, b, c, threadgroups=(1, 1), group_size=32)
    np.testing.assert_allclose(c, a @ b, rtol=1e-4, atol=1e-4)
    assert "engine: simdgroup" in kernel.explain()
    # One round of the inner loop: four products of 32 fused operations; all rounds are 128 times
    # as many.
    code = kernel.code("llvm")
    assert code.count("call <16 x float> @llvm.fma") == 4 * 32
    assert "alloca" not in code
