"""The pytest plugin: benchmarks on the device clock, through pytest-benchmark."""

import importlib.metadata
import json
import subprocess
import sys

import pytest

pytest.importorskip("pytest_benchmark")
pytest.importorskip("metalwright.runtime")
pytest_plugins = ["pytester"]

pytestmark = pytest.mark.native

# A kernel, and a function that also waits: the wait is no device time.
HEAD = """
import time
import numpy as np
import pytest
import metalwright

SOURCE = '''kernel void k(device float* x, uint i [[thread_position_in_grid]])
{ float v = x[i]; for (int n = 0; n < 200; ++n) v = v * 0.5f + 1; x[i] = v; }'''
kernel = metalwright.compile(SOURCE, device="cpu").k
x = np.zeros(4096, np.float32)

def slow():
    time.sleep(0.005)
    kernel(x)
    return 7
"""
FAST = ["--benchmark-max-time=0.05", "--benchmark-min-rounds=3", "-q"]


@pytest.fixture
def run(pytester):
    """Runs pytest on a test file in a process of its own, with the plugin as it is installed."""

    def call(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(HEAD + source)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *FAST, *options, timeout=120)

    return call


def test_the_plugin_is_installed_under_its_name():
    (entry,) = [
        each
        for each in importlib.metadata.entry_points(group="pytest11")
        if each.name == "metalwright"
    ]
    assert entry.value == "metalwright.pytest_plugin"


def test_device_seconds_are_reported_not_the_wall_clock(run, pytester):
    result = run(
        """
def test_it(device_benchmark):
    assert device_benchmark(slow) == 7
    assert device_benchmark.stats.stats.median < 0.004

def test_wall(benchmark):
    benchmark(slow)
""",
        "--benchmark-json=out.json",
    )
    result.assert_outcomes(passed=2)
    report = json.loads((pytester.path / "out.json").read_text())
    device, wall = report["benchmarks"]
    assert 0 < device["stats"]["median"] < 0.004 < wall["stats"]["median"]
    assert "device_clock" in device["options"]["timer"]
    noted = device["extra_info"]["metalwright"]
    assert (noted["devices"], noted["dispatches_per_call"]) == (["cpu"], 1.0)
    assert noted["wall_seconds_per_call"] > 0.004
    machine = report["machine_info"]["metalwright"]["cpu"]
    assert machine["thermal_state"] == "unknown"
    assert "CLOCK_MONOTONIC" in machine["clock"]


def test_runs_are_compared_with_earlier_ones(run):
    source = "\ndef test_it(device_benchmark):\n    device_benchmark(kernel, x)\n"
    run(source, "--benchmark-save=first").assert_outcomes(passed=1)
    again = run(source, "--benchmark-compare=0001", "--benchmark-compare-fail=median:5000%")
    again.assert_outcomes(passed=1)
    again.stdout.fnmatch_lines(["*test_it (0001_first)*"])
    strict = run(source, "--benchmark-compare=0001", "--benchmark-compare-fail=min:-99%")
    assert strict.ret != 0  # regressions are found in device seconds, too


def test_a_short_kernel_is_called_many_times_in_a_round(run, pytester):
    run(
        "\ndef test_it(device_benchmark):\n    device_benchmark(kernel, x[:1])\n",
        "--benchmark-json=out.json",
    ).assert_outcomes(passed=1)
    (one,) = json.loads((pytester.path / "out.json").read_text())["benchmarks"]
    assert one["stats"]["iterations"] > 10
    assert one["stats"]["rounds"] >= 3


def test_a_function_without_kernels_is_refused(run):
    result = run("\ndef test_it(device_benchmark):\n    device_benchmark(lambda: None)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the function dispatched no kernel*"])


def test_benchmarks_can_be_disabled_and_skipped(run):
    source = "\ndef test_it(device_benchmark):\n    assert device_benchmark(slow) == 7\n"
    run(source, "--benchmark-disable").assert_outcomes(passed=1)
    run(source, "--benchmark-skip").assert_outcomes(skipped=1)


def test_without_pytest_benchmark_the_fixture_says_what_it_needs(pytester):
    pytester.makepyfile("def test_other(): pass\ndef test_it(device_benchmark): pass\n")
    result = pytester.runpytest_subprocess("-p", "no:benchmark", "-q", timeout=120)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*needs pytest-benchmark: pip install pytest-benchmark*"])


def test_the_native_half_is_not_imported_by_a_run_that_does_not_use_it(pytester):
    pytester.makepyfile(
        "import sys\ndef test_it():\n"
        "    assert 'metalwright.pytest_plugin' in sys.modules\n"
        "    assert 'metalwright._native' not in sys.modules\n"
    )
    pytester.runpytest_subprocess("-q", timeout=120).assert_outcomes(passed=1)
    program = "import sys, metalwright.pytest_plugin as p; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
