"""Threadgroups whose simdgroups all take the same way run as one program, with the same results."""

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
APART = {
    "a branch on the simdgroup": f"""
  int a = in[gid];
  if (group == 1) for (int i = 0; i < (in[3] & 15); i++) a = a * 5 + in[(gid + i) & 1023];
  shared[tid] = a; {BARRIER}
  out[gid] = shared[(tid + 40) % size];""",
    "what an atomic operation found": f"""
  int a = 0, n = atomic_load_explicit(counter, memory_order_relaxed) & 3;
  for (int i = 0; i < n; i++) a += in[(gid + i) & 1023];
  shared[tid] = a; {BARRIER}
  out[gid] = shared[(tid + 40) % size];""",
}


def run(source: str, engine: str, size: int, monkeypatch) -> tuple[np.ndarray, int, str]:
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
    kernel = metalwright.compile(source, device="cpu", file_name=engine).kernel("k")
    inputs = np.random.default_rng(3).integers(-1000, 1000, 1024).astype(np.int32)
    out, counter = np.zeros(2 * size, np.int32), np.full(1, 6, np.int32)
    kernel(inputs, out, counter, threads=2 * size, group_size=size)
    # The library is cached, and with it what was compiled for other sizes.
    _, found, how = kernel.explain().rpartition(f"threadgroups of {size} x 1 x 1:\n")
    return out, int(counter[0]), how.partition("threadgroups of ")[0] if found else how


@pytest.mark.parametrize("size", [64, 256, 96, 100])
@pytest.mark.parametrize("name", [*JOINED, *APART])
def test_engines_agree(name, size, monkeypatch):
    source = HEAD + {**JOINED, **APART}[name] + "\n}\n"
    fast, count, how = run(source, "simdgroup", size, monkeypatch)
    expected, expected_count, _ = run(source, "checked", size, monkeypatch)
    assert np.array_equal(fast, expected)
    assert count == expected_count
    assert ("in one program" in how) == (name in JOINED and size % 32 == 0), how
