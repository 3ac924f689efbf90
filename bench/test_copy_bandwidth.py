"""Elementwise kernels against memcpy and against torch's own CPU operators, in alternating pairs.

memcpy is libc's, over as many threads as the device uses, each on its share of the array. The
arrays are far larger than the caches.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import metalwright
from paired import paired_ratio

pytestmark = pytest.mark.benchmark(group="copy bandwidth", warmup=True)

COUNT = 1 << 24  # floats: 64 MiB per array
KERNELS = """
#include <metal_stdlib>
using namespace metal;
kernel void copy(device const float* x, device float* y, uint i [[thread_position_in_grid]])
{ y[i] = x[i]; }
kernel void copy4(device const float4* x, device float4* y, uint i [[thread_position_in_grid]])
{ y[i] = x[i]; }
kernel void multiply_add(device const float* x, device const float* y, device float* z,
                         uint i [[thread_position_in_grid]]) { z[i] = fma(x[i], 2.0f, y[i]); }
kernel void gelu(device const float* x, device float* y, uint i [[thread_position_in_grid]]) {
  float v = x[i];
  y[i] = 0.5f * v * (1.0f + precise::tanh(0.7978845608f * (v + 0.044715f * v * v * v)));
}
"""


def threads() -> int:
    return next(d.compute_units for d in metalwright.devices() if d.kind == "cpu")


@pytest.fixture(scope="module")
def library():
    return metalwright.compile(KERNELS)


@pytest.fixture(scope="module")
def arrays():
    torch.manual_seed(0)
    x, y, z = torch.randn(COUNT), torch.randn(COUNT), torch.zeros(COUNT)
    return x, y, z


@pytest.fixture(scope="module")
def memcpy():
    """A function that copies one tensor to another with all threads."""
    count = threads()
    pool = ThreadPoolExecutor(count)

    def copy(source: torch.Tensor, target: torch.Tensor) -> None:
        share = source.nbytes // count
        jobs = [
            pool.submit(
                ctypes.memmove, target.data_ptr() + k * share, source.data_ptr() + k * share, share
            )
            for k in range(count)
        ]
        for job in jobs:
            job.result()

    yield copy
    pool.shutdown()


def bandwidth(seconds: float, arrays_touched: int) -> str:
    return f"{arrays_touched * COUNT * 4 / seconds / 1e9:.1f} GB/s"


def measure(
    benchmark, report, name: str, touched: int, ours: Callable, theirs: Callable, other: str
):
    benchmark.pedantic(ours, rounds=20, warmup_rounds=3)
    ratio = paired_ratio(ours, theirs)
    benchmark.extra_info["ratio"] = ratio.median
    report(f"{name}: time / time of {other}", f"{ratio}  {bandwidth(ratio.numerator, touched)}")


@pytest.mark.parametrize("name", ["copy", "copy4"])
def test_a_copy_kernel_against_memcpy(benchmark, library, arrays, memcpy, report, name):
    x, _, z = arrays
    kernel = getattr(library, name)
    count = COUNT // 4 if name == "copy4" else COUNT
    measure(
        benchmark,
        report,
        name,
        2,
        lambda: kernel(x, z, threads=count, group_size=256),
        lambda: memcpy(x, z),
        f"memcpy with {threads()} threads",
    )
    assert torch.equal(x, z)


def test_a_copy_kernel_against_torch(benchmark, library, arrays, report):
    x, _, z = arrays
    kernel = library.copy
    ours = lambda: kernel(x, z, threads=COUNT, group_size=256)  # noqa: E731
    measure(benchmark, report, "copy", 2, ours, lambda: z.copy_(x), "torch's z.copy_(x)")


def test_a_fused_kernel_against_torch(benchmark, library, arrays, report):
    x, y, z = arrays
    kernel = library.multiply_add
    ours = lambda: kernel(x, y, z, threads=COUNT, group_size=256)  # noqa: E731
    theirs = lambda: torch.add(y, x, alpha=2.0, out=z)  # noqa: E731
    measure(benchmark, report, "multiply_add", 3, ours, theirs, "torch.add(y, x, alpha=2, out=z)")
    ours()
    torch.testing.assert_close(z, torch.add(y, x, alpha=2.0))


def test_gelu_against_torch(benchmark, library, arrays, report):
    x, _, z = arrays
    kernel = library.gelu
    ours = lambda: kernel(x, z, threads=COUNT, group_size=256)  # noqa: E731
    gelu = torch.nn.functional.gelu
    measure(
        benchmark,
        report,
        "gelu",
        2,
        ours,
        lambda: gelu(x, approximate="tanh"),
        "torch's gelu(tanh)",
    )
    ours()
    torch.testing.assert_close(z, gelu(x, approximate="tanh"))
