"""Threadgroups that are the elements of vectors: those that walk down columns give what the checked
engine gives."""

from __future__ import annotations

import os

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
# Enough for 16 at a time on each processor, and places where 8 or 16 of them lie in a row.
GROUPS = 64 * (os.cpu_count() or 1)
SUM = f"""
  s = simd_sum(v);
  if (lane == 0) parts[group] = s;
  {BARRIER}
  if (group == 0) {{ s = simd_sum(lane < groups ? parts[lane] : 0); if (lane == 0) parts[0] = s; }}
  {BARRIER}
  s = parts[0];"""
# What becomes of column `place` of `in`, whose element for this thread is v.
WIDENED = {
    "sum": f"{SUM} if (t == 0) out[place] = s;",
    "moments": f"""{SUM} float mean = s / size; {BARRIER} float d = v - mean; v = d * d; {SUM}
  if (t == 0) {{ out[place] = mean; more[place] = s; }}""",
    "functions": f"v = exp(v) * sin(v) + log(v + 2); {SUM} if (t == 0) out[place] = s + sqrt(v);",
    "largest": f"""
  s = simd_max(v); if (lane == 0) parts[group] = s; {BARRIER}
  if (t == 0) {{ for (uint i = 1; i < groups; i++) s = max(s, parts[i]); out[place] = s; }}""",
    "not a number": f"""
  if (place % 3 == 1 && t == 5) v = NAN;
  s = simd_any(isnan(v)) ? -1 : simd_sum(v);
  if (lane == 0) parts[group] = s; {BARRIER}
  if (t == 0) {{ for (uint i = 1; i < groups; i++) s += parts[i]; out[place] = s; }}""",
    "votes": f"""
  ulong b = ulong(simd_ballot(v > 0.5f)) ^ (simd_all(v > 0.1f) ? 1 : 0);
  s = popcount(b) + ctz(b | 1ul << 40) * 64 + simd_prefix_exclusive_sum(v > 0.3f ? 1 : 0);
  v = s; {SUM} if (t == 0) out[place] = s;""",
    "movements": f"""
  v += simd_shuffle_xor(v, 3) * 2 + simd_shuffle_down(v, 1) - simd_broadcast(v, 4);
  v += simd_prefix_inclusive_sum(v); {SUM} if (t == 0) out[place] = s;""",
    "an index": f"""
  float most = simd_max(v);
  uint who = ctz(uint(ulong(simd_ballot(v == most))) | 1u << 31);
  v = simd_broadcast(v * 3 + float(t), who) + float(who); {SUM} if (t == 0) out[place] = s;""",
    "where the largest is": f"""
  threadgroup long places[32];
  s = simd_max(v); ushort who = ctz(ulong(simd_ballot(v == s)));
  long index = as_type<long>(simd_broadcast(as_type<int2>(long(t) + (7l << 40)), who));
  if (lane == 0) {{ parts[group] = s; places[group] = index; }} {BARRIER}
  if (t < groups) {{
    v = parts[t]; s = simd_max(v); who = ctz(ulong(simd_ballot(v == s)));
    index = as_type<long>(simd_broadcast(as_type<int2>(places[t]), who));
    if (t == 0) {{ parts[0] = s; places[0] = index; }}
  }} {BARRIER}
  if (t == 0) {{ out[place] = parts[0]; more[place] = float(places[0] - (7l << 40)); }}""",
    "halves of another type": f"""
  threadgroup ulong pairs[128];
  pairs[t] = as_type<ulong>(uint2(as_type<uint>(v), t * 3)); {BARRIER}
  threadgroup uint* half_ = (threadgroup uint*)pairs;
  float low = as_type<float>(half_[0]) + as_type<float>(half_[4]);
  ulong all = pairs[0] ^ pairs[1]; s = simd_sum(low) + float(half_[3] + uint(all >> 32));
  if (t == 0) {{ out[place] = s; more[place] = float(uint(all) & 0xffff); }}""",
    "whole numbers": f"""
  int n = int(v * 1000) % 37 + (int(place) >> 1) * 3; uint u = uint(n) / 7u ^ uint(place);
  v = float(n + int(u & 15)) + (n > 20 ? 1.5f : float(popcount(u))); {SUM}
  if (t == 0) out[place] = s;""",
    "numbers that wrap": f"""
  ulong h = ulong(place - 5u), j = ulong((place + 65540u) * 65521u);
  v += float((h * h >> 21) % 1000) + float((j * j >> 23) % 1000) + float(long(int(place) - 7) * 3);
  {SUM} if (t == 0) out[place] = s;""",
    "a way out": f"if (place % 5 == 2) {{ if (t == 0) more[place] = 7; return; }} {SUM} "
    "if (t == 0) out[place] = s;",
    "a shared loop": f"""
  threadgroup float all[128]; all[t] = v; {BARRIER}
  float m = all[0], m2 = 0;
  for (uint i = 1; i < size; i++) {{
    float d = all[i] - m; m += d / float(i + 1); m2 += d * (all[i] - m);
  }}
  {BARRIER} if (t == 0) {{ out[place] = m; more[place] = m2; }}""",
}
# Which depends on the size.
SOMETIMES = {
    "private memory": f"""
  float a[4]; for (uint i = 0; i < 4; i++) a[i] = v * float(i + 1);
  {BARRIER} v = a[(t + uint(v * 100)) & 3]; {SUM} if (t == 0) out[place] = s;""",
    "two types": f"""
  threadgroup int whole[128]; whole[t] = int(v * 100) + int(t); {SUM}
  v = float(whole[size - 1 - t]) + s; {BARRIER} {SUM} if (t == 0) out[place] = s;""",
    "an index that wraps": f"""
  if (place >= 5) v += in[place - 5u] * 3;
  if (int(place) >= 7) v -= in[int(place) - 7];
  {SUM} if (t == 0) out[place] = s;""",
    "what another row gives": f"""{SUM} if (t < 3) out[t * groups_x + place] = s * float(t + 1);""",
}
# What is joined in another way, or not at all.
OTHERWISE = {
    "rows are stored": f"{SUM} out[gid] = s + v;",
    "an atomic": f"""{SUM}
  if (t == 0) atomic_fetch_add_explicit((device atomic_int*)more, int(s), memory_order_relaxed);""",
    "a loop of its own": f"""
  int rounds = int(v * 8); for (int i = 0; i < rounds; i++) v += 0.25f * float(i);
  {SUM} if (t == 0) out[place] = s;""",
    "two sizes": f"""
  threadgroup float4 wide[128]; wide[t] = float4(v, 1, 2, v); {BARRIER}
  v = ((threadgroup float*)wide)[t * 4 + 3] + wide[size - 1 - t].x; {SUM}
  if (t == 0) out[place] = s;""",
}


