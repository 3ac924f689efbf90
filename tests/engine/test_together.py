"""Several threadgroups in one program: the same results as one at a time, and as by the checked
engine."""

from __future__ import annotations

import os

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

SIZE = 96
# Enough for every processor (csrc/cpu/kernel.cpp), and a multiple of eight.
GROUPS = 32 * (os.cpu_count() or 1)
HEAD = """#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device int* out, device atomic_int* counter,
              uint tid [[thread_position_in_threadgroup]], uint gid [[thread_position_in_grid]],
              uint place [[threadgroup_position_in_grid]],
              uint lane [[thread_index_in_simdgroup]],
              uint group [[simdgroup_index_in_threadgroup]]) {
  threadgroup int shared[96];
  threadgroup int more[32];
"""
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
# Ways that only compute, and a branch past them.
WAYS = """
  if (a & 1) { a = a * 7 + 3; if (a & 4) b = a - b; } else if (a & 8) { b = b * b - a; }
"""
TOGETHER = {
    "the first simdgroup alone": f"""
  int a = simd_sum(in[gid]);
  if (lane == 0) more[group] = a;
  {BARRIER}
  if (group == 0) {{ int b = simd_sum(lane < 3 ? more[lane] : 0); if (lane == 0) more[0] = b; }}
  {BARRIER}
  out[gid] = in[gid] * 3 + more[0] + int(place);""",
    "ways that only compute": f"""
  int a = in[gid], b = int(tid);
  if (group == 0) more[lane] = a;
  {BARRIER}
  a += more[(lane + 5) & 31];
  {WAYS}
  shared[tid] = a; {BARRIER}
  out[gid] = shared[(tid + 40) % 96] + b;""",
    "a loop that all threads share": f"""
  shared[tid] = in[gid]; {BARRIER}
  int a = shared[0], b = 0;
  for (int i = 1; i < 96; i++) {{
    int d = shared[i] - a;
    a += d / (i + 1);
    b += d * (shared[i] - a);
  }}
  {BARRIER}
  if (group == 1) shared[lane] = a;
  {BARRIER}
  out[gid] = in[gid] - a + b + shared[3];""",
    "memory of its own": f"""
  int mine[5];
  for (int i = 0; i < 5; i++) mine[i] = in[(gid * 3 + i) & 1023];
  shared[tid] = mine[tid % 5]; {BARRIER}
  if (group != 0) mine[shared[(tid + 32) % 96] & 3] += 7;
  {BARRIER}
  int a = 0;
  for (int i = 0; i < 5; i++) a = a * 31 + mine[i];
  out[gid] = a;""",
    "values of all kinds across barriers": f"""
  float4 wide = float4(in[gid], in[gid ^ 1], tid, place);
  bool odd = in[gid] & 1, last = group == 2;
  half small = half(in[gid] & 63);
  long sum = long(in[gid]) << 33;
  shared[tid] = last ? int(wide.x) : int(sum >> 35); {BARRIER}
  int other = shared[tid ^ 1], a = odd ? other : int(wide.y + wide.w);
  {BARRIER}
  if (last) shared[tid] = a ^ int(small); else shared[tid] = a;
  {BARRIER}
  out[gid] = shared[(tid + 35) % 96] + int(sum >> 33) + int(wide.z) + last;""",
}
APART = {
    # One lane after the other, in a loop.
    "atomic operations": f"""
  if (group != 1) atomic_fetch_add_explicit(counter, int(lane) + 1, memory_order_relaxed);
  shared[tid] = int(tid + place); {BARRIER}
  if (group == 2) shared[lane] += 1;
  {BARRIER}
  if (lane == 3) atomic_fetch_add_explicit(counter, shared[tid ^ 1], memory_order_relaxed);
  out[gid] = shared[95 - tid];""",
    "a loop over a buffer": f"""
  int a = 0;
  for (int i = 0; i < 40 + (in[5] & 3); i++) a = a * 3 + in[(gid + i * 96) & 1023];
  if (group == 1) more[lane] = a;
  {BARRIER}
  out[gid] = more[lane] + a;""",
    "ways of threadgroups that part": f"""
  if (group == 1) more[lane] = in[gid];
  {BARRIER}
  int a = more[lane];
  if (in[place] & 1) {{ a += in[(gid + 7) & 1023]; out[gid] = a; }} else out[gid] = -a;""",
}
EVERY = TOGETHER | APART


