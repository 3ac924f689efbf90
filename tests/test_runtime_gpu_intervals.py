"""GPU intervals by xctrace, against a program that speaks its language."""

import shutil
import sys
from pathlib import Path

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native

HERE = Path(__file__).resolve().parent
SOURCE = (
    "kernel void one(device float* x) { x[0] = 1; } kernel void two(device float* x) { x[0] = 2; }"
)


@pytest.fixture
def xctrace(tmp_path, monkeypatch):
    """Puts the stand-in first on the PATH; returns how to choose what it does."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "xctrace"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "fake_xctrace.py"}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def behave(mode: str, rows: int = 3) -> None:
        monkeypatch.setenv("FAKE_XCTRACE", mode)
        monkeypatch.setenv("FAKE_XCTRACE_ROWS", str(rows))

    return behave


@pytest.fixture
def work():
    """Dispatches three kernels: one, two, one."""
    library = metalwright.compile(SOURCE, device="cpu")
    x = np.zeros(1, np.float32)

    def call() -> None:
        for kernel in (library.one, library.two, library.one):
            kernel(x, threads=1)

    return call


def refused(code: str, call) -> str:
    with pytest.raises(metalwright.Error) as caught:
        call()
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


def test_each_dispatch_gets_its_interval(xctrace, work):
    xctrace("ok", rows=3)
    found = metalwright.record_gpu_intervals(work)
    assert found.is_matched
    assert [each.kernel for each in found.intervals] == ["one", "two", "one"]
    # The first encoder was cut in two rows; rows of other processes and channels are left out.
    assert [each.seconds for each in found.intervals] == pytest.approx([5e-6, 2e-6, 2e-6])
    assert [each.start for each in found.intervals] == pytest.approx([1e-3, 2e-3, 3e-3])
    assert found.median("two") == pytest.approx(2e-6)
    assert found.trace is None


def test_intervals_without_a_dispatch_of_their_own_get_no_name(xctrace, work):
    xctrace("ok", rows=5)
    found = metalwright.record_gpu_intervals(work)
    assert not found.is_matched
    assert (len(found.intervals), found.dispatches) == (5, 3)
    assert {each.kernel for each in found.intervals} == {None}
    assert "5 intervals" in refused("no-such-kernel", lambda: found.median("one"))


def test_a_system_that_records_no_intervals_is_named_as_one(xctrace, work):
    xctrace("none")
    message = refused("no-gpu-intervals", lambda: metalwright.record_gpu_intervals(work))
    assert "3 kernels" in message


def test_the_trace_can_be_kept(xctrace, work, tmp_path):
    xctrace("ok")
    trace = tmp_path / "kept.trace"
    assert metalwright.record_gpu_intervals(work, trace=trace).trace == trace
    assert trace.is_dir()
    refused("capture-path", lambda: metalwright.record_gpu_intervals(work, trace=trace))


@pytest.mark.parametrize(
    ("mode", "said"),
    [("no-start", "Cannot attach to process"), ("bad-export", "Document Missing Template")],
)
def test_a_failure_of_xctrace_is_told_in_its_words(xctrace, work, mode, said):
    xctrace(mode)
    assert said in refused("xctrace-failed", lambda: metalwright.record_gpu_intervals(work))


def test_a_version_that_does_not_say_how_to_stop_it_is_given_a_moment(xctrace, work, monkeypatch):
    monkeypatch.setattr("metalwright.runtime.gpu_intervals.START_GRACE", 0.2)
    xctrace("silent")
    assert metalwright.record_gpu_intervals(work).is_matched


def test_what_the_function_raises_comes_through(xctrace):
    xctrace("ok")
    with pytest.raises(ZeroDivisionError):
        metalwright.record_gpu_intervals(lambda: 1 / 0)


def test_without_xctrace_the_error_says_where_it_comes_from(work, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Xcode" in refused("xctrace-missing", lambda: metalwright.record_gpu_intervals(work))
    xcrun = tmp_path / "xcrun"
    shell = shutil.which("sh", path="/bin:/usr/bin")
    says = "xcrun: error: unable to find utility xctrace"
    xcrun.write_text(f'#!{shell}\necho "{says}" >&2\nexit 72\n')
    xcrun.chmod(0o755)
    message = refused("xctrace-missing", lambda: metalwright.record_gpu_intervals(work))
    assert says in message


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("<row><start-time>1</start-time></row>", "1 values"),
        ('<row><s ref="9"/><d>1</d></row>', "refers to value 9"),
        ("<row><s>1</s><d>1</d></row>", "has no column process"),
        ("<row>", "not XML"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path, rows, reason):
    table = tmp_path / "t.xml"
    table.write_text(
        '<trace-query-result><node><schema name="metal-gpu-intervals"><col><mnemonic>start'
        "</mnemonic></col><col><mnemonic>duration</mnemonic></col></schema>"
        f"{rows}</node></trace-query-result>"
    )
    assert reason in refused(
        "unreadable-trace", lambda: metalwright.read_gpu_intervals(table, pid=1)
    )
