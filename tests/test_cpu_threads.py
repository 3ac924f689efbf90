"""Which threads share a dispatch's work: those of torch's OpenMP team, else the device's own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("metalwright.runtime")

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors"),
]

# What every script starts with. A kernel that takes some milliseconds on one core.
BEGIN = """
import os, signal, threading, time
from pathlib import Path
import numpy as np
import metalwright

N = 1 << 18
kernels = metalwright.compile('''
#include <metal_stdlib>
using namespace metal;
kernel void work(device const float* x, device float* y, uint i [[thread_position_in_grid]]) {
    float s = x[i];
    for (int j = 0; j < 100; ++j) s = sin(s) + 0.5f;
    y[i] = s;
}
kernel void wait(device int* f, uint i [[thread_position_in_grid]]) {
    while (((volatile device int*)f)[0] == 0) {}
}
kernel void fault(device int* f, uint i [[thread_position_in_grid]]) {
    if (i >= 200000) f[i * 100000000ul] = 1;
}
kernel void meet(device atomic_float* sums, device atomic_int* count,
                 uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(sums + i % 7, 1.0f, memory_order_relaxed);
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}
kernel void report(device const float* x, device float* y, device atomic_int* count,
                   uint i [[thread_position_in_grid]]) {
    if (x[i] > 100) {
        atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
        return;
    }
    float s = x[i];
    for (int j = 0; j < 100; ++j) s = sin(s) + 0.5f;
    y[i] = s;
}''', device='cpu')

def names():
    found = []
    for thread in Path('/proc/self/task').iterdir():
        try:
            found.append((thread / 'comm').read_text().strip())
        except OSError:
            pass  # it has ended meanwhile
    return found

def work():
    x, y = np.linspace(0, 1, N, dtype=np.float32), np.empty(N, np.float32)
    for _ in range(5):
        kernels.work(x, y, threads=N, group_size=256)
    assert np.abs(y - y[0]).max() < 1e-4, y  # the iteration converges
    return 'own' if 'mw-worker' in names() else 'team'
"""
TORCH = """
import torch

def product():
    a = torch.ones(256, 256)
    assert (a @ a).sum() == 256**3

