"""Normalisations, reductions over each axis and attention against torch's CPU operators."""

from __future__ import annotations

import pytest
import torch

import metalwright
from test_simdgroup_engine import measure

pytestmark = pytest.mark.benchmark(group="operators", warmup=True)

# A threadgroup of 256 threads works on one row of n.
ROWS = """
#include <metal_stdlib>
using namespace metal;
float whole_sum(float x, threadgroup float* partial, uint lane, uint group, uint groups) {
  x = simd_sum(x);
  if (lane == 0) partial[group] = x;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  x = simd_sum(lane < groups ? partial[lane] : 0.0f);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return x;
}
#define THREADS uint row [[threadgroup_position_in_grid]], \\
    uint t [[thread_position_in_threadgroup]], uint size [[threads_per_threadgroup]], \\
    uint lane [[thread_index_in_simdgroup]], uint group [[simdgroup_index_in_threadgroup]], \\
    uint groups [[simdgroups_per_threadgroup]]
kernel void layer_norm(device const float* x, device const float* weight, device const float* bias,
                       device float* out, constant uint& n, THREADS) {
  threadgroup float partial[32];
  x += row * n;
  out += row * n;
  float sum = 0, squares = 0;
  for (uint i = t; i < n; i += size) {
    sum += x[i];
    squares = fma(x[i], x[i], squares);
  }
  float mean = whole_sum(sum, partial, lane, group, groups) / n;
  float variance = whole_sum(squares, partial, lane, group, groups) / n - mean * mean;
  float scale = rsqrt(variance + 1e-5f);
  for (uint i = t; i < n; i += size)
    out[i] = fma((x[i] - mean) * scale, weight[i], bias[i]);
}
kernel void rms_norm(device const float* x, device const float* weight, device float* out,
                     constant uint& n, THREADS) {
  threadgroup float partial[32];
  x += row * n;
  out += row * n;
  float squares = 0;
  for (uint i = t; i < n; i += size) squares = fma(x[i], x[i], squares);
  float scale = rsqrt(whole_sum(squares, partial, lane, group, groups) / n + 1e-5f);
  for (uint i = t; i < n; i += size) out[i] = x[i] * scale * weight[i];
}
kernel void sum_of_rows(device const float* x, device float* out, constant uint& n, THREADS) {
  threadgroup float partial[32];
  x += row * n;
  float sum = 0;
  for (uint i = t; i < n; i += size) sum += x[i];
  sum = whole_sum(sum, partial, lane, group, groups);
  if (t == 0) out[row] = sum;
}
kernel void sum_of_columns(device const float* x, device float* out, constant uint& n,
                           constant uint& rows, uint i [[thread_position_in_grid]]) {
  float sum = 0;
  for (uint r = 0; r < rows; r++) sum += x[r * n + i];
  out[i] = sum;
}
"""
# One thread per row of n.
WALKS = """
#include <metal_stdlib>
using namespace metal;
#define ARGUMENTS device const float* x, device float* out, constant uint& n, \\
    uint i [[thread_position_in_grid]]
kernel void sum(ARGUMENTS) {
  float sum = 0;
  for (uint r = 0; r < n; r++) sum += x[i * n + r];
  out[i] = sum;
}
kernel void softmax(ARGUMENTS) {
  float most = -INFINITY, sum = 0;
  for (uint r = 0; r < n; r++) most = max(most, x[i * n + r]);
  for (uint r = 0; r < n; r++) sum += exp(x[i * n + r] - most);
  for (uint r = 0; r < n; r++) out[i * n + r] = exp(x[i * n + r] - most) / sum;
}
kernel void cumsum(ARGUMENTS) {
  float sum = 0;
  for (uint r = 0; r < n; r++) out[i * n + r] = sum += x[i * n + r];
}
"""
# One simdgroup for 32 queries of a head of 64, keys and values in blocks of 64. Queries, scores and
# sums lie transposed in threadgroup memory: each thread has a query, and neighbouring threads have
# neighbouring places. Weights are exp(score - most) for a number that is a query's largest score so
# far or at most 8 less; sums are rescaled only where it would be more.
ATTENTION = """
#include <metal_stdlib>
using namespace metal;
#define BLOCK 64
kernel void attention(device const float* q, device const float* k, device const float* v,
                      device float* out, constant uint& tokens,
                      uint2 g [[threadgroup_position_in_grid]],
                      uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float query[64 * 32], sum[64 * 32], scores[BLOCK * 32];
  uint head = g.y * tokens * 64;
  q += head + g.x * 32 * 64;
  k += head;
  v += head;
  out += head + g.x * 32 * 64;
  for (uint d = 0; d < 64; d += 8)
    for (uint c = 0; c < 4; c++) {
      simdgroup_float8x8 tile;
      simdgroup_load(tile, q + c * 8 * 64 + d, 64, ulong2(0, 0), true);
      simdgroup_store(tile, query + d * 32 + 8 * c, 32);
      simdgroup_store(simdgroup_float8x8(0), sum + d * 32 + 8 * c, 32);
    }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  float most = -INFINITY, total = 0;
  for (uint block = 0; block < tokens; block += BLOCK) {
    for (uint c = 0; c < BLOCK; c += 8) {
      simdgroup_float8x8 score[4], right[4], left;
      for (uint i = 0; i < 4; i++) score[i] = simdgroup_float8x8(0);
      for (uint d = 0; d < 64; d += 8) {
        simdgroup_load(left, k + (block + c) * 64 + d, 64);
        for (uint i = 0; i < 4; i++) simdgroup_load(right[i], query + d * 32 + 8 * i, 32);
        for (uint i = 0; i < 4; i++)
          simdgroup_multiply_accumulate(score[i], left, right[i], score[i]);
      }
      for (uint i = 0; i < 4; i++) simdgroup_store(score[i], scores + c * 32 + 8 * i, 32);
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    float larger = -INFINITY;
    for (uint c = 0; c < BLOCK; c++) larger = max(larger, scores[c * 32 + lane]);
    larger *= 0.125f;
    // The reference only moves where it must: numbers up to exp(8) are no trouble.
    if (simd_any(larger > most + 8)) {
      larger = max(larger, most);
      float shrink = exp(most - larger);
      most = larger;
      total *= shrink;
      for (uint d = 0; d < 64; d++) sum[d * 32 + lane] *= shrink;
    }
    for (uint c = 0; c < BLOCK; c++) {
      float weight = exp(fma(scores[c * 32 + lane], 0.125f, -most));
      total += weight;
      scores[c * 32 + lane] = weight;
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint d = 0; d < 64; d += 8) {
      simdgroup_float8x8 part[4], right[4], left;
      for (uint i = 0; i < 4; i++) simdgroup_load(part[i], sum + d * 32 + 8 * i, 32);
      for (uint c = 0; c < BLOCK; c += 8) {
        simdgroup_load(left, v + (block + c) * 64 + d, 64, ulong2(0, 0), true);
        for (uint i = 0; i < 4; i++) simdgroup_load(right[i], scores + c * 32 + 8 * i, 32);
        for (uint i = 0; i < 4; i++)
          simdgroup_multiply_accumulate(part[i], left, right[i], part[i]);
      }
      for (uint i = 0; i < 4; i++) simdgroup_store(part[i], sum + d * 32 + 8 * i, 32);
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
  }
  for (uint d = 0; d < 64; d++) sum[d * 32 + lane] /= total;
  simdgroup_barrier(mem_flags::mem_threadgroup);
  for (uint d = 0; d < 64; d += 8)
    for (uint c = 0; c < 4; c++) {
      simdgroup_float8x8 tile;
      simdgroup_load(tile, sum + d * 32 + 8 * c, 32);
      simdgroup_store(tile, out + c * 8 * 64 + d, 64, ulong2(0, 0), true);
    }
}
"""
N = 4096


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "sum_of_rows", "sum_of_columns"])
def test_rows_and_columns_of_4096(benchmark, report, name):
    kernel = getattr(metalwright.compile(ROWS, device="cpu"), name)
    x, weight, bias = torch.randn(N, N), torch.randn(N), torch.randn(N)
    out = torch.empty_like(x) if name.endswith("norm") else torch.empty(N)
    inputs = {"layer_norm": (x, weight, bias), "rms_norm": (x, weight)}.get(name, (x,))
    sizes = (N, N) if name == "sum_of_columns" else (N,)

    def ours() -> None:
        if name == "sum_of_columns":
            kernel(*inputs, out, *sizes, threads=N, group_size=256, arg_casts="int32")
        else:
            kernel(*inputs, out, *sizes, threadgroups=N, group_size=256, arg_casts="int32")

    theirs = {
        "layer_norm": lambda: torch.nn.functional.layer_norm(x, (N,), weight, bias),
        "rms_norm": lambda: torch.nn.functional.rms_norm(x, (N,), weight, 1e-5),
        "sum_of_rows": lambda: torch.sum(x, 1),
        "sum_of_columns": lambda: torch.sum(x, 0),
    }[name]
    measure(benchmark, report, f"{name} {N} x {N}", ours, theirs)
    torch.testing.assert_close(out, theirs(), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["sum", "softmax", "cumsum"])