def run(body: str, engine: str, groups: int, monkeypatch) -> tuple[np.ndarray, int, str]:
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
    source = f"{HEAD}{body}\n  // {groups}\n}}"  # a library of its own, with one variant
    kernel = metalwright.compile(source, device="cpu", file_name=engine).kernel("k")
    inputs = np.random.default_rng(3).integers(-1000, 1000, groups * SIZE).astype(np.int32)
    out, counter = np.zeros(groups * SIZE, np.int32), np.zeros(1, np.int32)
    for _ in range(2):
        kernel(inputs, out, counter, threads=groups * SIZE, group_size=SIZE)
    return out, int(counter[0]), kernel.explain()


@pytest.mark.parametrize("groups", [GROUPS, GROUPS + 1])
@pytest.mark.parametrize("name", EVERY)
def test_engines_agree(name: str, groups: int, monkeypatch) -> None:
    fast, count, how = run(EVERY[name], "simdgroup", groups, monkeypatch)
    expected, expected_count, _ = run(EVERY[name], "checked", groups, monkeypatch)
    np.testing.assert_array_equal(fast, expected)
    assert count == expected_count
    assert ("threadgroups at a time" in how) == (name in TOGETHER and groups == GROUPS), how


def test_rows_of_threadgroups(monkeypatch) -> None:
    """Those of the second and third axis are told apart by their positions."""
    source = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device int* out, uint3 p [[thread_position_in_grid]], uint3 n [[threads_per_grid]],
              uint3 where [[threadgroup_position_in_grid]], uint t [[thread_index_in_threadgroup]],
              uint group [[simdgroup_index_in_threadgroup]]) {{
  threadgroup uint all[64];
  all[t] = t; {BARRIER}
  if (group == 1) all[t - 32] += where.x + 100 * where.y + 10000 * where.z;
  {BARRIER}
  out[(p.z * n.y + p.y) * n.x + p.x] = all[t & 31];
}}"""
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", "simdgroup")
    kernel = metalwright.compile(source, device="cpu").kernel("k")
    width, height, depth = 16, 5, 4 * (os.cpu_count() or 1)
    out = np.zeros((depth * 2, height * 4, width * 8), np.int32)
    kernel(out, threads=out.shape[::-1], group_size=(8, 4, 2))
    assert "threadgroups at a time" in kernel.explain()
    z, y, x = np.indices(out.shape)
    t = (z % 2 * 4 + y % 4) * 8 + x % 8
    np.testing.assert_array_equal(out, (t & 31) + x // 8 + 100 * (y // 4) + 10000 * (z // 2))


def test_threadgroup_memory_that_the_caller_sizes(monkeypatch) -> None:
    source = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device int* out, threadgroup int* mine [[threadgroup(0)]],
              uint gid [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]],
              uint group [[simdgroup_index_in_threadgroup]]) {{
  mine[t] = gid; {BARRIER}
  if (group == 0) mine[t] += 1;
  {BARRIER}
  out[gid] = mine[63 - t];
}}"""
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", "simdgroup")
    kernel = metalwright.compile(source, device="cpu").kernel("k")
    out = np.zeros(GROUPS * 64, np.int32)
    kernel(out, threads=out.size, group_size=64, threadgroup_memory={0: 256})
    assert "threadgroups at a time" not in kernel.explain()
    other = np.arange(out.size) ^ 63
    np.testing.assert_array_equal(out, other + (other % 64 < 32))


MERGED = {
    (96, "x + W * t", "true"),
    (96, "p.x % 24 + 24 * t + 24 * S * (p.x / 24)", "true"),
    (96, "(p.x & 15) + 16 * t + 16 * S * (p.x >> 4)", "true"),
    (21, "p.x % 24 + 24 * t + 24 * S * (p.x / 24)", "true"),
}


