"""GPU intervals as Instruments saw them: a second clock for the dispatches of this process."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from metalwright.errors import Error
from metalwright.runtime.recording import record
from metalwright.runtime.xctrace_table import Row, TableReader

TEMPLATE = "Metal System Trace"
SCHEMA = "metal-gpu-intervals"
# Seconds. Instruments takes several to attach, and a while to write its file.
START_TIMEOUT = 60.0
START_GRACE = 5.0
STOP_TIMEOUT = 180.0


@dataclass(frozen=True)
class GpuInterval:
    """One compute encoder on the GPU: `start` in seconds since the trace began, how long it ran.

    ``kernel`` is the name of the dispatched kernel where dispatches and intervals could be matched
    one to one, else None. ``label`` is what Instruments calls it.
    """

    start: float
    seconds: float
    label: str
    kernel: str | None = None


@dataclass(frozen=True)
class GpuIntervals:
    """What `record_gpu_intervals` found, in order of start.

    ``dispatches`` is how many kernels were dispatched while the trace ran. An isolated dispatch is
    one encoder, so there should be as many intervals; ``is_matched`` says whether there are, and
    only then do the intervals carry kernel names.
    """

    intervals: tuple[GpuInterval, ...]
    dispatches: int
    trace: Path | None

    @property
    def is_matched(self) -> bool:
        """Whether there is exactly one interval per dispatch."""
        return len(self.intervals) == self.dispatches

    def median(self, kernel: str) -> float:
        """The median seconds of a kernel's intervals.

        Raises:
            Error: ``no-such-kernel``, also where intervals and dispatches do not match.
        """
        seconds = [each.seconds for each in self.intervals if each.kernel == kernel]
        if not seconds:
            reason = (
                f"{len(self.intervals)} intervals do not match {self.dispatches} dispatches"
                if not self.is_matched
                else "it was not dispatched"
            )
            raise Error("no-such-kernel", f"no interval belongs to kernel '{kernel}': {reason}")
        return statistics.median(seconds)


def _find_xctrace() -> list[str]:
    """The command that runs xctrace."""
    direct = shutil.which("xctrace")
    if direct is not None:
        return [direct]
    xcrun = shutil.which("xcrun")
    reason = "there is neither xctrace nor xcrun on the PATH"
    if xcrun is not None:
        found = subprocess.run(
            [xcrun, "--find", "xctrace"], capture_output=True, text=True, timeout=60
        )
        if found.returncode == 0 and found.stdout.strip():
            return [found.stdout.strip()]
        reason = "xcrun does not find it: " + (found.stderr.strip() or "no reason given")
    raise Error(
        "xctrace-missing",
        f"GPU intervals need Apple's xctrace; {reason}",
        "It comes with Xcode, not with the command-line tools: install Xcode and select it with "
        "xcode-select.",
    )


def _lines(stream: IO[str], into: queue.Queue[str | None]) -> None:
    for line in stream:
        into.put(line.rstrip("\n"))
    into.put(None)


class _Recording:
    """A running `xctrace record` that is attached to this process."""

    def __init__(self, xctrace: list[str], trace: Path) -> None:
        command = [*xctrace, "record", "--template", TEMPLATE, "--attach", str(os.getpid())]
        self._process = subprocess.Popen(
            [*command, "--output", str(trace), "--no-prompt"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a Ctrl-C at the terminal is ours to pass on
        )
        assert self._process.stdout is not None
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._said: list[str] = []
        self._reader = threading.Thread(
            target=_lines, args=(self._process.stdout, self._queue), daemon=True
        )
        self._reader.start()

    def _next(self, seconds: float) -> str | None:
        line = self._queue.get(timeout=max(seconds, 0.01))
        if line is not None:
            self._said.append(line)
        return line

    def _failed(self, what: str) -> Error:
        said = "\n".join(self._said[-6:]) or "nothing"
        return Error("xctrace-failed", f"xctrace {what}; it said:\n{said}")

    def wait_for_start(self) -> None:
        """Returns once the recording runs, which xctrace announces by saying how to stop it."""
        announced = None
        end = time.monotonic() + START_TIMEOUT
        while True:
            until = end if announced is None else min(end, announced + START_GRACE)
            try:
                line = self._next(until - time.monotonic())
            except queue.Empty:
                if announced is not None:
                    return  # it says that it starts, and in this version no more than that
                raise self._failed(f"did not start to record in {START_TIMEOUT:g} s") from None
            if line is None:
                raise self._failed("ended before it had started to record")
            if "ctrl-c to stop" in line.lower():
                return
            if "starting recording" in line.lower():
                announced = time.monotonic()

    def stop(self) -> None:
        """Ends the recording and waits for the file."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise self._failed(f"did not finish its file in {STOP_TIMEOUT:g} s") from None
        self._reader.join(5)
        while not self._queue.empty():
            self._next(1)
        if code != 0:
            raise self._failed(f"ended with status {code}")

    def close(self) -> None:
        """Makes sure that nothing is left running."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()


def _export(xctrace: list[str], trace: Path, into: Path) -> None:
    query = f'/trace-toc/run[@number="1"]/data/table[@schema="{SCHEMA}"]'
    done = subprocess.run(
        [*xctrace, "export", "--input", str(trace), "--output", str(into), "--xpath", query],
        capture_output=True,
        text=True,
        timeout=STOP_TIMEOUT,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or "nothing"
        raise Error(
            "xctrace-failed",
            f"xctrace export ended with status {done.returncode}; it said:\n{said}",
        )


def _text(row: Row, column: str) -> str | None:
    cell = row.get(column)
    return None if cell is None else cell.text


def _intervals(table: Path, pid: int) -> Iterator[tuple[tuple[str | None, ...], int, int, str]]:
    """(encoder, start, end in nanoseconds, label) of each compute row of process `pid`."""
    for row in TableReader(table, SCHEMA).rows():
        missing = {"start", "duration", "process"} - row.keys()
        if missing:
            raise Error(
                "unreadable-trace",
                f"{table}: the table {SCHEMA} has no column {', '.join(sorted(missing))}; "
                f"it has {', '.join(row)}",
            )
        process = row["process"].part("pid")
        if process is None or process.text != str(pid):
            continue
        if _text(row, "channel-name") not in (None, "Compute"):
            continue
        if _text(row, "state") not in (None, "Active"):
            continue
        try:
            start = int(row["start"].text)
            end = start + int(row["duration"].text)
        except ValueError:
            raise Error("unreadable-trace", f"{table}: a start or duration is no number") from None
        encoder = (_text(row, "cmdbuffer-id"), _text(row, "encoder-id"))
        yield encoder, start, end, _text(row, "event-label") or ""


def read_gpu_intervals(table: str | os.PathLike[str], pid: int) -> tuple[GpuInterval, ...]:
    """The compute intervals of process `pid` in a table exported from a Metal System Trace.

    Rows of one encoder are nested or cut by the system; they are put together into one interval.

    Args:
        table: The XML of ``xctrace export`` for the schema metal-gpu-intervals.
        pid: The process.

    Raises:
        Error: ``unreadable-trace``.
    """
    found: dict[object, tuple[int, int, str]] = {}
    for number, (encoder, start, end, label) in enumerate(_intervals(Path(table), pid)):
        key: object = number if None in encoder else encoder
        first, last, name = found.get(key, (start, end, label))
        found[key] = (min(first, start), max(last, end), name)
    return tuple(
        GpuInterval(start * 1e-9, (end - start) * 1e-9, label)
        for start, end, label in sorted(found.values())
    )


def record_gpu_intervals(
    function: Callable[[], object], *, trace: str | os.PathLike[str] | None = None
) -> GpuIntervals:
    """Calls `function` while Instruments records this process, and reads the GPU's intervals.

    It attaches ``xctrace record --template 'Metal System Trace'`` to this process, waits until that
    records, calls `function` once, stops the recording and exports it. The intervals are those of
    the compute encoders of this process; an isolated dispatch is one encoder. The clock is
    Instruments', so they are a check on `Kernel.time`, which reads the command buffer's own.

    Args:
        function: Dispatches kernels. Warm them up before.
        trace: Where the ``.trace`` is kept, to be opened with Instruments; nothing is there yet. If
            it is missing, it is deleted.

    Raises:
        Error: ``xctrace-missing``, ``xctrace-failed``, ``unreadable-trace``; ``no-gpu-intervals``
            if the trace has none of this process, which some systems are known to do.
    """
    xctrace = _find_xctrace()
    kept = None if trace is None else Path(trace).absolute()
    if kept is not None and kept.exists():
        raise Error("capture-path", f"{kept}: exists already; xctrace writes to a new path")
    with tempfile.TemporaryDirectory(prefix="metalwright-trace-") as folder:
        target = kept or Path(folder) / "intervals.trace"
        recording = _Recording(xctrace, target)
        try:
            recording.wait_for_start()
            with record() as dispatched:
                function()
            recording.stop()
        finally:
            recording.close()
        table = Path(folder) / "intervals.xml"
        _export(xctrace, target, table)
        intervals = read_gpu_intervals(table, os.getpid())
    if not intervals:
        raise Error(
            "no-gpu-intervals",
            f"the trace has no compute intervals of this process, though {len(dispatched)} kernels "
            "were dispatched while it ran",
            "Some systems record none. Times from Kernel.time do not depend on it.",
        )
    if len(intervals) == len(dispatched):
        intervals = tuple(
            GpuInterval(each.start, each.seconds, each.label, entry.kernel.name)
            for each, entry in zip(intervals, dispatched, strict=True)
        )
    return GpuIntervals(intervals, len(dispatched), kept)