def test_one_thread_per_row_of_4096(benchmark, report, name):
    kernel = getattr(metalwright.compile(WALKS, device="cpu"), name)
    x = torch.randn(N, N)
    out = torch.empty(N) if name == "sum" else torch.empty_like(x)

    def ours() -> None:
        kernel(x, out, N, threads=N, group_size=256, arg_casts="int32")

    def theirs() -> torch.Tensor:
        return getattr(torch, name)(x, 1)

    measure(benchmark, report, f"{name}, one thread per row of {N} x {N}", ours, theirs)
    torch.testing.assert_close(out, theirs(), rtol=1e-3, atol=1e-2)


def test_attention_of_8_heads_and_1024_tokens(benchmark, report):
    kernel = metalwright.compile(ATTENTION, device="cpu").attention
    heads, tokens, size = 8, 1024, 64
    q, k, v = (torch.randn(heads, tokens, size) for _ in range(3))
    out = torch.empty_like(q)

    def ours() -> None:
        kernel(q, k, v, out, tokens, threadgroups=(tokens // 32, heads), group_size=32,
               arg_casts="int32")  # fmt: skip

    def theirs() -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])

    measure(benchmark, report, "attention, 8 heads, 1024 tokens of 64", ours, theirs,
            4 * heads * tokens * tokens * size)  # fmt: skip
    torch.testing.assert_close(out, theirs()[0], rtol=1e-3, atol=1e-4)
