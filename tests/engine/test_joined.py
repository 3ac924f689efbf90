"""Simdgroups of a threadgroup run as one program where that is possible, with the same results.

Side by side where all take the same way or part for a while, else cut at the barriers where each
passes every barrier once.
"""

from __future__ import annotations

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

HEAD = """#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device int* out, device atomic_int* counter,
              uint tid [[thread_position_in_threadgroup]], uint gid [[thread_position_in_grid]],
              uint lane [[thread_index_in_simdgroup]],
              uint group [[simdgroup_index_in_threadgroup]],
              uint size [[threads_per_threadgroup]]) {
  threadgroup int shared[256];
  threadgroup int more[32];
"""
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
JOINED = {
    "neighbours": f"""
  int a = in[gid];
  for (int i = 0; i < 5; i++) {{
    shared[tid] = a; {BARRIER}
    a = a * 3 + shared[(tid + 33 * i + 1) % size]; {BARRIER}
  }}
  out[gid] = a;""",
    "one sum of all": f"""
  int a = simd_sum(in[gid]);
  if (lane == 0) more[group] = a;
  {BARRIER}
  out[gid] = simd_sum(lane < size / 32 ? more[lane] : 0) + int(group);""",
    "a bound that all read": f"""
  shared[tid] = in[gid] & 7; {BARRIER}
  int a = 0;
  for (int i = 0; i < shared[3]; i++) {{
    more[lane] = i; {BARRIER}
    a += more[(lane + 1) & 31] * int(tid); {BARRIER}
  }}
  out[gid] = a;""",
    "memory of its own": f"""
  int mine[6];
  for (int i = 0; i < 6; i++) mine[i] = in[(gid + i) & 1023];
  shared[tid] = mine[tid % 6]; {BARRIER}
  mine[shared[tid ^ 1] & 3] += 5;
  int a = 0;
  for (int i = 0; i < 6; i++) a = a * 31 + mine[i];
  out[gid] = a;""",
    "atomic operations": f"""
  atomic_fetch_add_explicit(counter, int(tid) + 1, memory_order_relaxed);
  shared[tid] = int(tid); {BARRIER}
  out[gid] = shared[size - 1 - tid];""",
}
# Joined, with a way for each simdgroup where they part.
PARTING = {
    "a barrier in a branch that whole threadgroups take": f"""
  int a = in[gid];
  if (in[7] != 12345) {{
    if (group == 1) a += in[(gid + 1) & 1023];
    shared[tid] = a; {BARRIER}
    a = a * 3 + shared[(tid + 33) % size];
  }}
  out[gid] = a;""",
    "a branch on the simdgroup": f"""
  int a = in[gid];
  if (group == 1) for (int i = 0; i < (in[3] & 15); i++) a = a * 5 + in[(gid + i) & 1023];
  shared[tid] = a; {BARRIER}
  out[gid] = shared[(tid + 40) % size];""",
    "ways in a way": f"""
  int a = in[gid], b = 3;
  if (group > 0) {{
    if (a & 1) {{ if (group == 2) b = a * 7; else a += in[(gid + 5) & 1023]; }}
    for (int i = 0; i < int(group); i++) if (in[(gid + i) & 1023] > 0) b += i;
    if (b == 3) shared[255] = 1;
  }} else if (lane > 4) a = -a;
  shared[tid & 127] = a; {BARRIER}
  out[gid] = shared[(tid + 40) % min(size, 128u)] * 5 + b;""",
    "ways one after the other": f"""
  float4 wide = float4(in[gid], in[gid ^ 1], in[gid ^ 2], tid);
  bool odd = in[gid] & 1;
  half small = half(in[gid] & 63);
  long sum = 1;
  for (int i = 0; i < 20 + (in[5] & 7); i++) {{
    if (int(group) == (i & 1)) {{ wide = wide.wxyz; sum += in[(gid + i) & 1023]; }}
    if (int(group) < (i & 3)) {{ odd = !odd; small += 1.0h; }} else sum = sum * 3 - i;
    shared[tid] = int(sum) + i; {BARRIER}
    if (group == 0 || odd) sum ^= shared[(tid + 32 * i) % size];
    {BARRIER}
  }}
  out[gid] = int(wide.x) + int(wide.z) * 3 + int(odd) * 5 + int(small) * 7 + int(sum);""",
    "what some have written": f"""
  shared[tid] = in[gid]; {BARRIER}
  int a = 0;
  if (group == 1) shared[tid] *= 3;
  if (in[gid] > 0) a = shared[tid];
  if (group == 1 && in[(gid + 1) & 1023] > 0) {{ shared[tid] += a; a++; }}
  a = a * 5 + shared[tid]; {BARRIER}
  out[gid] = shared[(tid + 33) % size] + a;""",
    "memory of its own, used by some": f"""
  int mine[5];
  for (int i = 0; i < 5; i++) mine[i] = in[(gid * 3 + i) & 1023];
  if (group & 1) mine[(in[gid] & 3) + 1] = int(lane);
  shared[tid] = mine[tid % 5]; {BARRIER}
  if (group != 0) mine[shared[(tid + 32) % size] & 3] += 7;
  {BARRIER}
  int a = 0;
  for (int i = 0; i < 5; i++) a = a * 31 + mine[i];
  out[gid] = a;""",
    "the first simdgroup alone": f"""
  int a = simd_max(in[gid]);
  if (lane == 0) more[group] = a;
  {BARRIER}
  if (group == 0) {{
    int b = simd_max(lane * 32 < size ? more[lane] : -10000);
    if (lane == 0) more[0] = b;
  }}
  {BARRIER}
  int top = more[0];
  {BARRIER}
  shared[tid] = in[gid] - top; {BARRIER}
  int left = tid > 0 ? shared[tid - 1] : 0;
  out[gid] = shared[tid] * 7 + left / (1 + abs(top));""",
    "atomic operations of some": f"""
  if (group != 1) atomic_fetch_add_explicit(counter, int(lane) + 1, memory_order_relaxed);
  shared[tid] = int(tid); {BARRIER}
  if (lane == 3) atomic_fetch_add_explicit(counter, shared[tid ^ 1] * 100, memory_order_relaxed);
  out[gid] = shared[size - 1 - tid];""",
    "a barrier in a loop that is not unrolled": f"""
  int a = in[gid];
  for (int i = 0; i < 20 + (in[5] & 7); i++) {{
    if (group == 1) a += in[(gid + i) & 1023];
    shared[tid] = a; {BARRIER}
    a = a * 3 + shared[(tid + 33 * i + 1) % size]; {BARRIER}
  }}
  out[gid] = a;""",
    "a barrier in a branch": f"""
  int a = in[gid];
  shared[tid] = a; {BARRIER}
  if (shared[7] != 12345) {{
    if (group == 1) a += in[(gid + 1) & 1023];
    {BARRIER}
    shared[tid] = a; {BARRIER}
    a = a * 3 + shared[(tid + 33) % size];
  }}
  out[gid] = a;""",
    "what an atomic operation found": f"""
  int a = 0, n = atomic_load_explicit(counter, memory_order_relaxed) & 3;
  for (int i = 0; i < n; i++) a += in[(gid + i) & 1023];
  shared[tid] = a; {BARRIER}
  out[gid] = shared[(tid + 40) % size];""",
    "values of its own across barriers": f"""
  float4 wide = float4(in[gid], in[gid ^ 1], in[gid ^ 2], tid);
  bool odd = in[gid] & 1;
  half small = half(in[gid] & 63);
  long sum = 0;
  for (int i = 0; i < int(group) + (in[lane] & 3); i++)
    sum += long(in[(gid + i) & 1023]) << (i & 7);
  shared[tid] = int(wide.x) + int(sum); {BARRIER}
  int a = odd ? shared[tid ^ 1] : int(wide.y + wide.w);
  {BARRIER}
  shared[tid] = a ^ int(small); {BARRIER}
  out[gid] = shared[(tid + 35) % size] + int(sum >> 3) + int(wide.z);""",
    "what its own threads have written": f"""
  if (lane == 0) more[group] = in[gid];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  int a = more[group];
  if (group == 0) {{
    if (lane == 0) more[31] = a + 5;
    simdgroup_barrier(mem_flags::mem_threadgroup);
    if (more[31] > 0) a += more[31];
  }}
  {BARRIER}
  int b = more[31];
  if (tid == size - 1) more[30] = b + a;
  {BARRIER}
  out[gid] = a + b + more[30];""",
    "some return first": f"""
  shared[tid] = in[gid]; {BARRIER}
  if (group == 1 && (in[gid] & 1)) {{ out[gid] = 1; return; }}
  int a = shared[(tid + 1) % size];
  if (group == 0) for (int i = 0; i < int(lane); i++) a += shared[i];
  out[gid] = a;""",
}
CUT = {
    "loops that some leave earlier": f"""
  int a = 0, i = 0;
  while (true) {{
    a = a * 3 + in[(gid + i) & 1023];
    if (i >= int(group) || a > 5000) break;
    i++;
  }}
  int b = i * 2;
  shared[tid] = a; {BARRIER}
  out[gid] = shared[(tid + 33) % size] + b + i;""",
}
# Where simdgroups cannot be joined these are not cut either.
BARRIERS_IN_WAYS = {
    "a bound that all read",
    "a barrier in a loop that is not unrolled",
    "a barrier in a branch",
    "ways one after the other",
}
EVERY = {**JOINED, **PARTING, **CUT}
# Rounds that differ between simdgroups, which is in the way of joining them where all get there.
LEAVING = """
  int rounds = 0;
  do rounds++; while (in[(gid * 7 + rounds) & 1023] > int(group) * 100);
  out[gid] = out[gid] * 3 + rounds;"""


