"""What becomes of a dispatch when the GPU, the compiler or the system fails; by injected faults."""

import threading
import time

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native
DEVICES = ("metal",)

COUNT = "kernel void k(device float* x, uint i [[thread_position_in_grid]]) { x[i] += 1; }"


@pytest.fixture(autouse=True)
def fresh(mac):
    """A device without a past, and no faults afterwards."""
    mac.install()
    yield
    mac.clear_faults()
    assert mac.wait_until_idle(20)
    mac.configure(slow_seconds=0.0, capture_enabled=False, counters="good", macos=(15, 0))


@pytest.fixture
def kernel():
    return metalwright.compile(COUNT).k


def failure(code: str, call) -> str:
    with pytest.raises(metalwright.Error) as caught:
        call()
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("timeout", "gpu-timeout"),
        ("impacting-interactivity", "impacting-interactivity"),
        ("page-fault", "gpu-page-fault"),
        ("out-of-memory", "gpu-out-of-memory"),
        ("internal", "gpu-error"),
        ("device-lost", "device-lost"),
    ],
)
def test_a_failed_command_buffer_raises_and_its_time_is_never_reported(mac, kernel, fault, code):
    x = metalwright.zeros(4, device="metal")
    with metalwright.record() as recording:
        mac.inject(fault)
        with pytest.raises(metalwright.DispatchError) as caught:
            kernel(x)
    assert caught.value.code == code
    assert len(recording) == 0


def test_after_a_failure_that_leaves_the_device_the_next_dispatch_runs(mac, kernel):
    x = metalwright.zeros(4, device="metal")
    mac.inject("page-fault")
    failure("gpu-page-fault", lambda: kernel(x))
    before = x.numpy().copy()
    kernel(x)
    assert (x.numpy() == before + 1).all()


def test_a_failure_while_timing_gives_no_figure(mac, kernel):
    mac.inject("timeout", skip=3)
    failure("gpu-timeout", lambda: kernel.time(metalwright.zeros(4, device="metal"), warmup=0.01))


def test_a_deadline_ends_the_wait_for_a_command_buffer_that_never_completes(mac, kernel):
    x = metalwright.zeros(4, device="metal")
    mac.inject("never-completes")
    begin = time.monotonic()
    failure("deadline-exceeded", lambda: kernel(x, deadline=0.2))
    assert time.monotonic() - begin < 10
    failure("gpu-busy", lambda: kernel(x))  # it may still run
    mac.clear_faults()

    def is_free() -> bool:
        try:
            kernel(x)
        except metalwright.Error as error:
            if error.code != "gpu-busy":
                raise
            return False
        return True

    end = time.monotonic() + 20
    while not is_free():  # the framework says when the command buffer has ended
        assert time.monotonic() < end
        time.sleep(0.01)


def test_other_threads_run_while_a_command_buffer_is_waited_for(mac, kernel):
    mac.configure(slow_seconds=0.3)
    ticks = []
    done = threading.Event()

    def tick():
        while not done.wait(0.01):
            ticks.append(1)

    thread = threading.Thread(target=tick)
    thread.start()
    kernel(metalwright.zeros(4, device="metal"))
    done.set()
    thread.join()
    assert len(ticks) >= 3


def test_a_compiler_that_fails_is_reported(mac):
    mac.inject("library-compile")
    failure("compile-error", lambda: metalwright.compile(COUNT + "// one"))
    mac.inject("pipeline-compile")
    with pytest.raises(metalwright.Error):
        _ = metalwright.compile(COUNT + "// two").k
    metalwright.compile(COUNT + "// two").k(np.zeros(1, np.float32))  # is tried again


def test_memory_that_cannot_be_had_is_reported(mac):
    mac.inject("allocation")
    failure("out-of-memory", lambda: metalwright.empty(1 << 20, device="metal"))


def test_an_older_system_compiles_what_it_knows(mac):
    mac.configure(macos=(14, 0))
    mac.install()
    assert metalwright.device_info("metal").details["msl-version"] == "3.1"
    kernel = metalwright.compile(COUNT + "// 14").k
    assert kernel.options.language_version == "3.1"
    failure(
        "unsupported-language-version",
        lambda: metalwright.compile(COUNT, language_version="3.2"),
    )


def test_the_state_of_the_machine_is_part_of_a_time(mac, kernel):
    mac.configure(thermal_state=2, low_power_mode=True)
    try:
        timing = kernel.time(metalwright.zeros(4, device="metal"), repeats=2, warmup=0)
        assert timing.conditions.thermal_state == "serious"
        assert timing.conditions.low_power_mode is True
    finally:
        mac.configure(thermal_state=0, low_power_mode=False)


@pytest.mark.parametrize("state", ["good", "zeros", "error-values"])
def test_counter_samples_are_used_only_if_they_pass_their_test(mac, state):
    mac.configure(counters=state)
    mac.install()
    test = metalwright.counter_samples("metal")
    assert test.usable == (state == "good")
    assert bool(test.reason) == (state != "good")


def test_a_device_tests_itself(mac):
    assert metalwright.self_test("metal", seconds=20) == (True, "")
    mac.inject("device-lost")
    assert not metalwright.self_test("metal", seconds=5).usable


def test_a_trace_is_captured_if_the_process_was_started_for_it(mac, kernel, tmp_path):
    x = metalwright.zeros(4, device="metal")

    def capture(path):
        with metalwright.capture(path):
            kernel(x)

    assert "MTL_CAPTURE_ENABLED" in failure(
        "capture-not-enabled", lambda: capture(tmp_path / "a.gputrace")
    )
    mac.configure(capture_enabled=True)
    mac.install()
    capture(tmp_path / "a.gputrace")
    assert (tmp_path / "a.gputrace").exists()
    failure("capture-path", lambda: capture(tmp_path / "a.gputrace"))
    failure("capture-path", lambda: capture(tmp_path / "b.trace"))
    with pytest.raises(ZeroDivisionError), metalwright.capture(tmp_path / "c.gputrace"):
        _ = 1 / 0
    capture(tmp_path / "d.gputrace")  # the failed block has stopped its own


def test_traces_and_counters_are_metals_alone():
    failure("not-a-metal-device", lambda: metalwright.counter_samples("cpu"))
    failure("no-such-device", lambda: metalwright.counter_samples("cuda"))
