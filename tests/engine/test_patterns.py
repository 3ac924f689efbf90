"""What threads differ in may cancel out: such a value is computed once, by its own operation.

What is expected is computed here with NumPy.
"""

from __future__ import annotations

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

THREADS, SIZE = 256, 64

# The same in MSL and in Python. `d` is the position of the simdgroup's first thread, less 5.
OPERATIONS = (
    *("d | -5", "d ^ -5", "d & -5", "d + -5", "7 - d", "d * -5", "d << 3", "d >> 2"),
    *("(d | 6) ^ d", "(d | 3) + (d & 3)", "(d | -5) * (d | 1)", "d | e", "d ^ e", "d & e", "d - e"),
)


@pytest.mark.parametrize("engine", ["simdgroup", "checked"])
@pytest.mark.parametrize("is_apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations(operation: str, is_apart: bool, engine: str, monkeypatch) -> None:
    monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
    source = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device int* out, device int* any,
              uint gid [[thread_position_in_grid]],
              uint lane [[thread_index_in_simdgroup]]) {{
  int d = int(gid) - 5 - int(lane), e = 3 * int(gid) - (int(lane) * 4 - int(lane)), r = -77;
  if ({"in[gid] > 3" if is_apart else "true"}) r = {operation};
  any[gid] = simd_any(in[gid] > 3);
  out[gid] = r;
}}"""
    values = np.random.default_rng(4).integers(0, 8, THREADS).astype(np.int32)
    out, found = np.zeros((2, THREADS), np.int32)
    kernel = metalwright.compile(source, device="cpu", file_name=engine).kernel("k")
    kernel(values, out, found, threads=THREADS, group_size=SIZE)
    assert f"engine: {engine}" in kernel.explain()
    lane = np.arange(THREADS, dtype=np.int32) % 32
    gid = np.arange(THREADS, dtype=np.int32)
    expected = eval(operation, {"d": gid - 5 - lane, "e": 3 * gid - 3 * lane})  # the table above
    np.testing.assert_array_equal(out, np.where((values > 3) | (not is_apart), expected, -77))
    assert found.all()