def run(source: str, engine: str, size: int, monkeypatch) -> tuple[np.ndarray, int, str]:
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
    kernel = metalwright.compile(source, device="cpu", file_name=engine).kernel("k")
    inputs = np.random.default_rng(3).integers(-1000, 1000, 1024).astype(np.int32)
    out, counter = np.zeros(2 * size, np.int32), np.full(1, 6, np.int32)
    kernel(inputs, out, counter, threads=2 * size, group_size=size)
    # The library is cached, and with it what was compiled for other sizes.
    _, found, how = kernel.explain().rpartition(f"threadgroups of {size} x 1 x 1:\n")
    return out, int(counter[0]), how.partition("threadgroups of ")[0] if found else how


@pytest.mark.parametrize("end", ["", LEAVING], ids=["", "leaving"])
@pytest.mark.parametrize("size", [64, 256, 96, 100])
@pytest.mark.parametrize("name", EVERY)
def test_engines_agree(name, size, end, monkeypatch):
    source = HEAD + EVERY[name] + end + "\n}\n"
    fast, count, how = run(source, "simdgroup", size, monkeypatch)
    expected, expected_count, _ = run(source, "checked", size, monkeypatch)
    assert np.array_equal(fast, expected)
    assert count == expected_count
    is_joined = size % 32 == 0 and name not in CUT and (not end or name == "some return first")
    is_cut = not is_joined and name not in BARRIERS_IN_WAYS
    assert ("in one program" in how) == (is_joined or is_cut), how
    assert ("cut at its barriers" in how) == is_cut, how
