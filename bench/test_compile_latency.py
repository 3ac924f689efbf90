"""From source to a kernel that can run, for TorchInductor's kernels, in a warm process.

Goal: a median under 15 ms. Every kernel is compiled with an empty cache; the standard library is
precompiled with the package, and the first compilation of the process is not counted.
"""

from __future__ import annotations

import statistics
import time
from functools import cache

import pytest

import metalwright
from metalwright.runtime import clear_cache

pytestmark = pytest.mark.benchmark(group="compile latency")

SMALL = """
#include <metal_stdlib>
using namespace metal;
kernel void scale(device const float* x, device float* y, constant float& f,
                  uint i [[thread_position_in_grid]]) { y[i] = f * x[i]; }
"""


@cache
def inductor_kernels() -> dict[str, str]:
    """Every distinct kernel that Inductor renders for the corpus of small modules, by name."""
    from corpora.inductor_modules import CASES
    from metalwright.generation.inductor import lower_module

    sources: dict[str, str] = {}
    for case in CASES:
        module, inputs = case.make()
        for kernel in lower_module(module, inputs, case.name).kernels:
            sources.setdefault(kernel.source, f"{case.name}.{kernel.name}")
    return {name: source for source, name in sources.items()}


def source_to_kernel(source: str) -> None:
    clear_cache()
    library = metalwright.compile(source)
    for name in library.kernel_names:
        library.kernel(name)


def test_a_small_kernel(benchmark, report):
    benchmark.pedantic(source_to_kernel, args=(SMALL,), rounds=50, warmup_rounds=5)
    median = benchmark.stats.stats.median
    report("compile a small kernel, source to runnable", f"{median * 1e3:.1f} ms")


def test_inductors_kernels(benchmark, report):
    kernels = inductor_kernels()
    assert len(kernels) >= 60
    source_to_kernel(SMALL)
    seconds: list[float] = []

    def all_of_them() -> None:
        for source in kernels.values():
            begin = time.perf_counter()
            source_to_kernel(source)
            seconds.append(time.perf_counter() - begin)

    benchmark.pedantic(all_of_them, rounds=3, warmup_rounds=1)
    seconds = seconds[len(kernels) :]  # the first pass over the corpus was the warm-up
    tenths = statistics.quantiles(seconds, n=10)
    report(
        f"compile {len(kernels)} Inductor kernels, source to runnable",
        f"median {statistics.median(seconds) * 1e3:.1f} ms, 90 % {tenths[8] * 1e3:.1f} ms,"
        f" slowest {max(seconds) * 1e3:.1f} ms (goal: median under 15 ms)",
    )
