"""Loops by which several threadgroups walk through their own memory, element by element: what they
read is put side by side before, and gives what the checked engine gives."""

from __future__ import annotations

import os

import numpy as np
import pytest

from engine.both import threads_on_both_engines

pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

GROUPS = 32 * (os.cpu_count() or 1)  # as in test_together.py
WALKS = {
    "Welford's moments": """
  float m = all[0], m2 = 0;
  for (uint i = 1; i < N; i++) {
    float d = all[i] - m; m += d / float(i + 1); m2 += d * (all[i] - m);
  }
  float result = m + m2;""",
    "a recurrence": "float result = 1; for (uint i = 0; i < N; i++) "
    "result = result * 0.5f + all[i];",
    "whole numbers": """
  uint n = 7; for (uint i = 3; i < N; i++) n = n * 31 + numbers[i];
  float result = float(n >> 9);""",
    "two at once": """
  float a = 0; int b = 1;
  for (uint i = 0; i < N; i++) { a = a * 0.75f + all[i]; b = b * 3 ^ int(numbers[i]); }
  float result = a + float(b & 0xffff);""",
    "one behind the other": """
  float a = 0, b = all[0];
  for (uint i = 1; i < N; i++) { a += b * all[i]; b = max(all[i] - b, all[i - 1]); }
  float result = a + b;""",
    "an index": """
  float result = 1; for (uint i = 0; i < N; i++) result = result * 0.5f + all[numbers[i] % N];""",
    "two loops": """
  float m = 0; for (uint i = 0; i < N; i++) m = m * 0.5f + all[i];
  float v = 0; for (uint i = 0; i < N; i++) { float d = all[i] - m; v = v * 0.9f + d * d; }
  float result = m + v;""",
}
# Where elements do not follow each other, or a round writes.
OTHERS = {
    "backwards": "float result = 1; for (int i = N - 1; i >= 0; i--) "
    "result = result * 0.5f + all[i];",
    "every other": "float result = 1; for (uint i = 0; i < N; i += 2) "
    "result = result * 0.5f + all[i];",
    "bytes": "float result = 1; for (uint i = 0; i < N; i++) "
    "result = result * 0.5f + float(bytes[i]);",
}


@pytest.mark.parametrize("groups", [GROUPS, GROUPS + 8, GROUPS - 3])
@pytest.mark.parametrize("size", [40, 64, 67, 130])
@pytest.mark.parametrize("name", WALKS | OTHERS)
def test_engines_agree(name: str, size: int, groups: int, monkeypatch) -> None:
    text = f"""#include <metal_stdlib>
using namespace metal;
#define N {size}
kernel void k(device const float* in, device float* out,
              uint t [[thread_position_in_threadgroup]], uint gid [[thread_position_in_grid]]) {{
  threadgroup float all[N];
  threadgroup uint numbers[N];
  threadgroup uchar bytes[N];
  all[t] = in[gid]; numbers[t] = uint(in[gid] * 1000) + t; bytes[t] = uchar(t * 7 + gid);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  {(WALKS | OTHERS)[name]}
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[gid] = result + all[(t + 1) % N];
}}
// {groups}"""
    inputs = np.random.default_rng(8).random(groups * size, np.float32)
    fast, checked, kernel = threads_on_both_engines(monkeypatch, text, inputs, size)
    np.testing.assert_array_equal(fast, checked)
    # Short loops are unrolled before.
    if size > 100:
        many = {GROUPS: 16, GROUPS + 8: 8}.get(groups)
        how = kernel.explain()
        assert ("threadgroups at a time" in how) == (many is not None), how
        if many:
            assert f"{many} threadgroups at a time" in how, how
            assert ("interleave" in kernel.code("llvm")) == (name in WALKS)
