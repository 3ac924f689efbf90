"""Which devices there are, what they say of themselves, and handing them to other modules."""

import threading

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native

COUNT = "kernel void k(device float* x) { x[0] += 1; }"


def refused(code: str, call) -> str:
    with pytest.raises(metalwright.Error) as caught:
        call()
    assert caught.value.code == code
    return str(caught.value)


def test_a_device_says_what_it_is():
    info = metalwright.device_info("cpu")
    assert (info.kind, info.thread_execution_width) == ("cpu", 32)
    assert "CLOCK_MONOTONIC" in info.clock
    assert isinstance(info.details, dict)
    assert info.kind in [each.kind for each in metalwright.devices()]


def test_devices_of_a_kind_are_numbered():
    assert metalwright.device_info("cpu:0").name == metalwright.device_info("cpu").name
    for name in ("cpu:1", "cpu:x", "cpu:", "gpu"):
        assert "present: " in refused(
            "no-such-device", lambda name=name: metalwright.device_info(name)
        )


def test_the_environment_chooses_the_default_device(monkeypatch):
    monkeypatch.setenv("METALWRIGHT_DEVICE", "abacus")
    assert metalwright.default_device() == "abacus"
    refused("no-such-device", lambda: metalwright.compile(COUNT + "// abacus"))


def test_a_device_of_the_build_is_handed_out_and_not_replaced():
    from metalwright import _native

    capsule = _native.native_device("cpu")
    assert "metalwright.device.1" in repr(capsule)
    assert "'cpu'" in refused("device-exists", lambda: _native.register_device(capsule))
    refused("not-a-device", lambda: _native.register_device(object()))
    refused("no-such-device", lambda: _native.native_device("abacus"))


def test_a_time_says_under_which_conditions_it_was_taken():
    kernel = metalwright.compile(COUNT, math_mode="fast", device="cpu").k
    timing = kernel.time(np.zeros(1, np.float32), threads=1, repeats=5, warmup=0)
    conditions = timing.conditions
    assert (conditions.kind, conditions.name) == ("cpu", metalwright.device_info("cpu").name)
    assert (conditions.math_mode, conditions.math_functions) == ("fast", "fast")
    assert conditions.language_version == "3.2"
    assert conditions.thermal_state == "unknown"
    assert conditions.as_dict()["low_power_mode"] is None
    assert timing.repeats_per_run == 1
    assert (timing.copied_bytes, timing.copy_seconds) == (0, 0)


# ------------------------------------------------------------------------------ the order


def test_the_order_in_the_stream_is_set_for_a_block_of_one_thread():
    from metalwright import _native

    def in_stream() -> bool:
        now = _native.set_in_stream(False)
        _native.set_in_stream(now)
        return now

    seen = []
    with metalwright.stream_order("in-stream"):
        assert in_stream()
        with metalwright.stream_order("isolated"):
            assert not in_stream()
        assert in_stream()
        thread = threading.Thread(target=lambda: seen.append(in_stream()))
        thread.start()
        thread.join()
    assert not in_stream()
    assert seen == [False]
    with pytest.raises(ZeroDivisionError), metalwright.stream_order("in-stream"):
        _ = 1 / 0
    assert not in_stream()
    with pytest.raises(metalwright.Error, match="'in-stream'"):
        metalwright.stream_order("sideways").__enter__()


def test_the_cpu_device_runs_at_once_and_so_in_order():
    kernel = metalwright.compile(COUNT, device="cpu").k
    x = np.zeros(1, np.float32)
    with metalwright.stream_order("in-stream"), metalwright.record() as recording:
        kernel(x, threads=1)
        x *= 10
        kernel(x, threads=1)
    assert x[0] == 11
    assert recording.untimed == 0
