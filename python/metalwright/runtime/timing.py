"""Timing kernels and functions on the device clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from metalwright import _native
from metalwright.errors import Error
from metalwright.runtime.conditions import Conditions, Observer
from metalwright.runtime.kernel import Kernel
from metalwright.runtime.recording import record
from metalwright.runtime.stream import stream_order

# Runs are given to the device in batches of about this long, so that a deadline or Ctrl-C between
# two batches is never far away. Where the clock reads once per batch (Metal: GPUStartTime and
# GPUEndTime of a command buffer, in steps of some 42 ns) a batch of 1 to 5 ms would do, too.
BATCH_SECONDS = 0.01
# A batch is at most this many times the one before: the first run is cold, and on a clock with
# coarse steps it may seem to take no time at all.
BATCH_GROWTH = 16
MAX_BATCH = 100_000


@dataclass(frozen=True)
class Timing:
    """What `Kernel.time` measured. All times are seconds on the device clock.

    ``median`` and ``spread`` (the distance between the quartiles) are of ``runs``. Each of ``runs``
    is the mean of ``repeats_per_run`` runs in a row: one on devices that time every run, more where
    the clock reads once per batch. ``overhead`` is the median of a dispatch that does nothing: what
    remains if the work is taken away. It is not subtracted from the others.

    ``copied_bytes`` and ``copy_seconds`` are what one dispatch, however many runs it has, copied
    between host and device because an argument's memory could not be bound where it lay; they are
    no part of ``runs``.
    """

    median: float
    spread: float
    runs: tuple[float, ...]
    repeats_per_run: int
    overhead: float
    copied_bytes: int
    copy_seconds: float
    conditions: Conditions

    @property
    def device(self) -> str:
        """The name of the device, such as "Apple M2"."""
        return self.conditions.name

    @property
    def clock(self) -> str:
        """What the times are read from."""
        return self.conditions.clock

    def __str__(self) -> str:
        figure = f"{self.median * 1e6:.2f} us +- {self.spread * 1e6:.2f} us"
        each = f" of {self.repeats_per_run}" if self.repeats_per_run > 1 else ""
        copied = f", {self.copied_bytes} bytes copied beside" if self.copied_bytes else ""
        return f"{figure} ({self.device}, {len(self.runs)} runs{each}{copied})"


@dataclass(frozen=True)
class BenchmarkResult:
    """What `benchmark` measured, in seconds per call of the function.

    ``median`` and ``spread`` (the distance between the quartiles) are the device seconds of all
    kernels dispatched in a call; both are None if it dispatched none, or some without a time (in
    torch's stream). ``wall_median`` and ``wall_spread`` are what the caller waited. ``dispatches``
    counts kernels per call. ``conditions`` has an entry per device that ran a kernel.
    """

    median: float | None
    spread: float | None
    wall_median: float
    wall_spread: float
    dispatches: float
    repeats: int
    calls_per_repeat: int
    conditions: tuple[Conditions, ...]

    @property
    def clock(self) -> str:
        """What the device seconds are read from."""
        return ", ".join(sorted({each.clock for each in self.conditions})) or "none"

    def __str__(self) -> str:
        nothing = "no device time" if self.dispatches else "no kernels"
        device = nothing if self.median is None else f"device {self.median * 1e6:.2f} us"
        return f"{device}, wall {self.wall_median * 1e6:.2f} us +- {self.wall_spread * 1e6:.2f} us"


def interquartile_range(values: Sequence[float]) -> float:
    """The distance between the quartiles; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return upper - lower


class _Batches:
    """Dispatches a kernel in batches, each long enough for the device clock to be read well."""

    def __init__(self, kernel: Kernel, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = (kernel, args, kwargs)
        self._size = 1
        self._one = BATCH_SECONDS

    def run(self, most: int = MAX_BATCH) -> _native.Timing:
        """The next batch, of at most `most` runs."""
        kernel, args, kwargs = self._call
        wanted = int(BATCH_SECONDS / self._one)
        self._size = max(1, min(wanted, self._size * BATCH_GROWTH, MAX_BATCH, most))
        timing = kernel.run(self._size, *args, **kwargs)
        if not timing.runs:
            raise Error(
                "no-device-time",
                f"kernel '{kernel.name}' ran, but the clock of the device {kernel.device} gave no "
                "time for it",
                "`metalwright selftest` shows what the device's clock gives.",
            )
        self._one = max(statistics.median(timing.runs), 1e-7)
        return timing

    @property
    def is_grown(self) -> bool:
        """Whether batches have the length they are to have."""
        return self._size * self._one >= BATCH_SECONDS / 2 or self._size == MAX_BATCH


def time_kernel(
    kernel: Kernel, *args: Any, repeats: int = 50, warmup: float = 0.1, **kwargs: Any
) -> Timing:
    """Runs a kernel again and again on the same arguments.

    First the load that warms up caches, clocks and threads: the kernel is run until `warmup`
    seconds have passed, at least once. Then `repeats` figures are taken. On a device that times
    every run (cpu) each is one run. Where the clock reads once per batch (Metal, one encoder in one
    command buffer) each is the mean over a batch of about `BATCH_SECONDS`. Each run finds the
    memory as the run before left it, and the arguments are warm in the caches if they fit.

    The order is "isolated" whatever `stream_order` says: in torch's stream there is no time to
    read.

    Raises:
        Error: ``bad-option``, ``no-device-time``, and whatever the call itself raises.
    """
    if repeats < 1 or warmup < 0:
        raise Error("bad-option", "time() takes repeats >= 1 and warmup >= 0")
    batches = _Batches(kernel, args, kwargs)
    with stream_order("isolated"):
        observer = Observer(kernel.device)
        end = time.perf_counter() + warmup
        timing = batches.run()
        while time.perf_counter() < end:
            timing = batches.run()
        # One run says nothing about how the device groups them.
        if not batches.is_grown:
            timing = batches.run()
        grouped = timing.repeats_per_run > 1
        while grouped and not batches.is_grown:
            timing = batches.run()
        timed: list[_native.Timing] = []
        count = 0
        while count < repeats:
            timed.append(batches.run(MAX_BATCH if grouped else repeats - count))
            count += len(timed[-1].runs)
        conditions = observer.conditions(kernel.options)
    runs = [seconds for timing in timed for seconds in timing.runs]
    return Timing(
        median=statistics.median(runs),
        spread=interquartile_range(runs),
        runs=tuple(runs),
        repeats_per_run=round(statistics.median(timing.repeats_per_run for timing in timed)),
        overhead=_native.empty_dispatch_seconds(kernel.device),
        copied_bytes=max(timing.copied_bytes for timing in timed),
        copy_seconds=statistics.median(timing.copy_seconds for timing in timed),
        conditions=conditions,
    )


def benchmark(
    function: Callable[[], object],
    *,
    warmup: float = 0.2,
    repeats: int = 30,
    min_time: float = 0.001,
) -> BenchmarkResult:
    """Times a function that dispatches kernels, on the device clock and on the wall.

    The function is called until `warmup` seconds have passed, at least once. Then come `repeats`
    samples. A sample calls it as often as it takes to last `min_time` seconds (decided once, from
    the last warm-up call) and is divided by that number; its device seconds are the sum over every
    kernel that was dispatched in it, on any thread, and its wall seconds those of
    ``time.perf_counter``. The figures are the median of the samples and the distance between their
    quartiles.

    Raises:
        Error: ``bad-option``, and whatever the function raises.
    """
    if repeats < 1 or warmup < 0 or min_time < 0:
        raise Error("bad-option", "benchmark() takes repeats >= 1, warmup >= 0 and min_time >= 0")
    end = time.perf_counter() + warmup
    while True:
        begin = time.perf_counter()
        function()
        now = time.perf_counter()
        if now >= end:
            break
    calls = max(1, min(int(min_time / max(now - begin, 1e-9)), 1_000_000))
    observers = {info.kind: Observer(info.kind) for info in _native.devices()}
    device: list[float] = []
    wall: list[float] = []
    dispatches = untimed = 0
    used: dict[str, None] = {}  # in the order of their first dispatch
    for _ in range(repeats):
        with record() as recording:
            begin = time.perf_counter()
            for _ in range(calls):
                function()
            wall.append((time.perf_counter() - begin) / calls)
        dispatches += len(recording)
        untimed += recording.untimed
        device.append(recording.seconds / calls)
        used.update(dict.fromkeys(entry.kernel.device for entry in recording))
    has_time = dispatches > 0 and untimed == 0
    return BenchmarkResult(
        median=statistics.median(device) if has_time else None,
        spread=interquartile_range(device) if has_time else None,
        wall_median=statistics.median(wall),
        wall_spread=interquartile_range(wall),
        dispatches=dispatches / (repeats * calls),
        repeats=repeats,
        calls_per_repeat=calls,
        conditions=tuple(observers.get(kind, Observer(kind)).conditions() for kind in used),
    )
