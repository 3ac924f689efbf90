"""How much of the machine other programs use while something is timed.

What slows a machine down lasts longer than a pair of blocks, so neighbouring ratios agree with each
other and not with the truth: the interval alone does not show it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Fields of a line of /proc/stat after its name: user nice system idle iowait irq softirq steal.
_IDLE, _IOWAIT, _STEAL = 3, 4, 7


class MachineLoad:
    """Watches the cores that this process may use. `sessions` gives the CPU seconds of our workers.

    torch and our own thread pool use all of those cores, so whatever another program takes of them
    it takes from what is being timed. The time that a hypervisor steals counts as well.
    """

    def __init__(self, sessions: Sequence[Callable[[], float]]) -> None:
        self._sessions = sessions
        self._before = self._now()

    def start(self) -> None:
        """Begins to watch; what was before does not count."""
        self._before = self._now()

    def others(self) -> float | None:
        """The share of the cores that others have used since `start`; None if it is not known."""
        after, before = self._now(), self._before
        if after is None or before is None or after.wall <= before.wall:
            return None
        capacity = (after.wall - before.wall) * after.cores
        # Busy time is counted by the tick, which short work evades; idle time is exact, but stands
        # still on systems that do not keep it. What is neither idle nor ours was somebody else's.
        busy = max(after.busy - before.busy, min(capacity - (after.idle - before.idle), capacity))
        if after.idle == before.idle and after.busy == before.busy:
            busy = 0.0
        return max(0.0, (busy - (after.own - before.own)) / capacity)

    def _now(self) -> _Account | None:
        found = _busy_seconds()
        if found is None:
            return None
        own = time.process_time() + sum(seconds() for seconds in self._sessions)
        return _Account(time.perf_counter(), own, *found)


@dataclass(frozen=True)
class _Account:
    """Seconds so far: of the clock, of our own work, of all cores busy and idle."""

    wall: float
    own: float
    busy: float
    idle: float
    cores: int


def _busy_seconds() -> tuple[float, float, int] | None:
    """Seconds that the cores were busy, and idle, and how many there are."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    try:
        lines = Path("/proc/stat").read_text("ascii").splitlines()
    except OSError:
        return None
    busy, idle, cores = 0, 0, 0
    for name, *fields in map(str.split, lines):
        if name in mine:
            # The guests' columns after steal are counted in user and nice already.
            used = [int(field) for field in fields[: _STEAL + 1]]
            free = used[_IDLE] + used[_IOWAIT]
            busy, idle, cores = busy + sum(used) - free, idle + free, cores + 1
    second = os.sysconf("SC_CLK_TCK")
    return (busy / second, idle / second, cores) if cores else None
