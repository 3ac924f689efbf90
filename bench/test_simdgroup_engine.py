"""Kernels with barriers, simdgroup functions and simdgroup matrices against torch's CPU operators.

Pairs alternate and are compared in CPU seconds of the process as well as on the wall: on a shared
machine the former is what the code costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import pytest
import torch

import metalwright
from paired import paired_ratio

pytestmark = pytest.mark.benchmark(group="simdgroup engine", warmup=True)

SOFTMAX = """
#include <metal_stdlib>
using namespace metal;
kernel void softmax(device const float* x, device float* out, constant uint& n,
                    uint row [[threadgroup_position_in_grid]],
                    uint t [[thread_position_in_threadgroup]],
                    uint size [[threads_per_threadgroup]],
                    uint lane [[thread_index_in_simdgroup]],
                    uint group [[simdgroup_index_in_threadgroup]],
                    uint groups [[simdgroups_per_threadgroup]]) {
  threadgroup float partial[32];
  x += row * n;
  out += row * n;
  float most = -INFINITY;
  for (uint i = t; i < n; i += size) most = max(most, x[i]);
  most = simd_max(most);
  if (lane == 0) partial[group] = most;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  most = simd_max(lane < groups ? partial[lane] : -INFINITY);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = 0;
  for (uint i = t; i < n; i += size) sum += exp(x[i] - most);
  sum = simd_sum(sum);
  if (lane == 0) partial[group] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  sum = simd_sum(lane < groups ? partial[lane] : 0.0f);
  for (uint i = t; i < n; i += size) out[i] = exp(x[i] - most) / sum;
}
"""
PRODUCTS = """
#include <metal_stdlib>
using namespace metal;
kernel void tiled(device const float* a, device const float* b, device float* c, constant int& n,
                  uint2 g [[threadgroup_position_in_grid]],
                  uint2 t [[thread_position_in_threadgroup]]) {
  threadgroup float as[16][16];
  threadgroup float bs[16][16];
  int row = g.y * 16 + t.y, col = g.x * 16 + t.x;
  float sum = 0;
  for (int k = 0; k < n; k += 16) {
    as[t.y][t.x] = a[row * n + k + t.x];
    bs[t.y][t.x] = b[(k + t.y) * n + col];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int i = 0; i < 16; i++) sum = fma(as[t.y][i], bs[i][t.x], sum);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  c[row * n + col] = sum;
}
kernel void matrices(device const float* a, device const float* b, device float* c,
                     constant int& n, uint2 g [[threadgroup_position_in_grid]],
                     uint s [[simdgroup_index_in_threadgroup]]) {
  int row = g.y * 64 + (s / 2) * 32, col = g.x * 64 + (s % 2) * 32;
  simdgroup_float8x8 acc[4][4];
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) acc[i][j] = simdgroup_float8x8(0);
  for (int k = 0; k < n; k += 8) {
    simdgroup_float8x8 x[4], y[4];
    for (int i = 0; i < 4; i++) simdgroup_load(x[i], a + (row + 8 * i) * n + k, n);
    for (int j = 0; j < 4; j++) simdgroup_load(y[j], b + k * n + col + 8 * j, n);
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++)
        simdgroup_multiply_accumulate(acc[i][j], x[i], y[j], acc[i][j]);
  }
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      simdgroup_store(acc[i][j], c + (row + 8 * i) * n + col + 8 * j, n);
}
"""
PAIRS = 15


def cpu_ratio(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """The median ratio of CPU seconds over alternating pairs, and our median CPU seconds."""
    ratios, seconds = [], []
    for _ in range(PAIRS):
        begin = time.process_time()
        ours()
        middle = time.process_time()
        theirs()
        end = time.process_time()
        ratios.append((middle - begin) / (end - middle))
        seconds.append(middle - begin)
    return median(ratios), median(seconds)


def measure(
    benchmark, report, name: str, ours: Callable, theirs: Callable, flops: float = 0
) -> None:
    benchmark.pedantic(ours, rounds=10, warmup_rounds=2)
    ratio = paired_ratio(ours, theirs)
    cpu, seconds = cpu_ratio(ours, theirs)
    rate = f", {flops / seconds / 1e9:.0f} GFLOP/s per CPU second" if flops else ""
    report(f"{name}: time / torch's", f"{ratio}; CPU seconds {cpu:.2f}{rate}")


def test_softmax_of_4096_rows(benchmark, report):
    kernel = metalwright.compile(SOFTMAX, device="cpu").softmax
    x = torch.randn(4096, 4096)
    out, expected = torch.empty_like(x), torch.empty_like(x)

    def ours() -> None:
        kernel(x, out, 4096, threadgroups=4096, group_size=256, arg_casts="int32")

    measure(
        benchmark, report, "softmax 4096 x 4096", ours, lambda: torch.softmax(x, 1, out=expected)
    )
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize(
    ("name", "tile", "group"), [("tiled", 16, (16, 16)), ("matrices", 64, (128, 1))]
)
def test_products_of_1024(benchmark, report, name, tile, group):
    kernel = getattr(metalwright.compile(PRODUCTS, device="cpu"), name)
    n = 1024
    a, b = torch.randn(n, n), torch.randn(n, n)
    out, expected = torch.empty(n, n), torch.empty(n, n)

    def ours() -> None:
        kernel(a, b, out, n, threadgroups=(n // tile, n // tile), group_size=group,
               arg_casts="int32")  # fmt: skip

    measure(benchmark, report, f"{name} product 1024", ours, lambda: torch.mm(a, b, out=expected),
            2 * n**3)  # fmt: skip
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-3)
