"""Loops that the simdgroup engine rebuilds: walks along rows, and loops that simdgroups share.

Both engines have to give the same bits; NumPy says what they should be where that is simple.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

ROWS = 70  # a full simdgroup or two, and a part of one
PITCH = 67

# Each thread has its own row; `n` elements of it.
WALKS = {
    "sum": ("float", "T s = 0; for (uint r = 0; r < n; r++) s += x[i * p + r]; out[i] = s;"),
    "signed_index": ("float", "T s = 0; for (int r = 0; r < int(n); r++) s += x[int(i * p) + r];"
                        " out[i] = s;"),
    "pointer": ("float", "T s = 0; const device T* q = x + i * p;"
                         " for (uint r = 0; r < n; r++) s += *q++; out[i] = s;"),
    "guarded": ("float", "if (i % 3 == 1) return; T s = 0;"
                         " for (uint r = 0; r < n; r++) s += x[i * p + r]; out[i] = s;"),
    "halves": ("half", "float s = 0; for (uint r = 0; r < n; r++) s += x[i * p + r];"
                       " out[i] = half(s);"),
    "bytes": ("uchar", "uint s = 0; for (uint r = 0; r < n; r++) s = s * 3 + x[i * p + r];"
                       " out[i] = uchar(s);"),
    "longs": ("long", "T s = 0; for (uint r = 0; r < n; r++) s = s * 3 + x[i * p + r];"
                      " out[i] = s;"),
    "scan": ("float", "T s = 0; for (uint r = 0; r < n; r++) { s += x[i * p + r];"
                      " out[i * p + r] = s; }"),
    "guarded_scan": ("float", "if (i % 5 == 2) return; T s = 0; for (uint r = 0; r < n; r++) {"
                              " s += x[i * p + r]; out[i * p + r] = s; }"),
    "in_place": ("float", "for (uint r = 0; r < n; r++) out[i * p + r] = out[i * p + r] * 2 + r;"),
    # Each round reads what the one before has written.
    "recurrence": ("float", "for (uint r = 1; r < n; r++) out[i * p + r] ="
                            " out[i * p + r - 1] * 0.5f + x[i * p + r];"),
    "shift": ("float", "for (uint r = 0; r + 1 < n; r++) out[i * p + r] = out[i * p + r + 1];"),
    "backwards": ("float", "T s = 0; for (uint r = n; r > 0; r--) s = s * 0.5f + x[i * p + r - 1];"
                           " out[i] = s;"),
    "two": ("float", "T s = 0; for (uint r = 0; r < n; r++) s += x[i * p + r] * x[r]; out[i] = s;"),
    "fixed": ("float", "T s = 0; for (uint r = 0; r < 37; r++) s += x[i * p + r]; out[i] = s;"),
    "seven": ("float", "T s = 0; for (uint r = 0; r < 7; r++) s += x[i * p + r]; out[i] = s;"),
    "strided": ("float", "T s = 0; for (uint r = 0; r < n / 2; r++) s += x[i * p + 2 * r];"
                         " out[i] = s;"),
    "four": ("float4", "T s = 0; for (uint r = 0; r < n / 4; r++) s += x[i * (p / 4) + r];"
                       " out[i] = s;"),
    "variable": ("float", "float own[40]; for (uint r = 0; r < 40; r++) own[r] = x[i * p + r];"
                          " T s = 0; for (uint r = 0; r < min(n, 40u); r++)"
                          " s += own[r] * own[(r * 7 + i) % 40]; out[i] = s;"),
}  # fmt: skip
TYPES = {"float": np.float32, "half": np.float16, "uchar": np.uint8, "long": np.int64,
         "float4": np.float32}  # fmt: skip


def run(source: str, engine: str, name: str, arguments: Any, **grid: int) -> None:
    os.environ["METALWRIGHT_CPU_ENGINE"] = engine
    try:
        kernel = metalwright.compile(source, device="cpu", file_name=engine).kernel(name)
        kernel(*arguments, **grid)
        assert f"engine: {engine}" in kernel.explain(), kernel.explain()
    finally:
        del os.environ["METALWRIGHT_CPU_ENGINE"]


@pytest.mark.parametrize("name", WALKS)
def test_each_thread_walks_its_own_row(name: str) -> None:
    kind, body = WALKS[name]
    source = f"""#include <metal_stdlib>
