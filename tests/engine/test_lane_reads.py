"""simd_broadcast and simd_shuffle with a lane that the program computes: both engines give the
same, and one value for all where the lane is the same for all."""

from __future__ import annotations

import numpy as np
import pytest

from engine.both import on_both_engines

pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

# x is this thread's number, one its simdgroup's: lanes from 0 to 99, of which Metal defines those
# below 32.
BODIES = {
    "one lane": "out[i] = f(x, ushort(one));",
    "one lane, modulo the width": "out[i] = f(x, ushort(one % 32)) - f(x, ushort(one));",
    "a lane each": "out[i] = f(x, ushort((uint(x) + lane * 7) % 32));",
    "some threads": "if (lane % 3 == 1) out[i] = f(x, ushort(one));",
    "few threads": "if (lane < one % 5 + 1) out[i] = f(x, ushort(one % 8));",
    "a loop of its own": """
  uint rounds = uint(x) % 7, from = one % 32;
  for (uint k = 0; k < rounds; k++) {
    from = uint(f(float(from + k), ushort(from))) % 32;
    x += from;
  }
  out[i] = x;""",
    "the lane comes from a lane": """
  ushort from = ushort(one % 32);
  for (uint k = 0; k < 9; k++) from = ushort(f(float((lane * 5 + k) % 32), from));
  out[i] = f(x, from);""",
    "where the largest is": """
  float most = simd_max(x); ushort who = ctz(ulong(simd_ballot(x == most)));
  out[i] = float(f(float(lane), who)) + most;""",
    "vectors": """
  float3 v = float3(x, x + 1, float(lane));
  v = f(v, ushort(one % 32));
  out[i] = v.x + v.y * v.z;""",
    "halves and bytes": """
  out[i] = float(f(half(x), ushort(one % 32))) + float(f(uchar(i), ushort(one)));""",
    "other ways meet": """
  ushort from = ushort(one % 32);
  if (lane % 2 == 0) from = ushort(lane / 2);
  out[i] = f(x, from);""",
    "a branch on what was read": "out[i] = f(x, ushort(one % 32)) > 50 ? x : -x;",
}


def source(body: str, function: str) -> str:
    return f"""#include <metal_stdlib>
using namespace metal;
#define f simd_{function}
kernel void k(device const float* in, device const uint* lanes, device float* out,
              uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
              uint group [[simdgroup_index_in_threadgroup]],
              uint place [[threadgroup_position_in_grid]]) {{
  float x = in[i];
  const uint one = lanes[place * 4 + group];
  {body}
}}
"""


@pytest.mark.parametrize("size", [128, 40, 32])
@pytest.mark.parametrize("function", ["broadcast", "shuffle"])
@pytest.mark.parametrize("name", BODIES)
def test_engines_agree(name: str, function: str, size: int, monkeypatch) -> None:
    groups = 24
    random = np.random.default_rng(6)
    inputs = np.floor(random.random(groups * size, np.float32) * 100)
    lanes = random.integers(0, 100, groups * 4).astype(np.uint32)
    fast, checked, _ = on_both_engines(
        monkeypatch,
        source(BODIES[name], function),
        [inputs, lanes],
        np.zeros(groups * size, np.float32),
        threads=groups * size,
        group_size=size,
    )
    np.testing.assert_array_equal(fast, checked)
    if name == "one lane, modulo the width":
        assert not fast.any()
