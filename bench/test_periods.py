"""Broadcast operands: positions that are divided by m, and what is left over, on one processor.

The table in docs/design/cpu-device.md is made of the medians:
`taskset -c 0 python -m pytest bench/test_periods.py --benchmark-only`.
"""

from __future__ import annotations

import numpy as np
import pytest

import metalwright

THREADS = 65_536
BODIES = {
    "multiply": "out[x] = a[x] * b[rest] + c[part];",
    "exponential": "float t = a[x] + b[rest]; out[x] = precise::exp(t) / (1 + t * t) + c[part];",
}
INDICES = {
    "one-level": "int rest = x % {m}; int part = x / {m};",
    "two-levels": "int rest = x / {m} % 12; int part = x / (12 * {m});",
}


@pytest.mark.benchmark(group="periods", warmup=True)
@pytest.mark.parametrize("m", [4, 8, 16, 33, 48, 100, 768, 2048])
@pytest.mark.parametrize("levels", INDICES)
@pytest.mark.parametrize("body", BODIES)
def test_broadcast_operands(benchmark, body, levels, m):
    source = (
        "#include <metal_stdlib>\nusing namespace metal;\n"
        "kernel void k(device float* out, constant float* a, constant float* b,"
        " constant float* c, uint position [[thread_position_in_grid]]) {\n"
        f"int x = position; {INDICES[levels].format(m=m)} {BODIES[body]}\n}}"
    )
    kernel = metalwright.compile(source, device="cpu").kernel("k")
    numbers = np.random.default_rng(0)
    a, b, c = (numbers.normal(size=THREADS).astype(np.float32) for _ in range(3))
    out = np.zeros(THREADS, np.float32)
    benchmark.pedantic(kernel, (out, a, b, c), {"threads": THREADS}, rounds=120, warmup_rounds=30)
    x = np.arange(THREADS)
    rest, part = (x % m, x // m) if levels == "one-level" else (x // m % 12, x // (12 * m))
    t = a + b[rest]
    expected = a * b[rest] if body == "multiply" else np.exp(t) / (1 + t * t)
    np.testing.assert_allclose(out, expected + c[part], rtol=1e-5, atol=1e-5)
