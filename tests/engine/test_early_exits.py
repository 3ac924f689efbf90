"""Ways out before the first barrier: the same results as by the checked engine, whoever leaves."""

from __future__ import annotations

import os

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

GROUPS = 32 * (os.cpu_count() or 1)  # as in test_together.py
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
WORK = f"""
  shared[t] = a * 3 + int(place); {BARRIER}
  int b = simd_sum(shared[size - 1 - t]);
  if (lane == 0) partial[group] = b;
  {BARRIER}
  if (group == 0) {{
    int c = simd_max(lane < groups ? partial[lane] : -1000000);
    if (lane == 0) partial[0] = c;
  }}
  {BARRIER}
  out[gid] = partial[0] + shared[(t + 5) % size];"""
# Whole threadgroups leave: nothing, something by all threads, something that differs.
APART = {
    "a row that is not there": f"if (flags[place] & 1) return; {WORK}",
    "a row by its number": f"if (place % 5 == 2 || place > {GROUPS} - 3) return; {WORK}",
    "something to do first": f"out[gid] = -int(gid); if (flags[place] & 1) return; {WORK}",
    "something for each thread": f"""
  if (flags[place] & 2) {{
    int d = a;
    for (int i = 0; i < (a & 7); i++) d = d * 3 + in[(gid + i) % n];
    out[gid] = d;
    atomic_fetch_add_explicit(counter, d & 15, memory_order_relaxed);
    return;
  }} {WORK}""",
    "two ways out": f"""
  if (flags[place] & 1) {{ out[gid] = a * 2; return; }}
  if (flags[place] & 4) {{ out[gid] = a - int(lane); return; }} {WORK}""",
    "else": f"if (flags[place] & 1) {{ {WORK} }} else out[gid] = a;",
    "those that nobody leaves": f"if (flags[place] & 1024) {{ out[gid] = 1; return; }} {WORK}",
    "all of them": f"if (flags[place] < 1024) {{ out[gid] = int(t) + 1; return; }} {WORK}",
    "a loop around a barrier": f"""
  if (flags[place] & 1) return;
  for (int i = 0; i < (flags[place] & 6) + 1; i++) {{
    shared[t] = a; {BARRIER} a += shared[(t + 1) % size]; {BARRIER}
  }} {WORK}""",
    "a long row": f"""
  if (flags[place] & 1) return;
  for (uint i = t; i < 500; i += size) a += in[(place * 7 + i) % n]; {WORK}""",
}
# What may differ within a threadgroup, or is known only behind a barrier.
TOGETHER = {
    "some threads": f"if (in[gid] < 2000) {{ {WORK} }}",
    "behind a barrier": f"""
  shared[t] = flags[place]; {BARRIER}
  if (shared[3 % size] & 1) return; {BARRIER} {WORK}""",
}


