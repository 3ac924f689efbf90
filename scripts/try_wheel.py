"""Compiles and runs one kernel with the installed package and nothing else of the project.

    python scripts/try_wheel.py

For a machine on which a wheel was just installed. Exits with 1 if the result is wrong.
"""

from __future__ import annotations

import sys

import numpy as np

import metalwright

SOURCE = """#include <metal_stdlib>
using namespace metal;
kernel void softplus(device float* y, device const float* x,
                     uint i [[thread_position_in_grid]]) {
  y[i] = precise::log(1.0f + precise::exp(x[i]));
}"""


def main() -> int:
    """0 if the kernel gave what NumPy gives."""
    x = np.linspace(-4, 4, 1000, dtype=np.float32)
    y = np.zeros_like(x)
    metalwright.compile(SOURCE).softplus(y, x)
    right = bool(np.allclose(y, np.log1p(np.exp(x)), rtol=1e-5))
    print("softplus on", metalwright.devices()[0].name, "is", "right" if right else "wrong")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
