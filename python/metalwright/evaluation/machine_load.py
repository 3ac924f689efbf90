"""How much of the machine other programs use while something is timed.

What slows a machine down lasts longer than a pair of blocks, so neighbouring ratios agree with each
other and not with the truth: the interval alone does not show it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
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
        if after is None or before is None or after[0] <= before[0]:
            return None
        capacity = (after[0] - before[0]) * after[3]
        return max(0.0, ((after[1] - before[1]) - (after[2] - before[2])) / capacity)

    def _now(self) -> tuple[float, float, float, int] | None:
        """Wall seconds, busy seconds of the cores, our own CPU seconds, number of cores."""
        busy = _busy_seconds()
        if busy is None:
            return None
        own = time.process_time() + sum(seconds() for seconds in self._sessions)
        return time.perf_counter(), busy[0], own, busy[1]


def _busy_seconds() -> tuple[float, int] | None:
    if not hasattr(os, "sched_getaffinity"):
        return None
    mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    try:
        lines = Path("/proc/stat").read_text("ascii").splitlines()
    except OSError:
        return None
    ticks, cores = 0, 0
    for name, *fields in map(str.split, lines):
        if name in mine:
            # The guests' columns after steal are counted in user and nice already.
            used = [int(field) for field in fields[: _STEAL + 1]]
            ticks += sum(used) - used[_IDLE] - used[_IOWAIT]
            cores += 1
    return (ticks / os.sysconf("SC_CLK_TCK"), cores) if cores else None
