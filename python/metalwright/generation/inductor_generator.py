"""The offline generator: TorchInductor's Metal back end in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from metalwright.errors import Error, user_error
from metalwright.evaluation.launcher import worker_environment
from metalwright.generation.candidate import Candidate

if TYPE_CHECKING:
    from metalwright.problems import Problem

_RESULT = "result.json"


class InductorGenerator:
    """Proposes what TorchInductor would run on a Metal device. Needs no key, network or device.

    The problem's code runs in a process of its own, with `deadline` seconds in all.
    """

    name = "inductor"

    def __init__(self, deadline: float = 300.0) -> None:
        self.deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None

    def cancel(self) -> None:
        """See `Generator`."""
        process = self._process
        if process is not None:
            _end_group(process)

    def generate(self, problem: Problem) -> Candidate:
        """Lowers the problem's module for the shapes of its inputs, and in the mode it is in.

        Raises:
            Error: ``unsupported-torch``, ``not-traceable``, ``unsupported-operator``,
                ``unsupported-dtype``, ``unsupported-result``, ``constant-too-large``: this
                generator cannot take the problem; ``problem-*``: its code raised, died or took
                longer than the deadline; ``generator-failed``.
        """
        with tempfile.TemporaryDirectory(prefix="metalwright-inductor-") as name:
            folder = Path(name)
            problem.write(folder)
            status, output = self._run(folder, problem)
            try:
                result = json.loads((folder / _RESULT).read_text("utf-8"))
            except (OSError, ValueError):
                raise _died(problem, status, output) from None
        if "error" in result:
            raise Error(**result["error"])
        candidate = result["candidate"]
        return Candidate(
            source=candidate["source"],
            kernels=candidate["kernels"],
            origin=candidate["origin"],
            notes=tuple(candidate["notes"]),
        )

    def _run(self, folder: Path, problem: Problem) -> tuple[int, str]:
        """Runs the worker; returns its exit status and what it wrote."""
        log = folder / "worker.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [sys.executable, "-m", "metalwright.generation.inductor_worker", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Its own group, so that what the problem's code starts ends with it.
                start_new_session=True,
                # The problem's code runs there, and has no use for a key.
                env={**worker_environment(), "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache")},
            ) as process,
        ):
            self._process = process
            try:
                status = process.wait(self.deadline)
            except subprocess.TimeoutExpired:
                raise user_error(
                    "problem-timeout",
                    where=problem.where,
                    doing="generating a candidate",
                    seconds=self.deadline,
                ) from None
            finally:
                self._process = None
                _end_group(process)
        return status, log.read_text("utf-8", "replace")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # nothing is left of it
        os.killpg(process.pid, signal.SIGKILL)


def _died(problem: Problem, status: int, output: str) -> Error:
    if status < 0:
        return user_error(
            "problem-crashed",
            where=problem.where,
            doing="generating a candidate",
            reason=f"signal {signal.Signals(-status).name}",
        )
    lines = [line for line in output.splitlines() if line.strip()]
    return user_error(
        "generator-failed",
        where=problem.where,
        generator="inductor",
        reason=lines[-1] if lines else f"exit status {status}",
    )
