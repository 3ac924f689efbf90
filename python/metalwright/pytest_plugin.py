"""pytest-benchmark on the device clock: the fixture `device_benchmark`.

Loaded by pytest through its entry point wherever metalwright is installed. It imports neither the
native half nor pytest-benchmark; the fixture does when it is used.

    def test_softmax(device_benchmark):
        device_benchmark(kernel, x, out, threads=n)

The figures in pytest-benchmark's table, in ``--benchmark-json`` and behind ``--benchmark-compare``
are then device seconds per call: the sum over every kernel that the call dispatched.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from metalwright.runtime import Conditions, DeviceClock

Result = TypeVar("Result")

# A round is to last so many device seconds: enough for clocks that tick in steps of 42 ns, and for
# the wake-up of a device not to count.
ROUND_SECONDS = 0.001
WARMUP_SECONDS = 0.2
MAX_ROUNDS = 10_000

_conditions = pytest.StashKey[dict[str, "Conditions"]]()


class DeviceBenchmark:
    """What the fixture gives: called with a function and its arguments, it times it."""

    def __init__(self, benchmark: Any, clock: DeviceClock, config: pytest.Config) -> None:
        self._benchmark = benchmark
        self._clock = clock
        self._config = config

    @property
    def extra_info(self) -> dict[str, Any]:
        """What goes into the JSON beside the times, as in pytest-benchmark."""
        extra: dict[str, Any] = self._benchmark.extra_info
        return extra

    @property
    def stats(self) -> Any:
        """pytest-benchmark's statistics, in device seconds per call."""
        return self._benchmark.stats

    def __call__(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Times ``function(*args, **kwargs)`` and returns what its last call returned.

        The function is called for `WARMUP_SECONDS` first. A round calls it often enough to last
        ``--benchmark-min-time`` and `ROUND_SECONDS` on the device; rounds go on for
        ``--benchmark-max-time`` seconds on the wall, and there are at least
        ``--benchmark-min-rounds``.

        Raises:
            Error: ``no-device-time`` if the function dispatches no kernel, or one without a time.
        """
        if self._benchmark.disabled:
            return function(*args, **kwargs)
        wall, device = self._warm_up(lambda: function(*args, **kwargs))
        option = self._config.getoption
        least = max(float(option("benchmark_min_time")), ROUND_SECONDS)
        iterations = max(1, math.ceil(least / device))
        rounds = max(
            int(option("benchmark_min_rounds")),
            min(MAX_ROUNDS, int(float(option("benchmark_max_time")) / (wall * iterations))),
        )
        before = self._clock.dispatches
        result: Result = self._benchmark.pedantic(
            function, args=args, kwargs=kwargs, rounds=rounds, iterations=iterations
        )
        self._clock()
        self._note((self._clock.dispatches - before) / self._calls(rounds, iterations), wall)
        return result

    @staticmethod
    def _calls(rounds: int, iterations: int) -> int:
        # pytest-benchmark calls the function once more for its result if a round has several calls.
        return rounds * iterations + (iterations > 1)

    def _warm_up(self, call: Callable[[], object]) -> tuple[float, float]:
        """Wall and device seconds of one call, of the later half of the warm-up."""
        from metalwright.errors import Error

        end = time.perf_counter() + WARMUP_SECONDS
        samples: list[tuple[float, float]] = []
        while not samples or time.perf_counter() < end:
            wall, device = time.perf_counter(), self._clock()
            call()
            samples.append((time.perf_counter() - wall, self._clock() - device))
        if self._clock.dispatches == 0 or max(device for _, device in samples) <= 0:
            raise Error(
                "no-device-time",
                "the function dispatched no kernel, so there is no device time",
                "Use pytest-benchmark's own fixture, `benchmark`, for what runs on the host.",
            )
        samples = samples[len(samples) // 2 :]
        walls, devices = zip(*samples, strict=True)
        return sorted(walls)[len(walls) // 2], max(sorted(devices)[len(devices) // 2], 1e-8)

    def _note(self, dispatches: float, wall: float) -> None:
        conditions = {each.kind: each for each in self._clock.conditions()}
        self._config.stash[_conditions].update(conditions)
        self.extra_info["metalwright"] = {
            "devices": list(conditions),
            "clock": [each.clock for each in conditions.values()],
            "thermal_state": [each.thermal_state for each in conditions.values()],
            "dispatches_per_call": dispatches,
            "wall_seconds_per_call": wall,
        }


@pytest.fixture
def device_benchmark(request: pytest.FixtureRequest) -> Iterator[DeviceBenchmark]:
    """pytest-benchmark's `benchmark`, timing on the device clock instead of the wall clock.

    Raises:
        pytest.UsageError: pytest-benchmark is not there.
    """
    if not request.config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(
            "the fixture device_benchmark needs pytest-benchmark: pip install pytest-benchmark"
        )
    from metalwright.runtime import DeviceClock

    request.config.stash.setdefault(_conditions, {})
    clock = DeviceClock()
    try:
        # The marker is pytest-benchmark's way to choose a timer; it reads it when the fixture is
        # made.
        request.node.add_marker(pytest.mark.benchmark(timer=clock))
        yield DeviceBenchmark(request.getfixturevalue("benchmark"), clock, request.config)
    finally:
        clock.close()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Adds the devices that were timed, and the state that they were in."""
    conditions = config.stash.get(_conditions, {})
    if conditions:
        machine_info["metalwright"] = {
            kind: {
                name: value
                for name, value in each.as_dict().items()
                if not name.startswith(("math_", "language_"))  # of a kernel, not of the machine
            }
            for kind, each in sorted(conditions.items())
        }