def source(body: str) -> str:
    return f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device const int* flags, device int* out,
              device atomic_int* counter, constant uint& n,
              uint t [[thread_position_in_threadgroup]], uint gid [[thread_position_in_grid]],
              uint place [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
              uint size [[threads_per_threadgroup]], uint group [[simdgroup_index_in_threadgroup]],
              uint groups [[simdgroups_per_threadgroup]]) {{
  threadgroup int shared[128], partial[32];
  int a = in[gid];
  {body}
}}"""


@pytest.mark.parametrize("groups", [GROUPS, GROUPS + 1])
@pytest.mark.parametrize("size", [96, 100, 32, 21])
@pytest.mark.parametrize("name", APART | TOGETHER)
def test_engines_agree(name: str, size: int, groups: int, monkeypatch) -> None:
    random = np.random.default_rng(7)
    inputs = random.integers(-1000, 1000, groups * size).astype(np.int32)
    # Eight neighbours that stay, eight that leave, and all mixtures.
    flags = random.integers(0, 8, groups).astype(np.int32)
    flags[:8] &= ~3
    flags[16:24] |= 3
    # Who comes to the first barrier is known before the kernel begins.
    alone = name == "some threads" and size <= 32
    found = []
    for engine in ("simdgroup", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        text = f"{source((APART | TOGETHER)[name])}\n// {size} {groups}"
        kernel = metalwright.compile(text, device="cpu", file_name=engine).kernel("k")
        out, counter = np.full(groups * size, -7, np.int32), np.zeros(1, np.int32)
        kernel(
            inputs, flags, out, counter, groups * size,
            threads=groups * size, group_size=size, arg_casts="int32",
        )  # fmt: skip
        found.append((out, counter))
        if engine == "simdgroup":
            how = kernel.explain()
            assert ("a program of its own" in how) == (name in APART or alone), how
            assert ("a program of their own" in how) == alone, how
            assert ("its own (2 of them)" in how) == (name == "two ways out"), how
            if name in ("a row that is not there", "something for each thread"):
                assert ("threadgroups at a time" in how) == (groups == GROUPS), how
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


# In threadgroups of one simdgroup, threads that leave before a barrier.
ALONE = {
    "one way out": f"if (in[gid] < 0) {{ out[gid] = -in[gid]; return; }} {WORK}",
    "two conditions": f"""
  if (in[gid] < 0 || flags[gid] > 7) {{ out[gid] = int(t) + a; return; }} {WORK}""",
    "an index": f"""
  int index = in[gid] < -2000 ? in[gid] + 4000 : in[gid];
  if (index < 0 || index >= 1000) {{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return;
  }}
  a += flags[index]; {WORK}""",
    "one after the other": f"""
  if (in[gid] < 0) {{ out[gid] = 1; return; }}
  if (flags[gid] > 7) {{ out[gid] = 2; return; }} {WORK}""",
    "a row and a thread": f"""
  if (flags[place * size] > 70) {{ out[gid] = a * 2; return; }}
  if (in[gid] < 0) {{ out[gid] = 1; return; }} {WORK}""",
    "those who stay": f"if (in[gid] >= 0 && flags[gid] < 8) {{ {WORK} }} else out[gid] = 3;",
}


@pytest.mark.parametrize("groups", [GROUPS, GROUPS + 1])
@pytest.mark.parametrize("size", [32, 21, 16])
@pytest.mark.parametrize("name", ALONE)
def test_threads_that_leave(name: str, size: int, groups: int, monkeypatch) -> None:
    """Nobody, whole threadgroups, and some threads of one, which is an error."""
    random = np.random.default_rng(8)
    inputs = random.integers(0, 1000, groups * size).astype(np.int32)
    flags = random.integers(0, 8, groups * size).astype(np.int32)
    text = source(ALONE[name]) + f"// {size} {groups}"
    leaving = np.array([3, 17, 18, 30])

    def run(engine: str) -> list:
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        kernel = metalwright.compile(text, device="cpu", file_name=engine).kernel("k")
        found: list = []
        for who in ("nobody", "threadgroups", "a thread"):
            given, marks = inputs.copy(), flags.copy()
            if who == "threadgroups":
                given.reshape(groups, size)[leaving] = -5
                marks.reshape(groups, size)[leaving + 1] = 90 if "row" in name else 7
            if who == "a thread":
                given[19 * size + 4] = -3
            out, counter = np.full(groups * size, -7, np.int32), np.zeros(1, np.int32)
            arguments = (given, marks, out, counter, groups * size)
            try:
                kernel(*arguments, threads=groups * size, group_size=size, arg_casts="int32")
                found += [out, counter]
            except metalwright.DispatchError as error:
                found.append(f"{error.code} {str(error).replace(engine, '')}")
        # Masks that are merged from several ways are not followed.
        if engine == "simdgroup" and name not in ("two conditions", "one after the other"):
            how = kernel.explain()
            assert "a program of their own" in how, how
            assert ("threadgroups at a time" in how) == (groups == GROUPS), how
        return found

    ours, checked = run("simdgroup"), run("checked")
    assert len(ours) == len(checked) == 5
    for mine, theirs in zip(ours[:4], checked[:4], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert ours[4].startswith("divergent-barrier"), ours[4]
    assert "(19, 0, 0)" in ours[4], ours[4]
    assert checked[4].startswith("divergent-barrier"), checked[4]


def test_rows_of_threadgroups(monkeypatch) -> None:
    """Those that leave are told by their place along each axis."""
    text = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device int* out, constant uint3& end, uint3 p [[thread_position_in_grid]],
              uint3 n [[threads_per_grid]], uint3 where [[threadgroup_position_in_grid]],
              uint t [[thread_index_in_threadgroup]]) {{
  threadgroup uint all[64];
  uint i = (p.z * n.y + p.y) * n.x + p.x;
  if (where.x >= end.x || where.y >= end.y || where.z == end.z) {{ out[i] = -int(t); return; }}
  all[t] = t + 100 * where.x; {BARRIER}
  out[i] = all[63 - t] + 10000 * where.y + 1000000 * where.z;
}}"""
    width, height, depth = 16, 5, 4 * (os.cpu_count() or 1)
    found = []
    for engine in ("simdgroup", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        kernel = metalwright.compile(text, device="cpu", file_name=engine).kernel("k")
        out = np.zeros((depth * 2, height * 4, width * 8), np.int32)
        end = np.array([13, 4, 1, 0], np.uint32)
        kernel(out, end, threads=out.shape[::-1], group_size=(8, 4, 2))
        found.append(out)
        if engine == "simdgroup":
            assert "a program of its own" in kernel.explain()
    np.testing.assert_array_equal(found[0], found[1])


def test_a_fault_behind_the_way_out(monkeypatch) -> None:
    """It is named with its line, and those who leave do not meet it."""
    text = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device int* out, device const int* flags,
              uint t [[thread_position_in_threadgroup]], uint gid [[thread_position_in_grid]],
              uint place [[threadgroup_position_in_grid]]) {{
  threadgroup int shared[64];
  if (flags[place] != 0) return;
  shared[t] = in[gid + 1000000000u * uint(flags[place] == 0)]; {BARRIER}
  out[gid] = shared[63 - t];
}}"""
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", "simdgroup")
    kernel = metalwright.compile(text, device="cpu", file_name="fault.metal").kernel("k")
    count = GROUPS * 64
    inputs, out = np.ones(count, np.int32), np.full(count, 3, np.int32)
    flags = np.ones(GROUPS, np.int32)
    kernel(inputs, out, flags, threads=count, group_size=64)
    assert (out == 3).all()
    flags[9] = 0
    with pytest.raises(metalwright.DispatchError, match=r"fault\.metal:8"):
        kernel(inputs, out, flags, threads=count, group_size=64)
