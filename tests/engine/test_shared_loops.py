"""Loops that all threads of a threadgroup compute alike: the first simdgroup's results are every
thread's, whatever goes around the loop."""

from __future__ import annotations

import os

import numpy as np
import pytest

from engine.both import threads_on_both_engines

pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

GROUPS = 32 * (os.cpu_count() or 1)  # as in test_together.py
WELFORD = """
  float3 a = shared[0];
  for (uint i = 1; i < size; i++) {
    float3 b = shared[i];
    float delta = b.x - a.x, weight = a.z + b.z;
    float part = weight != 0 ? b.z / weight : 0.0f;
    a = float3(a.x + delta * part, a.y + b.y + delta * delta * a.z * part, weight);
  }
  float result = a.x * 3 + a.y + a.z;"""
LOOPS = {
    "Welford's moments": WELFORD,
    "a vector as a whole": """
  float3 a = 0;
  for (uint i = 0; i < size; i++) a = a * 0.5f + shared[i].zxy;
  float result = a.x + 2 * a.y + 4 * a.z;""",
    "vectors and numbers": """
  float2 a = 0; int4 b = 1; float most = -1e30f;
  for (uint i = 0; i < size; i++) {
    a += shared[i].xy;
    b = b.yzwx * 3 + int4(shared[i].z);
    most = max(most, a.x);
  }
  float result = a.x + a.y + most + float(b.x ^ b.y ^ b.z ^ b.w);""",
    "elements by their number": """
  float3 a = 0;
  for (uint i = 0; i < size; i++) a[i % 3] += shared[i][(i + place) % 3];
  float result = a.x - a.y * a.z;""",
    "a way out": """
  float3 a = 0; uint i = 0;
  for (; i < size; i++) { a += shared[i]; if (a.y > 8 + float(place % 3)) break; }
  float result = a.x + a.y + a.z + float(i);""",
    "booleans": """
  bool3 a = false; float2 b = 0;
  for (uint i = 0; i < size; i++) {
    a = a | (shared[i] > 0.9f);
    b += select(b, shared[i].yx, a.xy);
  }
  float result = b.x + b.y + (a.x ? 1 : 0) + (a.z ? 2 : 0);""",
}


@pytest.mark.parametrize("groups", [GROUPS, GROUPS + 1, 3])
@pytest.mark.parametrize("size", [96, 100, 21])
@pytest.mark.parametrize("name", LOOPS)
def test_engines_agree(name: str, size: int, groups: int, monkeypatch) -> None:
    text = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* in, device float* out,
              uint t [[thread_position_in_threadgroup]], uint gid [[thread_position_in_grid]],
              uint place [[threadgroup_position_in_grid]],
              uint size [[threads_per_threadgroup]]) {{
  threadgroup float3 shared[128];
  shared[t] = float3(in[gid], in[gid] * in[gid], t % 7);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  {LOOPS[name]}
  out[gid] = result + float(t);
}}
// {size} {groups}"""
    inputs = np.random.default_rng(3).random(groups * size, np.float32)
    fast, checked, kernel = threads_on_both_engines(monkeypatch, text, inputs, size)
    how = kernel.explain()
    # A private array is each thread's own; threadgroups that leave a loop apart stay so.
    shared = size > 32 and name != "elements by their number"
    assert ("all threads of the threadgroup compute the same" in how) == shared, how
    if name not in ("elements by their number", "a way out"):
        assert ("threadgroups at a time" in how) == (groups == GROUPS), how
    np.testing.assert_array_equal(fast, checked)