product()
"""
# Runs a function in a forked child and prints what it returned.
CHILD = """
def in_child(function):
    if (child := os.fork()) == 0:
        signal.alarm(30)
        print(function(), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def output(*script: str, **environment: str) -> list[str]:
    """What a process of its own prints."""
    command = [sys.executable, "-W", "ignore", "-c", "\n".join(script)]
    return subprocess.run(
        command,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        timeout=120,
        env=os.environ | environment,
    ).stdout.split()


def test_the_team_of_torch_does_the_work_where_there_is_one() -> None:
    assert output(BEGIN, "print(work())") == ["own"]
    # Also where torch comes after the first dispatch; then threads of both kinds are there.
    assert output(BEGIN, TORCH, "print(work())") == ["team"]


def test_a_team_that_is_too_small_is_not_used() -> None:
    assert output(BEGIN, TORCH, "torch.set_num_threads(1); print(work())") == ["own"]


def test_other_threads_than_the_main_one_do_not_get_teams_of_their_own() -> None:
    script = """
        found = []
        threads = [threading.Thread(target=lambda: found.append(work())) for _ in range(8)]
        [t.start() for t in threads]; [t.join() for t in threads]
        print(*found)
    """.replace("\n        ", "\n")
    assert output(BEGIN, TORCH, script) == ["own"] * 8


def test_a_forked_child_does_not_wait_for_a_team_that_stayed_behind() -> None:
    assert output(BEGIN, CHILD, TORCH, "in_child(work)") == ["own"]
    # The watchdog and the threads of the device stay behind too.
    assert output(BEGIN, CHILD, "work(); in_child(work)") == ["own"]


def test_a_forked_child_of_a_single_thread_has_a_team() -> None:
    # Else NumPy has threads for its matrix products.
    script = "assert len(names()) == 1, names(); in_child(work)"
    assert output(BEGIN, CHILD, "import torch", script, OPENBLAS_NUM_THREADS="1") == ["team"]


@pytest.mark.parametrize("torch", ["", TORCH], ids=["own", "team"])
def test_all_repeats_are_shared(torch: str) -> None:
    script = """
        x, y = np.zeros(N, np.float32), np.empty(N, np.float32)
        everywhere, here = time.process_time(), time.thread_time()
        kernels.work.time(x, y, threads=N, group_size=256, repeats=40, warmup=0)
        print((time.thread_time() - here) / (time.process_time() - everywhere))
    """.replace("\n        ", "\n")
    # A half on a quiet machine; the other threads may get little of a busy one.
    assert float(output(BEGIN, torch, script)[0]) < 0.9


@pytest.mark.parametrize("torch", ["", TORCH], ids=["own", "team"])
def test_threads_that_meet(torch: str) -> None:
    """With atomic operations one thread may be faster than several: both are tried."""
    script = """
        for repeats in (1, 10):
            for _ in range(140 // repeats):
                sums, count = np.zeros(7, np.float32), np.zeros(1, np.int32)
                if repeats == 1:
                    kernels.meet(sums, count, threads=N, group_size=256)
                else:
                    kernels.meet.time(
                        sums, count, threads=N, group_size=256, repeats=repeats, warmup=0)
                runs, rest = divmod(int(count[0]), N)
                assert rest == 0 and runs >= repeats, count
                assert sums.sum(dtype=np.float64) == count[0] and np.ptp(sums) <= runs, sums
        print('right')
    """.replace("\n        ", "\n")
    assert output(BEGIN, torch, script) == ["right"]


@pytest.mark.parametrize("torch", ["", TORCH], ids=["own", "team"])
def test_dispatches_that_meet(torch: str) -> None:
    """What one thread adds without atomic operations is not lost to another dispatch."""
    script = """
        sums, count = np.zeros(7, np.float32), np.zeros(1, np.int32)
        for _ in range(20):
            kernels.meet(sums, count, threads=N, group_size=256)
        def add():
            for _ in range(100):
                kernels.meet(sums, count, threads=N, group_size=256)
        others = [threading.Thread(target=add) for _ in range(3)]
        for other in others:
            other.start()
        for other in others:
            other.join()
        assert count[0] == 320 * N, count
        explained = kernels.meet.explain()
        assert 'with atomic operations as plain ones' in explained, explained
        print('right')
    """.replace("\n        ", "\n")
    assert output(BEGIN, torch, script) == ["right"]


def test_threads_that_seldom_meet() -> None:
    """No code is made for one thread where what is atomic only reports errors."""
    script = """
        x, y = np.linspace(0, 1, N, dtype=np.float32), np.empty(N, np.float32)
        count = np.zeros(1, np.int32)
        for _ in range(20):
            kernels.report(x, y, count, threads=N, group_size=256)
        assert count[0] == 0 and np.abs(y - y[0]).max() < 1e-4
        explained = kernels.report.explain()
        assert 'as plain ones' not in explained, explained
        x[5] = 1000
        kernels.report(x, y, count, threads=N, group_size=256)
        assert count[0] == 1, count
        print('right')
    """.replace("\n        ", "\n")
    assert output(BEGIN, "", script) == ["right"]


@pytest.mark.parametrize("torch", ["", TORCH], ids=["own", "team"])
@pytest.mark.parametrize("how", ["deadline", "interrupt", "fault"])
def test_what_goes_wrong_on_any_thread_ends_the_dispatch_alone(torch: str, how: str) -> None:
    script = f"""
        f = np.zeros(N, np.int32)
        begin = time.monotonic()
        if {how!r} == 'interrupt':
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            if {how!r} == 'fault':
                kernels.fault(f, threads=N, group_size=256)
            else:
                deadline = 0.3 if {how!r} == 'deadline' else 30
                kernels.wait(f, threads=N, group_size=256, deadline=deadline)
        except metalwright.DispatchError as error:
            print(error.code)
        except KeyboardInterrupt:
            print('interrupted')
        assert time.monotonic() - begin < 10
        print(work())
        if {bool(torch)}:
            product()
    """.replace("\n        ", "\n")
    ended = {
        "deadline": "deadline-exceeded",
        "interrupt": "interrupted",
        "fault": "invalid-memory-access",
    }
    assert output(BEGIN, torch, script) == [ended[how], "team" if torch else "own"]
