"""Threads that took different ways bring different values to where they meet.

LLVM's uniformity analysis takes some of these values for the same in all threads, where both ways
are several blocks long. What is expected is computed here with NumPy.
"""

from __future__ import annotations

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

THREADS, SIZE, ROW = 128, 64, 16
HEAD = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device int* out, device int* rows,
              uint gid [[thread_position_in_grid]],
              uint group [[simdgroup_index_in_threadgroup]]) {{
  int a = in[gid], b = 1;
  device int* row = rows + gid * {ROW};
"""
# Several blocks; the row is written so that a way does not become a selection of values.
WAY = "if (a & 1) row[0] = 5; else row[1] = a; row[2] = 4;"
OTHER = "if (a & 1) row[0] = 6; else row[2] = a; row[3] = 7;"


def run(body: str, engine: str, monkeypatch) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
    kernel = metalwright.compile(HEAD + body + "\n}", device="cpu", file_name=engine).kernel("k")
    values = np.random.default_rng(3).integers(-1000, 1000, THREADS).astype(np.int32)
    out, rows = np.zeros(THREADS, np.int32), np.zeros((THREADS, ROW), np.int32)
    kernel(values, out, rows, threads=THREADS, group_size=SIZE)
    explained = kernel.explain()
    assert f"engine: {engine}" in explained, explained
    return values, out, rows, explained


@pytest.mark.parametrize("engine", ["simdgroup", "checked"])
class TestMeetings:
    def test_branch(self, engine: str, monkeypatch) -> None:
        body = f"""
  if (a < 7) {{ {WAY} }} else {{ {OTHER} b = 2; }}
  out[gid] = b;
  for (int i = 0; i < b + 8; i++) row[i + 4] += 1;"""
        a, out, rows, _ = run(body, engine, monkeypatch)
        b = np.where(a < 7, 1, 2)
        np.testing.assert_array_equal(out, b)
        np.testing.assert_array_equal(rows[:, 4:], np.arange(12) < b[:, None] + 8)

    def test_carried_round_a_loop(self, engine: str, monkeypatch) -> None:
        body = f"""
  for (int i = 0; i < 3; i++) {{
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (((a >> i) & 3) < 2) {{ {WAY} }} else {{ {OTHER} b += 3 + i; }}
  }}
  out[gid] = b;"""
        a, out, _, _ = run(body, engine, monkeypatch)
        np.testing.assert_array_equal(
            out, 1 + sum(np.where(((a >> i) & 3) < 2, 0, 3 + i) for i in range(3))
        )

    def test_between_simdgroups(self, engine: str, monkeypatch) -> None:
        """The bound of a loop, which all threads of a simdgroup have in common."""
        body = f"""
  if (group == 1) {{ {WAY} }} else {{ {OTHER} b = 2; }}
  int sum = 0;
  for (int i = 0; i < b * 9; i++) sum = sum * 3 + in[i];
  out[gid] = sum;"""
        a, out, _, explained = run(body, engine, monkeypatch)
        wide, sums = a.astype(object), {}
        for bound in (9, 18):
            total = 0
            for value in wide[:bound]:
                total = total * 3 + value
            sums[bound] = np.array(total & 0xFFFFFFFF, np.uint32).astype(np.int32)
        group = np.arange(THREADS) % SIZE // 32
        np.testing.assert_array_equal(out, np.where(group == 1, sums[9], sums[18]))
        assert "all threads of the threadgroup compute the same" not in explained
