"""Scores' raw material from run folders and the store beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metalwright.errors import Error
from metalwright.evaluation.model import SAME_SPEED, Evaluation, Flag
from metalwright.generation.candidate import Candidate
from metalwright.problems import Problem
from metalwright.problems.selection import problem_number
from metalwright.runs import RunConfig, RunStore
from metalwright.runs import tables as t
from metalwright.runs.journal import Journal
from metalwright.runs.rows import source_hash
from metalwright.runs.suite_record import SuiteProblem
from metalwright.scoring.calls import Call, calls_by_problem, usage_by_attempt, usage_by_model
from metalwright.scoring.data import (
    NOT_RUNNABLE,
    AttemptScore,
    LeftOut,
    ProblemScores,
    RunScores,
    Usage,
)

_OFFLINE = "inductor"
# Attempts with this kind record that the problem itself cannot run.
_PROBLEM = "problem"
_SAMPLE = "best-of/sample-"


def collect_run(folder: Path) -> RunScores:
    """Reads a run. Without the store (a folder that was given away) models and costs are unknown.

    Raises:
        Error: ``not-a-run``, ``newer-run``, ``no-run-store``: the store is broken.
    """
    store = RunStore.open(folder)
    try:
        journal = Journal.open(folder)
    except Error as error:
        if error.code != "no-run-store" or (folder.resolve().parent / t.STORE_FILE).exists():
            raise
        journal = None
    return collect(store, journal)


def collect(store: RunStore, journal: Journal | None) -> RunScores:
    """As `collect_run`, of a run that is open already."""
    config = store.config
    suite = config.suite
    entries = {entry.name: entry for entry in suite.problems} if suite else {}
    calls = calls_by_problem(journal) if journal is not None else {}
    problems = tuple(
        _problem(store, journal, name, entries.get(name), calls.get(name, ()))
        for name in config.problems
    )
    whole = journal.spent() if journal is not None else None
    return RunScores(
        label=store.folder.resolve().name,
        folder=str(store.folder),
        created=config.created,
        device=config.device.kind,
        device_name=config.device.name,
        problems=problems,
        excluded=tuple(LeftOut(e.name, e.reason, e.level) for e in suite.excluded) if suite else (),
        suite=suite.source if suite else "",
        suite_total=suite.total if suite else len(problems),
        selection=suite.selection if suite else "",
        scale=suite.scale if suite else "",
        not_shrunk=dict(suite.not_shrunk) if suite else {},
        strategy=_strategy(config),
        models=_models(config, problems),
        settings=_settings(config),
        environment=_environment(config),
        usage=Usage(
            whole.calls,
            whole.tokens,
            None if whole.unpriced_calls else whole.money,
            whole.seconds,
        )
        if whole is not None
        else Usage(money=None),
        repeats=suite.repeats if suite else "",
    )


def attempt_score(
    number: int,
    model: str,
    kind: str,
    evaluation: Evaluation,
    parents: Sequence[int] = (),
    slot: str = "",
    candidate: Candidate | None = None,
    asked: Usage | None = None,
) -> AttemptScore:
    """One attempt's figures from its evaluation."""
    timing = evaluation.timing
    noisy = Flag.NOISY_TIMING in evaluation.flags
    if timing is None or not evaluation.rankable or noisy:
        ratio = None
    else:
        # The headline is against the fastest correct baseline, eager where there is no other.
        ratio = timing.speedup or timing.ratio
    return AttemptScore(
        number=number,
        model=model,
        kind=kind,
        verdict=evaluation.verdict.value,
        flags=tuple(flag.value for flag in evaluation.flags),
        parents=tuple(parents),
        ratio=ratio.median if ratio else None,
        low=ratio.low if ratio else None,
        high=ratio.high if ratio else None,
        baseline=timing.best_baseline if timing else "eager",
        ratio_to_eager=timing.ratio.median if timing and ratio else None,
        baseline_seconds=timing.baseline_seconds.median if timing else None,
        candidate_seconds=timing.candidate_seconds.median if timing else None,
        faster=ratio is not None and ratio.low > SAME_SPEED,
        independent=slot.startswith(_SAMPLE),
        candidate_hash=source_hash(candidate.source) if candidate is not None else "",
        seconds=evaluation.seconds,
        asked=asked,
    )


