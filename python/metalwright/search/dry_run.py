"""The dry run of a suite: which problems can run on the device, and at what sizes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from metalwright.errors import Error
from metalwright.evaluation import Judge, Settings
from metalwright.evaluation.folder import exchange_folder
from metalwright.evaluation.judge import problem_error
from metalwright.evaluation.process import WorkerProcess
from metalwright.evaluation.session import problem_failures
from metalwright.problems import BrokenProblem, Problem
from metalwright.problems.benchmark import replace_constants
from metalwright.runs.journal import Journal
from metalwright.runs.store import RunStore
from metalwright.search.facts import ProblemFacts

_SERVICE = "metalwright.search.suite_service:SuiteService"
# The preset's aim: what a CPU does in some ten milliseconds, so that timing takes many calls.
SCALES = {"cpu": (16 << 20, 200_000_000)}
_SHRINK_SECONDS = 60.0

Progress = Callable[[str, str], None]
"""Is told the problem's name and what is being done."""


@dataclass
class Scaled:
    """The problems of a suite at the sizes of a preset."""

    problems: list[Problem | BrokenProblem] = field(default_factory=list)
    original: dict[str, dict[str, str]] = field(default_factory=dict)
    """The values that were replaced, by problem and constant."""
    not_shrunk: dict[str, str] = field(default_factory=dict)
    """Problems that are larger than the preset wants, with the reason."""


class Looker:
    """Looks at problems in a worker that is used for many of them. A context manager.

    A problem that fails in a worker that has run others is tried once more in a fresh one: what
    another problem's file has left behind (a default dtype, used memory) is not its fault.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._judge = Judge(settings)
        self._stack = contextlib.ExitStack()
        self._worker: WorkerProcess | None = None
        self._folder = Path()
        self._fresh = False

    def __enter__(self) -> Looker:
        self._judge.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._judge.__exit__(kind, error, trace)

    def facts(self, problem: Problem) -> ProblemFacts:
        """Runs the problem's module once on the device.

        Raises:
            Error: ``problem-*``: it cannot run there, and why.
        """
        device = self._settings.device
        said = self._ask(problem, "facts", "the problem is traced", 0.0, device=device)
        return ProblemFacts.model_validate(said)

    def shrink(self, problem: Problem, scale: str) -> tuple[Problem, str]:
        """The problem at the sizes of a preset, and why it is larger than that, if it is.

        Raises:
            Error: ``problem-*``.
        """
        most_bytes, flops = SCALES[scale]
        said = self._ask(
            problem,
            "shrink",
            "smaller sizes are sought",
            _SHRINK_SECONDS,
            bytes=most_bytes,
            flops=flops,
            seconds=_SHRINK_SECONDS,
        )
        return replace_constants(problem, dict(said["overrides"])), str(said["reason"])

    def _ask(
        self, problem: Problem, command: str, doing: str, more_seconds: float, **arguments: Any
    ) -> Any:
        while True:
            worker = self._start()
            fresh, self._fresh = self._fresh, False
            place = Path(tempfile.mkdtemp(dir=self._folder))
            problem.write(place / "problem")
            try:
                with problem_failures(problem, doing, self._settings):
                    return worker.request(
                        command,
                        self._settings.deadline + more_seconds,
                        doing,
                        folder=str(place / "problem"),
                        **arguments,
                    )
            except Error:
                self._stop()
                if fresh:
                    raise

    def _start(self) -> WorkerProcess:
        if self._worker is None:
            self._folder = self._stack.enter_context(exchange_folder())
            self._worker = self._stack.enter_context(self._judge.worker(_SERVICE, self._folder))
            self._fresh = True
        return self._worker

    def _stop(self) -> None:
        self._stack.close()
        self._worker = None


def scale_problems(
    looker: Looker, problems: Sequence[Problem | BrokenProblem], scale: str, progress: Progress
) -> Scaled:
    """The problems at the sizes of a preset. One that cannot be looked at stays as it is."""
    scaled = Scaled()
    for problem in problems:
        result: Problem | BrokenProblem = problem
        if isinstance(problem, Problem):
            progress(problem.name, "finding smaller sizes")
            try:
                result, reason = looker.shrink(problem, scale)
            except Error as error:
                reason = error.message
            if reason:
                scaled.not_shrunk[problem.name] = reason
            own = {
                name: text
                for name, text in problem.constants.items()
                if isinstance(result, Problem)
                and result.constants.get(name) != text
                and name in result.overrides
            }
            if own:
                scaled.original[problem.name] = own
        scaled.problems.append(result)
    return scaled


def dry_run(
    looker: Looker, store: RunStore, journal: Journal, progress: Progress
) -> dict[str, str]:
    """Runs each open problem's module once; what cannot run is recorded as such and finished.

    What is learnt of the others is kept, so that the search does not look again. Returns the
    problems that cannot run, with the reason. It may be interrupted: the search does the rest.
    """
    failed = {}
    with journal.session():
        for name in store.config.problems:
            if journal.state(name)[0] == "finished" or journal.facts(name) is not None:
                continue
            progress(name, "dry run")
            problem = store.problem(name)
            try:
                journal.set_facts(name, looker.facts(problem).model_dump_json())
            except Error as error:
                failed[name] = error.message
                record_unrunnable(store, journal, problem, error)
    return failed


def record_unrunnable(store: RunStore, journal: Journal, problem: Problem, error: Error) -> None:
    """Keeps that a problem cannot run, as the search would."""
    evaluation = problem_error(problem, error, store.config.settings, store.config.device)
    attempt = journal.add_attempt(
        problem.name, "problem", None, evaluation, model="", kind="problem"
    )
    store.add_attempt(problem.name, None, evaluation, attempt.number)
    journal.set_state(problem.name, "finished", error.message)
