"""Loops in which a threadgroup strides over a row: whole rounds side by side, then the rest."""

from __future__ import annotations

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

SIZE = 128
GROUPS = 6
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
# Rows of this many elements: none, less than a simdgroup, all but whole rounds, ...
LENGTHS = (0, 1, 31, 64, 127, 128, 129, 300, 512, 1000)
BODIES = {
    "a sum": """
  int sum = 0;
  for (uint i = t; i < n; i += SIZE) sum = sum * 3 + row[i];
  int result = sum;""",
    "int": """
  int sum = 0;
  for (int i = int(t); i < int(n); i += SIZE) sum = sum * 3 + row[i];
  int result = sum;""",
    "the size from the kernel": """
  int sum = 0;
  for (uint i = t; i < n; i += size) sum ^= row[i] + sum / 7;
  int result = sum;""",
    "two loops and what they share": """
  int sum = 0, most = -100000, i = 5;
  for (uint i = t; i < n; i += SIZE) { most = max(most, row[i]); sum += most; }
  all[t] = sum; BARRIER
  int other = all[(t + 1) % SIZE];
  BARRIER
  for (uint i = t; i < n; i += SIZE) { sum = sum * 5 + row[i] - other; }
  int result = sum + most + i;""",
    "writing": """
  for (uint i = t; i < n; i += SIZE) out[SIZE * GROUPS + place * n + i] = row[i] * 2 + int(i);
  int result = int(t);""",
    "ways in a round": """
  int sum = 0, odd = 0;
  for (uint i = t; i < n; i += SIZE) {
    int a = row[i];
    if (a & 1) { odd++; if (a & 2) sum += row[(i * 7) % n]; } else sum -= a;
    sum ^= int(i);
  }
  int result = sum * 11 + odd;""",
    "the counter afterwards": """
  uint i = t;
  int sum = 0;
  for (; i < n; i += SIZE) sum += row[i];
  int result = sum + int(i) * 3;""",
    "a start that is not the thread": """
  int sum = 0;
  for (uint i = (t * 5 + 2) % SIZE; i < n; i += SIZE) sum = sum * 3 + row[i];
  int result = sum;""",
    "a private array": """
  int mine[4] = {1, 2, 3, 4};
  for (uint i = t; i < n; i += SIZE) mine[row[i] & 3] += row[i];
  int result = mine[0] + 3 * mine[1] + 5 * mine[2] + 7 * mine[3];""",
    "what a thread reads back": """
  all[t] = 1;
  for (uint i = t; i < n; i += SIZE) all[t] = all[t] * 3 + row[i];
  int result = all[t];""",
    "after a branch": """
  int sum = 0;
  if (n > 200) for (uint i = t; i < n; i += SIZE) sum = sum * 3 + row[i];
  int result = sum;""",
    "a way out": """
  int sum = 0;
  for (uint i = t; i < n; i += SIZE) { sum = sum * 3 + row[i]; if (sum > 100000) break; }
  int result = sum;""",
    "a bound that is computed": """
  int sum = 0;
  for (uint i = t; i < n / 2 + (n & 4); i += SIZE) sum = sum * 3 + row[i];
  int result = sum;""",
    "a bound below zero": """
  int sum = 0;
  for (int i = int(t); i < int(n) - 100; i += SIZE) sum = sum * 3 + row[i];
  int result = sum;""",
    "two elements a round": """
  int sum = 0;
  for (uint i = 2 * t; i < (n & ~1u); i += 2 * SIZE) sum = sum * 3 + row[i] - 5 * row[i + 1];
  int result = sum;""",
    "a row for each simdgroup": """
  int sum = 0;
  for (uint i = group; i < n / 32; i += SIZE / 32) sum = sum * 3 + row[i * 32 + lane];
  int result = sum;""",
    "a bound that changes": """
  int sum = 0;
  for (uint i = t; i < n - min(n, uint(abs(sum)) & 7); i += SIZE) sum = sum * 3 + row[i];
  int result = sum;""",
    "a start beyond the step": """
  int sum = 0;
  for (uint i = 3 * t; i < n; i += SIZE) sum = sum * 3 + row[i];
  int result = sum;""",
    "another step": """
  int sum = 0;
  for (uint i = t; i < n; i += 2 * SIZE) sum = sum * 3 + row[i];
  int result = sum;""",
}
# Which are not split.
WHOLE = {"after a branch", "a way out", "a bound that changes", "a start beyond the step"}


# Rounds that differ between simdgroups, which is in the way of joining all of the program.
LEAVING = """
  int rounds = 0;
  do rounds++; while (in[(rounds * 5) % (n + 1)] > int(group) * 100 && rounds < 9);
  result = result * 3 + rounds;"""