def _problem(
    store: RunStore,
    journal: Journal | None,
    name: str,
    entry: SuiteProblem | None,
    calls: Sequence[Call],
) -> ProblemScores:
    problem = store.problem(name)
    attempts: list[AttemptScore] = []
    failure = ""
    if journal is not None:
        state, reason, winner = journal.state(name)
        stored_attempts = journal.attempts(name)
        asked = usage_by_attempt(calls, stored_attempts)
        for stored in stored_attempts:
            if stored.kind == _PROBLEM:
                failure = stored.evaluation.summary
                continue
            attempts.append(
                attempt_score(
                    stored.number,
                    stored.model,
                    stored.kind,
                    stored.evaluation,
                    stored.parents,
                    stored.slot,
                    stored.candidate,
                    asked.get(stored.number),
                )
            )
    else:
        state, reason, winner = "finished", "", None
        for found in store.attempts(name):
            if found.evaluation.verdict.value == "problem-error":
                failure = found.evaluation.summary
                continue
            origin = found.candidate.origin if found.candidate else ""
            model = _OFFLINE if origin.startswith(_OFFLINE) else ""
            kind = "offline" if model else "proposal"
            attempts.append(
                attempt_score(
                    found.number, model, kind, found.evaluation, candidate=found.candidate
                )
            )
        ranked = [a for a in attempts if a.faster]
        winner = max(ranked, key=lambda a: a.outcome.rank).number if ranked else None
    # A reference that failed only after attempts were judged (it died once, say) has run before.
    if failure and not attempts:
        state, reason = NOT_RUNNABLE, failure
    original = dict(entry.original) if entry else {}
    return ProblemScores(
        name=name,
        attempts=tuple(attempts),
        level=problem.level,
        number=entry.number if entry else problem_number(name),
        tags=entry.tags if entry else (),
        state=state,
        reason=reason,
        winner=winner,
        constants=dict(problem.overrides),
        shrunk=bool(original),
        source_hash=_hash(problem),
        context=_context(store.config, name),
        usage=_with_evaluations(usage_by_model(calls), attempts),
    )


def _hash(problem: Problem) -> str:
    digest = hashlib.sha256(problem.source.encode("utf-8", "surrogatepass"))
    digest.update(problem.archive or b"")
    return digest.hexdigest()


def _with_evaluations(
    calls: Mapping[str, Usage], attempts: Sequence[AttemptScore]
) -> dict[str, Usage]:
    usage = dict(calls)
    for attempt in attempts:
        usage[attempt.model] = usage.get(attempt.model, Usage()) + Usage(seconds=attempt.seconds)
    return usage


def _models(config: RunConfig, problems: Sequence[ProblemScores]) -> tuple[str, ...]:
    asked = [str(name) for name in config.search.get("models", ())]
    offline = [_OFFLINE] if config.search.get("start_from_inductor") or not asked else []
    used = [a.model for p in problems for a in p.attempts]
    return tuple(dict.fromkeys([*offline, *asked, *used]))


def _strategy(config: RunConfig) -> str:
    return str(config.search.get("strategy", "")) if config.search.get("models") else "offline"


def _context(config: RunConfig, problem: str) -> str:
    """What models were shown besides the task; ``none`` where no model was asked."""
    search = config.search
    if not search.get("models"):
        return "none"
    given: dict[str, Any] = search.get("context", {})
    parts = [
        title.removeprefix("Given by the user: ")
        for key in ("*", problem)
        for title in given.get(key, {})
    ]
    if search.get("start_from_inductor"):
        parts.append("offline candidate")
    if search.get("profile"):
        parts.append("profile")
    if search.get("neighbours"):
        parts.append("similar kernels")
    return " + ".join(parts) or "none"


def _settings(config: RunConfig) -> dict[str, str]:
    return {key: str(value) for key, value in config.settings.model_dump(mode="json").items()}


def _environment(config: RunConfig) -> dict[str, dict[str, str]]:
    device = config.device
    sections = {
        "device": {
            "kind": device.kind,
            "name": device.name,
            "architecture": device.architecture,
            "compute units": str(device.compute_units),
        },
        "machine": dict(config.machine),
        "versions": dict(config.versions),
    }
    for name, section in config.environment.items():
        sections[name] = sections.get(name, {}) | section
    return sections
