"""Large results are stored past the cache; what they are, and what others see, stays the same."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import metalwright

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="only x86-64 has such stores here"
)
COUNT = 9 << 20  # floats: 36 MiB, and from 32 MiB on the cache is left out
SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void twice(device const float* x, device float* y, uint i [[thread_position_in_grid]]) {
  y[i] = 2 * x[i];
}
kernel void narrow(device const half* x, device half* y, uint i [[thread_position_in_grid]]) {
  y[i] = 2 * x[i];
}
kernel void odd(device const float* x, device float* y, uint i [[thread_position_in_grid]]) {
  if (x[i] > 0) y[i] = 2 * x[i];
}
kernel void last(device const float* x, device float* y, device float* sum,
                 uint i [[thread_position_in_grid]]) {
  y[i] = 2 * x[i];
  if (i == 7) sum[0] = x[i];
}
kernel void added(device const float* x, device float* y, uint i [[thread_position_in_grid]]) {
  y[i] += x[i];
}
kernel void counted(device const float* x, device float* y, device atomic_int* n,
                    uint i [[thread_position_in_grid]]) {
  y[i] = 2 * x[i];
  if (i % 4096 == 0) atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}
kernel void long_way(device const float* x, device float* y, uint i [[thread_position_in_grid]]) {
  y[i] = precise::tanh(precise::exp(-x[i] * x[i])) + precise::tanh(x[i]);
}
kernel void centred(device const float* x, device float* y, constant uint& n,
                    uint row [[threadgroup_position_in_grid]],
                    uint t [[thread_position_in_threadgroup]],
                    uint size [[threads_per_threadgroup]],
                    uint lane [[thread_index_in_simdgroup]],
                    uint group [[simdgroup_index_in_threadgroup]]) {
  threadgroup float partial[32];
  x += row * n;
  y += row * n;
  float sum = 0;
  for (uint i = t; i < n; i += size) sum += x[i];
  sum = simd_sum(sum);
  if (lane == 0) partial[group] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  sum = simd_sum(lane < size / 32 ? partial[lane] : 0.0f) / n;
  for (uint i = t; i < n; i += size) y[i] = x[i] - sum;
}
"""
STREAMS = "stores that leave the cache out: "


@pytest.fixture
def library(request):
    # Its own for each test: explain() tells of every code that a kernel has had.
    return metalwright.compile(f"{SOURCE}// {request.node.name}\n", device="cpu")


@pytest.fixture(scope="module")
def x():
    return (np.arange(COUNT + 64, dtype=np.float32) % 1009) - 500


def empty(count: int, dtype: type = np.float32, *, off: int = 0) -> np.ndarray:
    """An array at a multiple of 64 bytes, or `off` elements behind one, full of -7."""
    size = np.dtype(dtype).itemsize
    memory = np.full((count + off) * size + 64, 0, np.uint8)
    begin = -memory.ctypes.data % 64 + off * size
    array = memory[begin : begin + count * size].view(dtype)
    array[:] = -7
    return array


@pytest.mark.parametrize("off", [0, 1, 4])
@pytest.mark.parametrize("count", [COUNT, COUNT + 5])
def test_wherever_the_result_begins_and_ends(library, x, count, off):
    y = empty(count, off=off)
    library.twice(x[:count], y, threads=count, group_size=256)
    np.testing.assert_array_equal(y, 2 * x[:count])
    assert STREAMS + "y\n" in library.twice.explain()


def test_halves(library, x):
    y = empty(2 * COUNT, np.float16)
    long = np.concatenate([x[:COUNT], x[:COUNT]]).astype(np.float16)
    library.narrow(long, y, threads=2 * COUNT, group_size=256)
    np.testing.assert_array_equal(y, 2 * long)
    assert STREAMS + "y\n" in library.narrow.explain()


def test_elements_that_are_not_stored_stay(library, x):
    y = empty(COUNT)
    library.odd(x[:COUNT], y, threads=COUNT, group_size=256)
    np.testing.assert_array_equal(y, np.where(x[:COUNT] > 0, 2 * x[:COUNT], -7))


@pytest.mark.parametrize("n", [4096, 4100, 1000])
def test_rows_of_threadgroups(library, x, n):
    rows = COUNT // n
    y = empty(rows * n)
    values = x[: rows * n]
    library.centred(values, y, n, threadgroups=rows, group_size=256, arg_casts="int32")
    values = values.reshape(rows, n)
    expected = values - values.mean(1, dtype=np.float64, keepdims=True)
    np.testing.assert_allclose(y.reshape(rows, n), expected, atol=1e-3)
    explained = library.centred.explain()
    assert "engine: simdgroup" in explained
    assert STREAMS + "y\n" in explained


def test_only_what_is_large(library, x):
    y, total = empty(COUNT), empty(1)
    library.last(x[:COUNT], y, total, threads=COUNT, group_size=256)
    np.testing.assert_array_equal(y, 2 * x[:COUNT])
    assert total[0] == x[7]
    assert STREAMS + "y\n" in library.last.explain()


def test_small_results_stay_in_the_cache(library, x):
    y = empty(1 << 20)
    library.twice(x[: 1 << 20], y, threads=1 << 20, group_size=256)
    assert STREAMS not in library.twice.explain()


def test_a_small_dispatch_into_a_large_buffer(library, x):
    y = empty(COUNT)
    library.twice(x[:COUNT], y, threads=4096, group_size=256)
    assert STREAMS not in library.twice.explain()
    np.testing.assert_array_equal(y[:4096], 2 * x[:4096])
    assert (y[4096:] == -7).all()


@pytest.mark.parametrize("name", ["added", "counted", "long_way"])
def test_what_keeps_the_cache(library, x, name):
    """Results that are read too, threads that may wait for each other, and long computations."""
    kernel = getattr(library, name)
    y, n = empty(COUNT), np.zeros(1, np.int32)
    kernel(x[:COUNT], y, *([n] if name == "counted" else []), threads=COUNT, group_size=256)
    assert STREAMS not in kernel.explain()
    if name == "added":
        np.testing.assert_array_equal(y, x[:COUNT] - 7)
    elif name == "counted":
        assert n[0] == COUNT // 4096
        np.testing.assert_array_equal(y, 2 * x[:COUNT])


def test_in_place(library, x):
    y = x[:COUNT].copy()
    with pytest.warns(metalwright.AliasingWarning):
        library.twice(y, y, threads=COUNT, group_size=256)
    np.testing.assert_array_equal(y, 2 * x[:COUNT])
    assert STREAMS not in library.twice.explain()


def test_the_code_is_that_of_the_dispatch(library, x):
    assert "nontemporal" not in library.twice.code("llvm")
    y = empty(COUNT)
    library.twice(x[:COUNT], y, threads=COUNT, group_size=256)
    assert "nontemporal" in library.twice.code("llvm")


def test_timings_and_repeats(library, x):
    """Each repeat ends with what all threads stored being there."""
    y = empty(COUNT)
    library.twice.time(x[:COUNT], y, threads=COUNT, group_size=256)
    np.testing.assert_array_equal(y, 2 * x[:COUNT])
