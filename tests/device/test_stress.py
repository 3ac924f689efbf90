"""Many threads, many dispatches, many compilations: nothing is mixed up and nothing leaks."""

import gc
import os
import subprocess
import sys
import threading

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native

# One takes some 15 ms; with 10000 the two tests of compiling take four minutes per device.
COMPILATIONS = int(os.environ.get("METALWRIGHT_TEST_COMPILATIONS", "1000"))

ADD = """
kernel void add(device const float* x, constant float& y, device float* out,
                uint i [[thread_position_in_grid]]) { out[i] = x[i] + y; }
"""


def resident_bytes() -> int:
    if not sys.platform.startswith("linux"):
        pytest.skip("reads the resident set from /proc")
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def live_objects() -> dict[str, int]:
    """Objects of the stand-in's framework by class; empty on other devices."""
    package = sys.modules.get("metalwright_standin")
    if package is None:
        return {}
    package.wait_until_idle(20)
    return dict(package.live_objects())


def growth(work, count: int) -> tuple[int, dict[str, int]]:
    """What `count` calls of `work` leave behind: resident bytes, and objects of the framework.

    What the first tenth leaves is not counted: caches and arenas fill up.
    """
    for number in range(count // 10):
        work(number)
    gc.collect()
    before, objects = resident_bytes(), live_objects()
    for number in range(count // 10, count):
        work(number)
    gc.collect()
    after = live_objects()
    more = {name: n - objects.get(name, 0) for name, n in after.items() if n > objects.get(name, 0)}
    return resident_bytes() - before, more


@pytest.mark.slow
def test_eight_threads_of_ten_thousand_dispatches_get_their_own_results(device):
    kernel = metalwright.compile(ADD).add
    errors: list[object] = []

    def work(thread: int) -> None:
        try:
            x = metalwright.from_array(np.full(16, thread, np.float32), device=device)
            out = metalwright.zeros(16, device=device)
            array = np.zeros(16, np.float32)
            for number in range(1250):
                kernel(x, number, out)
                assert (out.numpy() == thread + number).all()
                if number % 50 == 0:  # memory that is copied, and an error, now and then
                    kernel(np.full(16, thread, np.float32), number, array)
                    assert (array == thread + number).all()
                    with pytest.raises(metalwright.Error):
                        kernel(x, number, out, threads=1, group_size=1 << 20)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []


def test_threads_compile_and_dispatch_at_once(device):
    errors: list[object] = []

    def work(thread: int) -> None:
        try:
            for number in range(10):
                source = f"kernel void k(device float* x) {{ x[0] = {thread * 100 + number}; }}"
                out = np.zeros(1, np.float32)
                metalwright.compile(source).k(out, threads=1)
                assert out[0] == thread * 100 + number
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []


@pytest.mark.slow
def test_threads_that_only_compile_do_not_touch_each_others_memory(device, tmp_path):
    # In a process of its own: what it is to find ends the process. It found a file system that all
    # compilations shared and wrote the name of the working directory to, in some runs of a few.
    program = """
import threading
import metalwright.runtime as metalwright

def work(thread):
    for number in range(1000):
        metalwright.compile(f"kernel void k(device int* x) {{ x[0] = {thread * 1000 + number}; }}")

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    if device != "cpu":
        pytest.skip("the compiler is the CPU device's")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,  # its name is longer than what a string holds without the heap
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_ten_thousand_dispatches_leave_nothing_behind(device):
    kernel = metalwright.compile(ADD).add
    x = metalwright.zeros(256, device=device)
    array = np.zeros(256, np.float32)

    def work(number: int) -> None:
        kernel(x, number, array)

    leaked, objects = growth(work, 10_000)
    assert leaked < 8 << 20
    assert objects == {}


@pytest.mark.slow
def test_ten_thousand_buffers_and_failures_leave_nothing_behind(device):
    kernel = metalwright.compile(ADD).add

    def work(number: int) -> None:
        buffer = metalwright.empty(4096, device=device)
        view = buffer.numpy()
        del buffer
        with pytest.raises(metalwright.Error):
            kernel(view[4:], number, view[:4], threads=4096, group_size=4096)

    leaked, objects = growth(work, 10_000)
    assert leaked < 8 << 20
    assert objects == {}


@pytest.mark.slow
def test_compilations_leave_nothing_behind(device):
    out = np.zeros(1, np.float32)

    def work(number: int) -> None:
        source = f"kernel void k(device float* x) {{ x[0] = {number}; }}"
        metalwright.compile(source, file_name="leak").k(out, threads=1)
        assert out[0] == number
        if number % 50 == 0:
            metalwright.clear_cache()

    metalwright.clear_cache()
    leaked, objects = growth(work, COMPILATIONS)
    metalwright.clear_cache()
    assert leaked < 32 << 20
    assert {name: count for name, count in objects.items() if count > 60} == {}


@pytest.mark.slow
def test_failed_compilations_leave_nothing_behind(device):
    def work(number: int) -> None:
        with pytest.raises(metalwright.CompileError):
            metalwright.compile(f"kernel void k() {{ undeclared{number}(); }}")

    leaked, objects = growth(work, COMPILATIONS)
    assert leaked < 16 << 20
    assert objects == {}