using namespace metal;
typedef {kind} T;
kernel void {name}(device const T* x, device T* out, constant uint& n, constant uint& p,
                   uint i [[thread_position_in_grid]]) {{ {body} }}"""
    rng = np.random.default_rng(3)
    x = rng.integers(0, 100, ROWS * PITCH + 66).astype(TYPES[kind])
    before = rng.integers(0, 100, x.size).astype(TYPES[kind])
    for n in (0, 1, 3, 16, 17, 35, PITCH):
        results = []
        for engine in ("simdgroup", "checked"):
            out = before.copy()
            numbers = (np.uint32(n), np.uint32(PITCH))
            run(source, engine, name, (x, out, *numbers), threads=ROWS, group_size=64)
            results.append(out)
        np.testing.assert_array_equal(results[0], results[1], err_msg=f"{name}, n = {n}")
        if name in ("sum", "signed_index", "pointer"):
            rows = x[: ROWS * PITCH].reshape(ROWS, PITCH)[:, :n]
            np.testing.assert_array_equal(results[0][:ROWS], rows.sum(1))


# `data` holds 96 numbers of the threadgroup, `t` is the thread in it.
LOOPS = {
    "welford": "float m = data[0], v = 0; for (uint k = 1; k < 96; k++) { float d = data[k] - m;"
               " m += d / (k + 1); v += d * (data[k] - m); } result = m + v;",
    "runtime": "float s = 0; for (uint k = 0; k < n; k++) s = s * 0.5f + data[k]; result = s;",
    "twice": "float s = 0; for (uint k = 0; k < 96; k++) s = s * 0.5f + data[k];"
             " for (uint k = 0; k < 96; k++) s = s * 0.25f + data[95 - k]; result = s;",
    "nested": "float s = 0; for (uint j = 0; j < 20; j++) for (uint k = j; k < 96; k++)"
              " s = s * 0.5f + data[k]; result = s;",
    "repeated": "float s = 0; for (uint j = 0; j < 20; j++) { float u = 0;"
                " for (uint k = 0; k < 96; k++) u = u * 0.5f + data[k];"
                " s += u * float(t + j); } result = s;",
    "one_simdgroup": "float s = 0; if (t / 32 == 1) for (uint k = 0; k < 96; k++)"
                     " s = s * 0.5f + data[k]; result = s;",
    "some_threads": "float s = 0; if (t % 3 == 1) for (uint k = 0; k < 96; k++)"
                    " s = s * 0.5f + data[k]; result = s;",
    "by_simdgroup": "float s = 0; for (uint k = 0; k < 96; k++) s = s * 0.5f + data[k] * (t / 32);"
                    " result = s;",
    "after_barrier": "float s = 0; for (uint k = 0; k < 96; k++) s = s * 0.5f + data[k];"
                     " threadgroup_barrier(mem_flags::mem_threadgroup); data[t] = s * float(t);"
                     " threadgroup_barrier(mem_flags::mem_threadgroup);"
                     " for (uint k = 0; k < 96; k++) s = s * 0.5f + data[k]; result = s;",
    "own_array": "float own[96]; for (uint k = 0; k < 96; k++) own[k] = data[(k + t) % 96];"
                 " float s = 0; for (uint k = 0; k < 96; k++) s = s * 0.5f + own[k * n % 96];"
                 " result = s;",
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_every_simdgroup_computes_the_same(name: str) -> None:
    source = f"""#include <metal_stdlib>
