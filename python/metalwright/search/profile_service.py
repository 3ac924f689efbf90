"""The worker that says which of a candidate's kernels takes how long. All of it is a claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from metalwright.errors import Error
from metalwright.evaluation.candidate_service import CandidateService
from metalwright.evaluation.service import to_device
from metalwright.problems.loading import set_seed
from metalwright.problems.problem import Problem
from metalwright.runtime import record, record_gpu_intervals
from metalwright.runtime.recording import DispatchRecord, Recording

_CALLS = 5


class ProfileService(CandidateService):
    """Runs the problem's own inputs through the candidate."""

    def command_profile(self, folder: str, path: str, device: str) -> dict[str, Any]:
        """Kernels, longest first, with dispatches and device seconds per call and their launch.

        On a Metal device also what a Metal System Trace shows of the same calls.
        """
        self.command_load(path, device)
        problem = Problem.read(Path(folder)).load()
        module = self.construct(problem.init_inputs(0), 0).to(self._device)
        inputs = to_device(problem.inputs(0), self._device)

        def calls() -> None:
            for _ in range(_CALLS):
                module(*inputs)

        with torch.no_grad():
            set_seed(0)
            module(*inputs)
            with record() as recorded:
                calls()
            trace = _gpu_intervals(calls) if recorded and _on_metal(recorded) else {}
        return {"kernels": _rows(recorded), **trace}


def _rows(recorded: Recording) -> list[list[Any]]:
    """Name, dispatches and seconds per call, and how its longest dispatch was launched."""
    kernels: dict[str, list[DispatchRecord]] = {}
    for entry in recorded:
        kernels.setdefault(entry.kernel.name, []).append(entry)
    rows: list[list[Any]] = []
    for name, entries in kernels.items():
        longest = max(entries, key=lambda entry: entry.seconds or 0.0)
        rows.append(
            [
                name,
                len(entries) / _CALLS,
                sum(entry.seconds or 0.0 for entry in entries) / _CALLS,
                list(longest.grid),
                list(longest.group_size),
                longest.threadgroup_memory,
                longest.kernel.max_threads_per_threadgroup,
            ]
        )
    return sorted(rows, key=lambda row: -float(row[2]))


def _on_metal(recorded: Recording) -> bool:
    return all(entry.kernel.device == "metal" for entry in recorded)


def _gpu_intervals(calls: Callable[[], None]) -> dict[str, Any]:
    """What Instruments saw of the calls on the GPU; the reason where it saw nothing."""
    try:
        found = record_gpu_intervals(calls)
    except (Error, OSError) as error:  # the sandbox may not let it be started
        return {"gpu": {"reason": str(error)}}
    ends = [each.start + each.seconds for each in found.intervals]
    names = {each.kernel for each in found.intervals if each.kernel}
    return {
        "gpu": {
            "intervals": len(found.intervals) / _CALLS,
            "busy": sum(each.seconds for each in found.intervals) / _CALLS,
            "span": (max(ends) - found.intervals[0].start) / _CALLS,
            "medians": {name: found.median(name) for name in names},
        }
    }
