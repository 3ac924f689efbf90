"""What ``check=True`` costs: against the checked engine without it, and against the default one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest

import metalwright
from metalwright.runtime import clear_cache

pytestmark = pytest.mark.benchmark(group="sanitizer")

ADD = """
kernel void k(device const float* x, device const float* y, device float* out,
              uint i [[thread_position_in_grid]]) { out[i] = x[i] + y[i]; }
"""
ROWS = """
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* x, device const float* y, device float* out,
              uint row [[threadgroup_position_in_grid]],
              uint t [[thread_position_in_threadgroup]]) {
  threadgroup float shared[256];
  float sum = 0;
  for (uint i = t; i < 1024; i += 256) sum += x[row * 1024 + i];
  shared[t] = sum;
  for (uint stride = 128; stride > 0; stride /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t < stride) shared[t] += shared[t + stride];
  }
  if (t == 0) out[row] = shared[0];
}
"""
PRODUCT = """
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* x, device const float* y, device float* out,
              uint2 p [[thread_position_in_grid]], uint2 t [[thread_position_in_threadgroup]]) {
  threadgroup float a[16][16];
  threadgroup float b[16][16];
  float sum = 0;
  for (uint k = 0; k < 64; k += 16) {
    a[t.y][t.x] = x[p.y * 64 + k + t.x];
    b[t.y][t.x] = y[(k + t.y) * 64 + p.x];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint j = 0; j < 16; ++j) sum += a[t.y][j] * b[j][t.x];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  out[p.y * 64 + p.x] = sum;
}
"""
KERNELS = {
    "elementwise addition": (ADD, 65536, {"threads": 65536, "group_size": 256}),
    "row sums": (ROWS, 65536, {"threads": 64 * 256, "group_size": 256}),
    "tiled product": (PRODUCT, 4096, {"threads": (64, 64), "group_size": (16, 16)}),
}


def seconds(run: Callable[[], object]) -> float:
    taken = []
    for _ in range(5):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return median(taken)


@pytest.mark.parametrize("name", KERNELS)
def test_slowdown(name, benchmark, report, monkeypatch):
    source, size, call = KERNELS[name]
    x, y = (np.random.default_rng(i).random(size, np.float32) for i in range(2))
    out = np.zeros(size, np.float32)
    default = metalwright.compile(source, device="cpu").k
    default(x, y, out, **call)
    expected = out.copy()
    fast = seconds(lambda: default(x, y, out, **call))
    with monkeypatch.context() as patch:
        patch.setitem(os.environ, "METALWRIGHT_CPU_ENGINE", "checked")
        fibers = metalwright.compile(source, device="cpu", file_name="fibers").k
    plain = seconds(lambda: fibers(x, y, out, **call))
    checked = metalwright.compile(source, check=True).k
    benchmark.pedantic(lambda: checked(x, y, out, **call), rounds=5, warmup_rounds=1)
    slow = benchmark.stats.stats.median
    np.testing.assert_allclose(out, expected, rtol=1e-5)
    report(
        f"check=True, {name}",
        f"{slow * 1e3:.1f} ms, {slow / plain:.1f} x the checked engine, "
        f"{slow / fast:.0f} x the default one",
    )


def test_compiling(benchmark, report):
    plain = seconds(lambda: (clear_cache(), metalwright.compile(PRODUCT, device="cpu").k))
    benchmark.pedantic(
        lambda: (clear_cache(), metalwright.compile(PRODUCT, check=True).k), rounds=5
    )
    slow = benchmark.stats.stats.median
    report(
        "check=True, compiling the tiled product",
        f"{slow * 1e3:.0f} ms, {plain * 1e3:.0f} ms without",
    )