def source(body: str, size: int, groups: int, first: int) -> str:
    """The kernel; places are divided by `first`."""
    return f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* in, device float* out, device float* more,
              uint t [[thread_position_in_threadgroup]], uint gid [[thread_position_in_grid]],
              uint place [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
              uint size [[threads_per_threadgroup]], uint group [[simdgroup_index_in_threadgroup]],
              uint groups [[simdgroups_per_threadgroup]],
              uint groups_x [[threadgroups_per_grid]]) {{
  threadgroup float parts[32];
  const uint column = place % {first}, table = place / {first};
  float v = in[column + {first} * (t + {size} * table)], s = 0;
  {body}
}}
// {size} {groups}"""


@pytest.mark.parametrize("first", [48, 32, 24])
@pytest.mark.parametrize("size", [96, 100, 32, 21])
@pytest.mark.parametrize("name", WIDENED | SOMETIMES | OTHERWISE)
def test_engines_agree(name: str, size: int, first: int, monkeypatch) -> None:
    groups = GROUPS * first // 8
    inputs = np.random.default_rng(4).random(groups * size, np.float32)
    text = source((WIDENED | SOMETIMES | OTHERWISE)[name], size, groups, first)
    found = []
    for engine in ("simdgroup", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        kernel = metalwright.compile(text, device="cpu", file_name=engine).kernel("k")
        out = np.zeros(max(groups * size, groups * 3), np.float32)
        more = np.zeros(groups, np.float32)
        kernel(inputs, out, more, threads=groups * size, group_size=size)
        found.append((out, more))
        if engine == "simdgroup":
            how = kernel.explain()
            if name not in SOMETIMES:
                assert ("are the elements of vectors" in how) == (name in WIDENED), how
            if name in WIDENED:
                many = 8 if first == 24 else 16
                assert f"for {many} threadgroups at a time" in how, how
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
