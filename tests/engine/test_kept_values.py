"""Values that threads need behind a barrier and that lie in threadgroup memory already: they are
read from there as long as nobody else may have written."""

from __future__ import annotations

import os

import numpy as np
import pytest

from engine.both import threads_on_both_engines

pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

GROUPS = 32 * (os.cpu_count() or 1)  # as in test_together.py
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
BODIES = {
    "kept": f"all[t] = v; {BARRIER} out[gid] = v * 2 + all[(t + 1) % N];",
    "over several barriers": f"""
  all[t] = v; {BARRIER} float a = all[(t + 1) % N]; {BARRIER}
  out[gid] = v * a + all[(t + 5) % N];""",
    "in another order": f"all[N - 1 - t] = v; {BARRIER} out[gid] = v * 2 + all[(t + 1) % N];",
    "written behind the barrier": f"""
  all[t] = v; {BARRIER} float a = all[(t + 1) % N]; {BARRIER}
  all[(t + 3) % N] = a; {BARRIER} out[gid] = v * a + all[t];""",
    "written again before": f"""
  all[t] = v; all[t] = v + 1; {BARRIER} out[gid] = v * 2 + all[(t + 1) % N];""",
    "another's memory, before": f"""
  more[t] = v; all[t] = v * v; {BARRIER} out[gid] = v * 2 + all[(t + 1) % N] - more[N - 1 - t];""",
    "some threads": f"""
  if (t % 3 == 1) all[t] = v; else all[t] = 1;
  {BARRIER} out[gid] = v * 2 + all[(t + 1) % N];""",
    "a buffer too": f"all[t] = v; out[gid] = v; {BARRIER} out[gid] += v * all[(t + 1) % N];",
    "an atomic in between": f"""
  all[t] = v; if (t == 0) atomic_store_explicit(&count, 0, memory_order_relaxed); {BARRIER}
  atomic_fetch_add_explicit(&count, int(v * 8), memory_order_relaxed); {BARRIER}
  out[gid] = v + all[(t + 1) % N] + float(atomic_load_explicit(&count, memory_order_relaxed));""",
}


@pytest.mark.parametrize("groups", [GROUPS, 3])
@pytest.mark.parametrize("size", [96, 100])
@pytest.mark.parametrize("name", BODIES)
def test_engines_agree(name: str, size: int, groups: int, monkeypatch) -> None:
    text = f"""#include <metal_stdlib>
using namespace metal;
#define N {size}
kernel void k(device const float* in, device float* out,
              uint t [[thread_position_in_threadgroup]], uint gid [[thread_position_in_grid]]) {{
  threadgroup float all[N], more[N];
  threadgroup atomic_int count;
  float v = in[gid] * 3 + sqrt(in[gid]);
  {BODIES[name]}
}}
// {groups}"""
    inputs = np.random.default_rng(9).random(groups * size, np.float32)
    fast, checked, kernel = threads_on_both_engines(monkeypatch, text, inputs, size)
    np.testing.assert_array_equal(fast, checked)
    if name == "kept" and size == 96:
        # Nothing is put aside: 32 floats for each simdgroup would be.
        stack = next(s for s in kernel.explain().splitlines() if s.startswith("stack: "))
        assert int(stack.split()[1]) < size * 4, stack