@pytest.mark.parametrize(
    ("size", "index"),
    [
        (96, "x + W * t"),
        # The last simdgroup has some lanes only.
        (100, "x + W * t"),
        (96, "t * W + x + 3"),
        (96, "(2 * t + 1) * W + x"),
        (96, "x * 2 + t * 64"),
        (96, "x + (t % 3 ? t * W : 7 * W)"),
        (96, "(t ^ 5) * W + x"),
        (96, "W * (t + (x & 1)) + x"),
        # Places that are taken apart, as TorchInductor does it.
        (96, "p.x % 24 + 24 * t + 24 * S * (p.x / 24)"),
        (96, "p.x % 12 + 12 * t + 12 * S * (p.x / 12)"),
        (96, "(p.x & 15) + 16 * t + 16 * S * (p.x >> 4)"),
        (96, "(p.x & 3) + 4 * t + 4 * S * (p.x >> 2)"),
        (96, "(3 * p.x) % 24 + 24 * t + 5 * (p.x / 3)"),
        (96, "(p.x + 4) % 8 + 8 * t + 3 * ((p.x + 4) / 8)"),
        # One simdgroup, whole or not.
        (32, "x + W * t"),
        (32, "t * W + x / 8"),
        (21, "p.x % 24 + 24 * t + 24 * S * (p.x / 24)"),
        (16, "t + 16 * (p.x / 16) + 3 * (p.x % 16)"),
        (8, "x + W * t"),
        (1, "x + W * t"),
    ],
)
@pytest.mark.parametrize("guard", ["true", "in[t] & 3", "x != 17"])
def test_columns(size: int, index: str, guard: str, monkeypatch) -> None:
    """What neighbouring threadgroups gather from places that lie side by side."""
    source = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device int* out, uint2 p [[thread_position_in_grid]],
              uint group [[simdgroup_index_in_threadgroup]]) {{
  threadgroup int all[{size}];
  const int W = {GROUPS}, S = {size};
  int x = p.x, t = p.y, a = 5;
  if ({guard}) a = in[{index}];
  all[t] = a; {BARRIER}
  if (group == 1) all[t] += 3;
  {BARRIER}
  out[x * {size} + t] = all[{size} - 1 - t] * 3 + a;
}}"""
    inputs = np.random.default_rng(1).integers(-1000, 1000, 2 * (size + 2) * GROUPS)
    found = []
    for engine in ("simdgroup", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        kernel = metalwright.compile(source, device="cpu", file_name=engine).kernel("k")
        out = np.zeros((GROUPS, size), np.int32)
        kernel(inputs.astype(np.int32), out, threads=(GROUPS, size), group_size=(1, size))
        found.append(out)
        if engine == "simdgroup" and (size, index, guard) in MERGED:
            assert "call <32 x i32> @llvm.masked.gather" not in kernel.code("llvm")
        if engine == "simdgroup" and size in (8, 16, 21, 32) and guard == "true":
            assert "8 threadgroups at a time" in kernel.explain()
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("size", [1, 7, 16, 21, 31, 32])
@pytest.mark.parametrize("groups", [GROUPS, GROUPS + 3])
def test_a_single_simdgroup(size: int, groups: int, monkeypatch) -> None:
    """Its barriers are nothing, and what lanes there are is known."""
    source = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device int* out, uint gid [[thread_position_in_grid]],
              uint t [[thread_index_in_threadgroup]], uint n [[threads_per_threadgroup]],
              uint s [[simdgroup_index_in_threadgroup]]) {{
  threadgroup int all[32];
  int a = in[gid];
  all[t] = a + int(s); {BARRIER}
  int b = all[n - 1 - t]; {BARRIER}
  if (t < 5) all[t] = simd_sum(b);
  {BARRIER}
  out[gid] = simd_max(b) + simd_prefix_inclusive_sum(a) + all[0];
}}  // {groups}"""
    inputs = np.random.default_rng(2).integers(-1000, 1000, groups * size).astype(np.int32)
    found = []
    for engine in ("simdgroup", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        kernel = metalwright.compile(source, device="cpu", file_name=engine).kernel("k")
        out = np.zeros(groups * size, np.int32)
        kernel(inputs, out, threads=groups * size, group_size=size)
        found.append(out)
        if engine == "simdgroup":
            together = "8 threadgroups at a time" in kernel.explain()
            assert together == (groups == GROUPS)
    np.testing.assert_array_equal(found[0], found[1])
