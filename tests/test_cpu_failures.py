"""Kernels that go wrong while they run: each ends with an error, and the process goes on."""

import os
import signal
import threading
import time

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
SIGNATURE = "(device int* f, uint i [[thread_position_in_grid]])"
BARRIER = "threadgroup_barrier(mem_flags::mem_device);"
WAIT = "while (((volatile device int*)f)[0] == 0) {}"


def kernel(body: str):
    return metalwright.compile(
        f"{HEADER}kernel void k{SIGNATURE} {{ {body} }}", device="cpu"
    ).kernel("k")


@pytest.mark.parametrize("threads", [1, 4000])
@pytest.mark.parametrize("body", [WAIT, BARRIER + WAIT + BARRIER, "for (;;) {}"])
def test_a_deadline_stops_endless_loops_on_both_engines(body: str, threads: int) -> None:
    f = np.zeros(4096, np.int32)
    begin = time.monotonic()
    with pytest.raises(metalwright.DispatchError) as caught:
        kernel(body)(f, threads=threads, group_size=min(threads, 128), deadline=0.1)
    assert caught.value.code == "deadline-exceeded"
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("threads", [1, 4000])
@pytest.mark.parametrize("body", [WAIT, BARRIER + WAIT + BARRIER])
def test_control_c_stops_a_kernel_also_on_the_calling_thread(body: str, threads: int) -> None:
    f = np.zeros(4096, np.int32)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        kernel(body)(f, threads=threads, group_size=min(threads, 128), deadline=20)
    timer.join()


@pytest.mark.parametrize("prefix", ["", BARRIER])
def test_an_access_far_outside_names_the_argument(prefix: str) -> None:
    f = np.zeros(64, np.int32)
    with pytest.raises(metalwright.DispatchError, match="argument 'f'") as caught:
        kernel(prefix + "f[i * 100000000ul] = 1;")(f, threads=64, group_size=64)
    assert caught.value.code == "invalid-memory-access"


def test_the_process_and_the_kernel_survive_a_failure() -> None:
    f = np.zeros(64, np.int32)
    k = kernel("bool bad = f[0] != 0;" + BARRIER + "f[bad ? i * 100000000ul : i] = 7;")
    for _ in range(20):
        f[0] = 1
        with pytest.raises(metalwright.DispatchError):
            k(f, threads=64, group_size=64)
        f[:] = 0
        k(f, threads=64, group_size=64)
        assert (f == 7).all()


def test_division_by_zero_does_not_trap() -> None:
    f = np.full(64, 7, np.int32)
    kernel("int z = f[i] - f[i]; f[i] = f[i] / z + f[i] % z;")(f, threads=64, group_size=64)
    assert (f == 7).all()
    f[:] = -(2**31)
    kernel("f[i] = f[i] / -(f[i] < 0 ? 1 : 2);")(f, threads=64, group_size=64)
    assert (f == -(2**31)).all()


@pytest.mark.parametrize(
    "body",
    [
        f"if (i < 8) {BARRIER}",
        f"if (i > 40) return; {BARRIER} f[i] = 1;",
        f"if (i < 32) {BARRIER} else {BARRIER}",
        f"for (uint j = 0; j < i; ++j) {BARRIER}",
    ],
)
def test_a_barrier_that_some_threads_miss(body: str) -> None:
    f = np.zeros(64, np.int32)
    with pytest.raises(metalwright.DispatchError, match="threadgroup_barrier") as caught:
        kernel(body)(f, threads=64, group_size=64)
    assert caught.value.code == "divergent-barrier"


def test_barriers_in_uniform_control_flow_are_fine() -> None:
    f = np.arange(128, dtype=np.int32)
    k = kernel(
        f"""for (uint step = 1; step < 64; step *= 2) {{
              int other = f[i ^ step]; {BARRIER}
              f[i] += other; {BARRIER}
            }}"""
    )
    k(f, threads=128, group_size=64)
    assert f.tolist() == [sum(range(64))] * 64 + [sum(range(64, 128))] * 64
