"""Making a run: its folder, its entry in the store, and the problems that are none."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metalwright.evaluation import Settings
    from metalwright.problems import BrokenProblem, Problem
    from metalwright.runs import RunStore
    from metalwright.runs.journal import Journal
    from metalwright.runs.suite_record import SuiteRecord
    from metalwright.search.settings import SearchSettings


def make_run(
    name: str,
    problems: Sequence[Problem | BrokenProblem],
    settings: Settings,
    search: SearchSettings,
    output: Path,
    *,
    overrides: Mapping[str, str] | None = None,
    suite: SuiteRecord | None = None,
) -> RunStore:
    """Makes the folder and the record of a run on `problems`.

    Raises:
        Error: ``no-such-device``, ``unwritable-run``, ``no-run-store``.
    """
    from metalwright.evaluation.judge import describe_device
    from metalwright.problems import BrokenProblem
    from metalwright.runs import RunConfig, RunStore, describe_machine
    from metalwright.runs.environment import describe_environment
    from metalwright.runs.journal import Journal
    from metalwright.runs.machine import describe_versions

    plain = search.model_dump(mode="json")
    config = RunConfig(
        name=name,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        generator=", ".join(search.models) or "inductor",
        settings=settings,
        overrides=dict(overrides or {}),
        problems=tuple(problem.name for problem in problems),
        device=describe_device(settings.device),
        machine=describe_machine(),
        versions=describe_versions(),
        search=plain,
        suite=suite,
        environment=describe_environment(settings.device, plain),
    )
    store = RunStore.create(output, config, [_as_problem(problem) for problem in problems])
    journal = Journal.create(
        store.folder, config.name, config.created, config.model_dump_json(), list(config.problems)
    )
    for problem in problems:
        if isinstance(problem, BrokenProblem):
            _record_broken(store, journal, problem)
    return store


def _as_problem(problem: Problem | BrokenProblem) -> Problem:
    from metalwright.problems import Problem

    if isinstance(problem, Problem):
        return problem
    # Kept for the page: the text as it is, if it can be read at all.
    try:
        source = Path(problem.path).read_text("utf-8", "replace")
    except OSError:
        source = ""
    return Problem(name=problem.name, source=source, path=problem.path)


def _record_broken(store: RunStore, journal: Journal, problem: BrokenProblem) -> None:
    from metalwright.evaluation.judge import problem_error

    evaluation = problem_error(
        _as_problem(problem), problem.error, store.config.settings, store.config.device
    )
    attempt = journal.add_attempt(
        problem.name, "problem", None, evaluation, model="", kind="problem"
    )
    store.add_attempt(problem.name, None, evaluation, attempt.number)
    journal.set_state(problem.name, "finished", problem.error.message)
