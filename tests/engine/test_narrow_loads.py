"""Loads of the first lanes alone: simdgroups that are not full, and `lane < 8 ? partial[lane] : 0`.

The rest of such a vector must not become undefined: the code generator has no instruction for the
maximum of something undefined, and asks for a function of the C library.
"""

from __future__ import annotations

import numpy as np
import pytest

from engine.both import on_both_engines

pytestmark = pytest.mark.native

BODIES = {
    "extrema": "max(v, T(0)) + min(v, other[0]) * T(2)",
    "clamped": "clamp(v, T(-1), other[1]) - max(min(v, T(3)), v * T(2))",
    "of the simdgroup": "simd_max(max(v, T(1))) + simd_sum(v)",
    "first ones": "simd_max(lane < 8 ? max(other[lane], T(1)) : T(0)) + simd_sum(v / T(2))",
    "functions": "T(exp(-abs(float(v)))) + T(floor(float(v) * 0.5f)) + T(fmax(float(v), 1.5f))",
}

# The rest of an AVX-512 register, where the maximum of a number and zero is needed in a loop.
SCAN = """#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* x, device float* out, uint2 p [[thread_position_in_grid]],
              uint2 grid [[threads_per_grid]]) {
  float state = 0;
  for (uint time = 0; time < 32; ++time) {
    float raw = x[(p.y * 32 + time) * grid.x + p.x];
    float small = exp(-abs(raw)), one = 1.0f + small;
    float step = max(raw, 0.0f) + (one == 1.0f ? small : log(one) * (small / (one - 1.0f)));
    state = exp(-step) * state + step;
    out[(p.y * 32 + time) * grid.x + p.x] = state;
  }
}"""


@pytest.mark.parametrize("size", [4, 8, 16])
def test_scan(size: int, monkeypatch) -> None:
    x = np.random.default_rng(3).standard_normal(2 * 32 * 64).astype(np.float32)
    fast, checked, _ = on_both_engines(
        monkeypatch, SCAN, [x], np.zeros_like(x), threads=(64, 2), group_size=(size, 1)
    )
    np.testing.assert_array_equal(fast, checked)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 16, 24, 32, 48])
@pytest.mark.parametrize("kind", ["float", "half", "int", "short"])
@pytest.mark.parametrize("name", BODIES)
def test_engines_agree(name: str, kind: str, size: int, monkeypatch) -> None:
    text = f"""#include <metal_stdlib>
    using namespace metal;
    typedef {kind} T;
    kernel void k(device const T* x, device const T* other, device T* out,
                  uint gid [[thread_position_in_grid]],
                  uint lane [[thread_index_in_simdgroup]]) {{
      T v = x[gid];
      out[gid] = T({BODIES[name]});
    }}"""
    dtype = {"float": "float32", "half": "float16", "int": "int32", "short": "int16"}[kind]
    x = np.random.default_rng(3).integers(-9, 9, 3 * size).astype(dtype)
    other = np.arange(32).astype(dtype)
    fast, checked, _ = on_both_engines(
        monkeypatch, text, [x, other], np.zeros_like(x), threads=x.size, group_size=size
    )
    np.testing.assert_array_equal(fast, checked)
