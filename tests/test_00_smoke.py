"""The first minute: if one of these fails, nothing else is worth reading."""

import numpy as np
import pytest

pytestmark = pytest.mark.native

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void scale(device const float* x, device float* y, constant float& factor,
                  uint i [[thread_position_in_grid]]) {
  y[i] = factor * x[i];
}
"""


def test_the_package_is_imported_without_loading_the_compiler():
    import subprocess
    import sys

    program = "import sys, metalwright; print('metalwright._native' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert output.stdout.strip() == "False", output.stderr


def test_a_device_is_there():
    import metalwright

    assert "cpu" in [device.kind for device in metalwright.devices()]


def test_a_kernel_compiles_and_runs_on_numpy_arrays():
    import metalwright

    x = np.arange(1000, dtype=np.float32)
    y = np.zeros_like(x)
    metalwright.compile(SOURCE).scale(x, y, 3.0)
    np.testing.assert_array_equal(y, 3 * x)


@pytest.mark.torch
def test_a_kernel_compiles_and_runs_on_tensors():
    import torch

    import metalwright

    x = torch.randn(1000)
    y = torch.empty_like(x)
    metalwright.compile(SOURCE).scale(x, y, 3.0)
    assert torch.equal(y, 3 * x)


def test_a_syntax_error_says_where():
    import metalwright

    with pytest.raises(metalwright.CompileError) as caught:
        metalwright.compile("kernel void broken(device float* x) {\n  x[0] = ;\n}\n")
    (diagnostic,) = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert (diagnostic.file, diagnostic.line) == ("program_source", 2)
    assert str(caught.value).startswith("program_source:2:")
