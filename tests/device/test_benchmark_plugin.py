"""The fixture device_benchmark on every device: device seconds, the device and its state."""

import json
import os
import sys

import pytest

pytest.importorskip("pytest_benchmark")
pytest.importorskip("metalwright.runtime")
pytest_plugins = ["pytester"]

pytestmark = pytest.mark.native

# A Mac that is warm.
START = """
import metalwright_standin as standin
standin.configure(thermal_state=1)
standin.install()
"""
TEST = """
import time
import metalwright

SOURCE = '''kernel void k(device float* x, uint i [[thread_position_in_grid]])
{ float v = x[i]; for (int n = 0; n < 200; ++n) v = v * 0.5f + 1; x[i] = v; }'''

def test_it(device_benchmark):
    kernel = metalwright.compile(SOURCE).k
    x = metalwright.zeros(4096)

    def slow():
        time.sleep(0.02)
        kernel(x)

    device_benchmark(slow)
"""


def test_the_device_and_its_state_are_in_the_json(device, pytester, monkeypatch):
    if device == "metal" and "metalwright_standin" in sys.modules:
        pytester.makepyfile(sitecustomize=START)
        folders = (str(pytester.path), os.environ["METALWRIGHT_METAL_STANDIN"])
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    pytester.makepyfile(TEST)
    result = pytester.runpytest_subprocess(
        "-q",
        "--benchmark-max-time=0.1",
        "--benchmark-min-rounds=3",
        "--benchmark-json=out.json",
        timeout=120,
    )
    result.assert_outcomes(passed=1)
    report = json.loads((pytester.path / "out.json").read_text())
    (one,) = report["benchmarks"]
    assert 0 < one["stats"]["median"] < 0.02  # the sleep is not in it
    assert one["extra_info"]["metalwright"]["devices"] == [device]
    machine = report["machine_info"]["metalwright"][device]
    assert machine["clock"] == one["extra_info"]["metalwright"]["clock"][0]
    if device == "metal" and "metalwright_standin" in sys.modules:
        assert machine["thermal_state"] == "fair"
        assert machine["details"]["msl-version"] == "3.2"