def source_of(body: str) -> str:
    text = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device int* out, constant uint& n,
              uint t [[thread_index_in_threadgroup]],
              uint place [[threadgroup_position_in_grid]], uint size [[threads_per_threadgroup]],
              uint lane [[thread_index_in_simdgroup]],
              uint group [[simdgroup_index_in_threadgroup]]) {{
  threadgroup int all[SIZE];
  threadgroup int more[32];
  device const int* row = in + place * n;
{body}
  result = simd_sum(result * int(t + 1));
  if (lane == 0) more[group] = result;
  BARRIER
  if (group == 1) all[lane] = more[lane & 3] * 3;
  BARRIER
  out[place * SIZE + t] = all[t & 31] + result;
}}"""
    return (
        text.replace("BARRIER", BARRIER).replace("SIZE", str(SIZE)).replace("GROUPS", str(GROUPS))
    )


@pytest.mark.parametrize("end", ["", LEAVING], ids=["", "leaving"])
@pytest.mark.parametrize("name", BODIES)
def test_engines_agree(name: str, end: str, monkeypatch) -> None:
    source = source_of(BODIES[name] + end)
    kernels = {}
    for engine in ("simdgroup", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        kernels[engine] = metalwright.compile(source, device="cpu", file_name=engine).kernel("k")
    for n in LENGTHS:
        row = np.random.default_rng(n).integers(-1000, 1000, GROUPS * n + 1).astype(np.int32)
        found = {}
        for engine, kernel in kernels.items():
            found[engine] = np.full(GROUPS * (SIZE + n), 7, np.int32)
            kernel(row, found[engine], n, threadgroups=GROUPS, group_size=SIZE, arg_casts="int32")
        np.testing.assert_array_equal(found["simdgroup"], found["checked"], err_msg=str(n))
    assert ("cut at its barriers" in kernels["simdgroup"].explain()) == bool(end)
    assert (".all" in kernels["simdgroup"].code("llvm")) == (name not in WHOLE)


@pytest.mark.parametrize("n", [-5, -1, 0, 3, 1000])
def test_bounds_below_zero(n: int, monkeypatch) -> None:
    source = source_of(BODIES["int"]).replace("constant uint& n", "constant int& n")
    source = source.replace("in + place * n", "in + 1")
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", "simdgroup")
    kernel = metalwright.compile(source, device="cpu").kernel("k")
    row = np.arange(1001, dtype=np.int32)
    out = np.zeros(GROUPS * SIZE, np.int32)
    kernel(row, out, n, threadgroups=GROUPS, group_size=SIZE, arg_casts="int32")
    sums = np.zeros(SIZE, np.int64)
    for i in range(max(n, 0)):
        sums[i % SIZE] = sums[i % SIZE] * 3 + row[i + 1]
    groups = (sums * np.arange(1, SIZE + 1)).reshape(-1, 32).sum(1)
    expected = (groups[np.arange(SIZE) & 3] * 3 + np.repeat(groups, 32)).astype(np.int32)
    np.testing.assert_array_equal(out, np.tile(expected, GROUPS))


@pytest.mark.parametrize("end", ["", LEAVING], ids=["", "leaving"])
@pytest.mark.parametrize("n", [0, 100, 128, 300, 512, 1000, 1024])
@pytest.mark.parametrize("name", ["a sum", "two loops and what they share", "writing"])
def test_sizes_that_are_known(name: str, n: int, end: str, monkeypatch) -> None:
    source = source_of(BODIES[name].replace("i < n", f"i < {n}") + end)
    row = np.random.default_rng(n).integers(-1000, 1000, GROUPS * n + 1).astype(np.int32)
    found = {}
    for engine in ("simdgroup", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        kernel = metalwright.compile(source, device="cpu", file_name=engine).kernel("k")
        found[engine] = np.full(GROUPS * (SIZE + n), 7, np.int32)
        kernel(row, found[engine], n, threadgroups=GROUPS, group_size=SIZE, arg_casts="int32")
        if engine == "simdgroup":
            code = kernel.code("llvm")
    np.testing.assert_array_equal(found["simdgroup"], found["checked"])
    # Rounds stay a loop, through memory in order, and nothing is left where they are whole.
    assert (".all" in code) == (n >= 2 * SIZE)
    if not end and name != "two loops and what they share":
        assert ("@llvm.masked" in code) == (n % SIZE != 0)


# Of a round, for each kilobyte that it loads or stores.
PREFETCHES = {"a sum": 1, "a sum of two rows": 2, "writing": 2, "two loops": 16 + 16}


@pytest.mark.parametrize("name", PREFETCHES)
def test_prefetches(name: str, monkeypatch) -> None:
    body = {
        "a sum": "for (uint i = t; i < 4096; i += 256) sum += row[i];",
        "a sum of two rows": "for (uint i = t; i < 4096; i += 256) sum += row[i] * more[i];",
        "writing": "for (uint i = t; i < 4096; i += 256) out[place * 4096 + i] = row[i];",
        "two loops": """for (uint i = t; i < 4096; i += 256) sum += row[i];
            all[t] = sum; threadgroup_barrier(mem_flags::mem_threadgroup); sum = all[t ^ 1];
            for (uint i = t; i < 4096; i += 256) sum ^= row[i];""",
    }[name]
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", "simdgroup")
    kernel = metalwright.compile(
        f"""#include <metal_stdlib>
        using namespace metal;
        kernel void k(device const int* row, device int* out, device const int* more,
                      uint t [[thread_index_in_threadgroup]],
                      uint place [[threadgroup_position_in_grid]]) {{
          threadgroup int all[256];
          int sum = 0;
          row += place * 4096;
          {body}
          all[t] = sum; threadgroup_barrier(mem_flags::mem_threadgroup);
          if (t < 32) out[place * 4096 + t] += simd_sum(all[t] + all[t + 99]);
        }}""",
        device="cpu",
    ).kernel("k")
    row = np.ones(4 * 4096, np.int32)
    kernel(row, np.zeros(4 * 4096, np.int32), row[:4096], threadgroups=4, group_size=256)
    assert kernel.code("llvm").count("call void @llvm.prefetch") == PREFETCHES[name]
