"""Reductions of several threadgroups that are done together: the bits of the checked engine."""

from __future__ import annotations

import os

import numpy as np
import pytest

from engine.both import on_both_engines

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

SIZE = 96
GROUPS = 32 * (os.cpu_count() or 1)  # as in test_together.py
REDUCTIONS = [
    ("float", "simd_sum"),
    ("float", "simd_product"),
    ("float", "simd_max"),
    ("float", "simd_min"),
    ("int", "simd_sum"),
    ("int", "simd_product"),
    ("int", "simd_max"),
    ("uint", "simd_min"),
    ("uint", "simd_and"),
    ("uint", "simd_or"),
    ("int", "simd_xor"),
    ("half", "simd_sum"),
    ("short", "simd_max"),
]
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"


def source(kind: str, function: str, loop: str) -> str:
    return f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const {kind}* in, device {kind}* out, uint gid [[thread_position_in_grid]],
              uint lane [[thread_index_in_simdgroup]], uint t [[thread_index_in_threadgroup]],
              uint group [[simdgroup_index_in_threadgroup]]) {{
  threadgroup {kind} partial[3], all[{SIZE}];
  {kind} a = in[gid];
  all[t] = a;
  {kind} b = {function}(a);
  // The next one needs the one before.
  {kind} c = {function}({kind}(a + b));
  if (lane == 0) partial[group] = c;
  {BARRIER}
  {loop.format(kind=kind)}
  {kind} d = {function}(lane < 3 ? partial[lane] : partial[0]);
  {BARRIER}
  if (group == 1) partial[0] = d;
  {BARRIER}
  out[gid] = {kind}(partial[0] + b + a);
}}"""


# All threads walk through the same memory: then sixteen threadgroups are joined, else four.
LOOPS = {
    "four": "",
    "sixteen": f"{{kind}} e = 0; for (uint i = 0; i < {SIZE}; i++) e += all[i]; a += e;",
}


@pytest.mark.parametrize("count", LOOPS)
@pytest.mark.parametrize(("kind", "function"), REDUCTIONS)
def test_engines_agree(kind: str, function: str, count: str, monkeypatch) -> None:
    dtype = {"uint": "uint32", "int": "int32", "short": "int16", "half": "float16"}.get(
        kind, "float32"
    )
    random = np.random.default_rng(5)
    if "float" in dtype:
        values = (random.standard_normal(GROUPS * SIZE) / 3 + 1).astype(dtype)
    else:
        values = random.integers(0, 30000, GROUPS * SIZE).astype(dtype)
    found = []
    for engine in ("simdgroup", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        text = source(kind, function, LOOPS[count])
        kernel = metalwright.compile(text, device="cpu", file_name=engine).kernel("k")
        out = np.zeros(GROUPS * SIZE, dtype)
        kernel(values, out, threads=GROUPS * SIZE, group_size=SIZE)
        found.append(out)
        if engine == "simdgroup":
            together = {"four": "for 4 threadgroups", "sixteen": "for 16 threadgroups"}[count]
            assert together in kernel.explain()
            if (kind, function) == ("float", "simd_sum"):
                code = kernel.code("llvm")
                # The last steps of single trees: none is left.
                assert "fadd <2 x float>" not in code
                assert "fadd fast <2 x float>" not in code
    np.testing.assert_array_equal(found[0].view(f"u{found[0].itemsize}"),
                                  found[1].view(f"u{found[1].itemsize}"))  # fmt: skip


@pytest.mark.parametrize("size", [16, 20, 8])
@pytest.mark.parametrize(("kind", "function"), [("float", "simd_sum"), ("int", "simd_max")])
def test_small_threadgroups_and_their_neighbouring_results(
    kind: str, function: str, size: int, monkeypatch
) -> None:
    text = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const {kind}* in, device {kind}* out, uint2 p [[thread_position_in_grid]],
              uint2 t [[thread_position_in_threadgroup]]) {{
  threadgroup {kind} kept[1];
  int x = p.x;
  {kind} s = {function}(in[p.y + {size} * x] * in[p.y + {size} * (x % 32)]);
  if (t.y == 0) kept[0] = s;
  {BARRIER}
  if (t.y == 0) out[x] = {kind}(sqrt(float(abs(kept[0]))));
}}"""
    groups = 16 * GROUPS
    random = np.random.default_rng(7)
    values = random.integers(-100, 100, groups * size).astype("int32" if kind == "int" else "f4")
    fast, checked, kernel = on_both_engines(
        monkeypatch,
        text,
        [values],
        np.zeros(groups, values.dtype),
        threads=(groups, size),
        group_size=(1, size),
    )
    np.testing.assert_array_equal(fast.view("u4"), checked.view("u4"))
    if kind == "float" and size == 16:
        # One root of all threadgroups of a call, and one store.
        assert "@llvm.sqrt.v8f32(" in kernel.code("llvm")