using namespace metal;
kernel void {name}(device const float* x, device float* out, constant uint& n,
                   uint t [[thread_position_in_threadgroup]], uint i [[thread_position_in_grid]]) {{
  threadgroup float data[96];
  data[t] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float result = 0;
  {LOOPS[name]}
  out[i] = result + float(t);
}}"""
    x = np.random.default_rng(4).normal(size=960).astype(np.float32)
    results = []
    for engine in ("simdgroup", "checked"):
        out = np.zeros_like(x)
        run(source, engine, name, (x, out, np.uint32(77)), threads=960, group_size=96)
        results.append(out)
    np.testing.assert_array_equal(results[0].view(np.int32), results[1].view(np.int32))
    if name == "welford":
        groups = x.reshape(10, 96).astype(np.float64)
        expected = groups.mean(1) + groups.var(1) * 96
        got = (results[0] - np.arange(960) % 96).reshape(10, 96)
        np.testing.assert_allclose(got, np.repeat(expected[:, None], 96, 1), rtol=1e-4)


LIMITS = [0, 1, 31, 32, 33, 63, 64, 100, 127, 128, 129, 255, 256, 1000, -1, -32, -4096, -4065,
          -4000, -3969, 2**31 - 1, -(2**31), 2**31 - 32]  # fmt: skip


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("kind", ["int", "uint", "long", "ulong"])
def test_comparisons_of_a_line_with_a_limit(kind: str, step: int) -> None:
    """What passes is counted by scalar arithmetic; NumPy compares element by element."""
    source = f"""#include <metal_stdlib>
    using namespace metal;
    kernel void k(device uint* out, device const int* limits, constant int& count,
                  uint t [[thread_position_in_threadgroup]]) {{
      for (int j = 0; j < count; j++) {{
        {kind} limit = {kind}(limits[j]);
        uint bits = 0;
        for (int side = 0; side < 2; side++) {{
          {kind} v = {kind}(t * {step}u) - {kind}(side * 4096);
          uint found = 0;
          if (v < limit) found |= 1;
          if (v <= limit) found |= 2;
          if (v > limit) found |= 4;
          if (limit <= v) found |= 8;
          bits |= found << (4 * side);
        }}
        out[j * 128 + t] = bits;
      }}
    }}"""
    out = np.zeros((len(LIMITS), 128), np.uint32)
    run(source, "simdgroup", "k", (out, np.array(LIMITS, np.int32), len(LIMITS)), threads=128,
        group_size=128)  # fmt: skip
    dtype = {"int": np.int32, "uint": np.uint32, "long": np.int64, "ulong": np.uint64}[kind]
    limits = np.array(LIMITS, np.int32).astype(np.int64).astype(dtype)[:, None]
    expected = np.zeros_like(out)
    for side in range(2):
        values = (np.arange(128) * step - side * 4096).astype(dtype)[None, :]
        tests = (values < limits, values <= limits, values > limits, limits <= values)
        for bit, test in enumerate(tests):
            expected |= test.astype(np.uint32) << np.uint32(4 * side + bit)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", ["exp", "exp2"])
def test_exponentials_have_the_same_bits_as_vectors(name: str) -> None:
    """The machine's scaling instruction rounds once, as the library's two products do.

    A million floats of all exponents, NaN and infinities among them. (All 2^32 take some minutes.)
    """
    source = f"""#include <metal_stdlib>
    using namespace metal;
    kernel void k(device int* out, uint i [[thread_position_in_grid]]) {{
      uint special = i < 4 ? 0x7f7fffffu + i : 0xff7ffffdu + i;
      out[i] = as_type<int>(precise::{name}(as_type<float>(i < 8 ? special : i * 4099u)));
    }}"""
    found = []
    for engine in ("", "simdgroup"):
        out = np.zeros(1 << 20, np.int32)
        run(source, engine, "k", (out,), threads=out.size, group_size=256)
        found.append(out)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("engine", ["", "simdgroup"])
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_of_all_magnitudes(name: str, engine: str) -> None:
    """Constants for large angles are chosen behind a branch that a whole vector takes.

    Vectors without, with one, and with only such angles. Expected is what one thread computes after
    the other, whose code has no branch.
    """
    source = f"""#include <metal_stdlib>
    using namespace metal;
    kernel void k(device const float* x, device const float* y, device float2* out,
                  uint i [[thread_position_in_grid]]) {{
      out[i] = float2(precise::{name}(x[i]), precise::sin(y[i]));
    }}"""
    random = np.random.default_rng(6)
    x = random.uniform(-300, 300, (64, 96)).astype(np.float32)
    bounds = np.array([2.0**47, 2.0**74, 2.0**102], np.float32)
    large = np.concatenate([bounds, -bounds, np.nextafter(bounds, 0), [3.1e38, np.inf, np.nan]])
    for row in range(1, 48):
        where = random.integers(0, 96, 1 if row < 32 else 30)
        x[row, where] = random.choice(large, where.size)
    x[48:] = random.choice(large, (16, 96))
    x, y = x.reshape(-1), random.permutation(x.reshape(-1))
    found = []
    for how in (engine, "checked"):
        out = np.zeros((x.size, 2), np.float32)
        run(source, how, "k", (x, y, out), threads=x.size, group_size=32)
        found.append(out.view(np.int32))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("engine", ["", "simdgroup"])
def test_choices_by_magnitude(engine: str) -> None:
    """Written in a kernel, in any order, and used for other things as well."""
    source = """#include <metal_stdlib>
    using namespace metal;
    kernel void k(device const float* x, device float* first, device float* second,
                  device float* third, device float* fourth, uint i [[thread_position_in_grid]]) {
      float m = fabs(x[i]);
      float a = m >= 1e30f ? 1.0f : 2.0f;
      float b = a * x[i] + (m >= 1e24f ? x[i] : 4.0f);
      float c = m >= 1e13f ? 5.0f : 6.0f;
      float d = m >= 1e24f ? 7.0f : c;
      float e = m >= 1e30f ? 8.0f : d;
      float f = m >= 1e35f ? 9.0f : e;
      first[i] = a + d * 10;
      second[i] = b;
      third[i] = c + e * 100;
      fourth[i] = m >= 1e30f ? f : m >= 1e13f ? a : b;
    }"""
    random = np.random.default_rng(7)
    x = random.choice([-1, 1], 4096) * 10.0 ** random.uniform(-5, 13, 4096)
    x[2048:] = 10.0 ** random.uniform(8, 38, 2048)
    x[random.integers(0, 2048, 40)] = 10.0 ** random.uniform(13, 38, 40)
    x = x.astype(np.float32)
    found = []
    for how in (engine, "checked"):
        out = [np.zeros(x.size, np.float32) for _ in range(4)]
        run(source, how, "k", (x, *out), threads=x.size, group_size=64)
        found.append(np.stack(out))
    np.testing.assert_array_equal(*found)
    assert len(np.unique(found[0][2])) == 4
