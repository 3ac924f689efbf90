"""Stopping and timing on the CPU device. What holds on every device is in tests/device."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.native, pytest.mark.torch]

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
ENDLESS = (
    HEADER
    + "kernel void spin(device uint* x, uint i [[thread_position_in_grid]])"
    + "{ while (((volatile device uint*)x)[i] == 0) {} }"
)
COPY = (
    HEADER
    + "kernel void copy(device const float* x, device float* y, uint i [[thread_position_in_grid]])"
    + "{ y[i] = x[i]; }"
)


# ------------------------------------------------------------------------------ stopping


def test_a_deadline_stops_a_kernel_that_never_ends():
    kernel = metalwright.compile(ENDLESS).spin
    x = torch.zeros(64, dtype=torch.uint32)
    begin = time.monotonic()
    with pytest.raises(metalwright.DispatchError) as caught:
        kernel(x, deadline=0.2)
    assert caught.value.code == "deadline-exceeded"
    assert 0.1 < time.monotonic() - begin < 10
    kernel(torch.ones(64, dtype=torch.uint32), deadline=5)  # the device still works


def test_a_default_deadline_can_be_set():
    kernel = metalwright.compile(ENDLESS).spin
    metalwright.set_deadline(0.1)
    try:
        with pytest.raises(metalwright.DispatchError):
            kernel(torch.zeros(1, dtype=torch.uint32))
    finally:
        metalwright.set_deadline(None)
    with pytest.raises(metalwright.Error):
        metalwright.set_deadline(0)


def test_the_environment_sets_the_default_deadline():
    program = f"""
import numpy, metalwright
try:
    metalwright.compile({ENDLESS!r}).spin(numpy.zeros(1, numpy.uint32))
except metalwright.DispatchError as error:
    print(error.code)
"""
    output = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "METALWRIGHT_DEADLINE": "0.1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert output.stdout.strip() == "deadline-exceeded", output.stderr


def test_ctrl_c_stops_a_kernel_that_never_ends():
    kernel = metalwright.compile(ENDLESS).spin
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            kernel(torch.zeros(64, dtype=torch.uint32), deadline=20)
    finally:
        timer.join()


def test_other_threads_run_during_a_dispatch():
    kernel = metalwright.compile(ENDLESS).spin
    x = torch.zeros(1, dtype=torch.uint32)
    timer = threading.Timer(0.2, lambda: x.fill_(1))
    timer.start()
    kernel(x, deadline=20)  # ends only because the other thread got to run
    timer.join()


# ------------------------------------------------------------------------------ timing


def test_a_kernel_can_be_timed():
    kernel = metalwright.compile(COPY).copy
    x, y = torch.randn(1 << 16), torch.zeros(1 << 16)
    timing = kernel.time(x, y, repeats=20, warmup=0.01)
    assert len(timing.runs) == 20
    assert min(timing.runs) <= timing.median <= max(timing.runs)
    assert timing.median > 0
    assert timing.overhead > 0
    assert timing.spread >= 0
    assert "CLOCK_MONOTONIC" in timing.clock
    assert torch.equal(x, y)
