"""What a call from Python costs beside the kernel itself. Goal: under 5 us for three tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import metalwright

ADD = """
#include <metal_stdlib>
using namespace metal;
kernel void add(device const float* x, device const float* y, device float* out,
                uint i [[thread_position_in_grid]]) { out[i] = x[i] + y[i]; }
kernel void scale(device const float* x, device float* out, constant float& factor,
                  constant uint& count, uint i [[thread_position_in_grid]])
{ if (i < count) out[i] = factor * x[i]; }
"""

pytestmark = pytest.mark.benchmark(group="dispatch overhead", warmup=True, min_rounds=1000)


@pytest.fixture(scope="module")
def library():
    return metalwright.compile(ADD)


def figure(benchmark) -> str:
    return f"{benchmark.stats.stats.median * 1e6:.2f} us (goal: under 5 us)"


def test_three_tensors(benchmark, library, report):
    kernel = library.add
    x, y, out = torch.ones(64), torch.ones(64), torch.zeros(64)
    benchmark(kernel, x, y, out, threads=64, group_size=64)
    assert torch.equal(out, x + y)
    report("call with 3 tensors of 64 floats", figure(benchmark))


def test_three_arrays(benchmark, library, report):
    kernel = library.add
    x, out = np.ones(64, np.float32), np.zeros(64, np.float32)
    benchmark(kernel, x, x, out, threads=64, group_size=64)
    assert (out == 2).all()
    report("call with 3 NumPy arrays of 64 floats", figure(benchmark))


def test_two_tensors_and_two_numbers(benchmark, library, report):
    kernel = library.scale
    x, out = torch.ones(64), torch.zeros(64)
    benchmark(kernel, x, out, 2.5, 64, threads=64, group_size=64)
    assert torch.equal(out, 2.5 * x)
    report("call with 2 tensors and 2 numbers", figure(benchmark))


def test_attribute_access_and_call(benchmark, library, report):
    x, y, out = torch.ones(64), torch.ones(64), torch.zeros(64)
    benchmark(lambda: library.add(x, y, out))
    report("library.add(x, y, out)", figure(benchmark))


def test_torch_add_for_comparison(benchmark, report):
    x, y, out = torch.ones(64), torch.ones(64), torch.zeros(64)
    benchmark(torch.add, x, y, out=out)
    report(
        "torch.add(x, y, out=out), for comparison", f"{benchmark.stats.stats.median * 1e6:.2f} us"
    )
