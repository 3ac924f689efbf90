"""What a problem's page shows, put together for its template."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from metalwright.evaluation.model import Evaluation
from metalwright.reports import summary as texts
from metalwright.reports.site.content import AttemptTexts, SiteRun, Turn
from metalwright.reports.site.problem_charts import problem_charts
from metalwright.reports.site.text import DiffLine, diff_lines, metal_code, python_code
from metalwright.scoring.data import AttemptScore, ProblemScores


@dataclass(frozen=True)
class Section:
    """One attempt on the page."""

    score: AttemptScore
    evaluation: Evaluation
    source: str
    origin: str
    notes: tuple[str, ...]
    parent: int | None
    difference: tuple[DiffLine, ...]
    system: str
    """Where the system prompt stands; empty: none."""
    turns: tuple[tuple[Turn, int | None], ...]
    """What was said, each with the number of the attempt that shows the same text already."""
    answer: str
    facts: tuple[tuple[str, str], ...]
    is_winner: bool
    ratio_text: str


def problem_context(
    run: SiteRun, problem: ProblemScores, system_place: Callable[[str], str]
) -> dict[str, Any]:
    """The names that the template uses; `system_place` keeps a system prompt and says where."""
    attempts = list(run.texts(problem))
    shown = _shown(problem)
    stored = run.store.problem(problem.name)
    best = next((item for item in attempts if item.score.number == shown), None)
    kernels: list[tuple[str, Markup]] = []
    if best is not None and best.candidate is not None:
        kernels = [(name, metal_code(text)) for name, text in best.candidate.kernels.items()]
    return {
        "title": problem.name,
        "run": run.scores,
        "problem": problem,
        "reference": python_code(stored.source) if stored.source else None,
        "sections": list(_sections(attempts, problem, system_place)),
        "shown": shown,
        "best": best,
        "best_facts": list(facts_of(best.evaluation)) if best is not None else [],
        "kernels": kernels,
        "candidate": python_code(best.candidate.source) if best and best.candidate else None,
        "charts": problem_charts(attempts, shown),
    }


def _shown(problem: ProblemScores) -> int | None:
    """The attempt whose kernels are shown at the top: the winner, else the best correct one."""
    if problem.winner is not None:
        return problem.winner
    best = problem.best()
    return best.number if best is not None and best.correct else None


def _sections(
    attempts: Sequence[AttemptTexts],
    problem: ProblemScores,
    system_place: Callable[[str], str],
) -> Iterator[Section]:
    sources = {
        item.score.number: item.candidate.source for item in attempts if item.candidate is not None
    }
    said: dict[str, int] = {}
    for item in attempts:
        number = item.score.number
        parent = next((p for p in item.score.parents if p in sources), None)
        difference: tuple[DiffLine, ...] = ()
        if parent is not None and number in sources:
            difference = tuple(diff_lines(sources[parent], sources[number]))
        turns = tuple((turn, said.get(turn.text)) for turn in item.turns)
        for turn in item.turns:
            said.setdefault(turn.text, number)
        yield Section(
            item.score,
            item.evaluation,
            sources.get(number, ""),
            item.candidate.origin if item.candidate else "",
            item.candidate.notes if item.candidate else (),
            parent,
            difference,
            system_place(item.system),
            turns,
            item.answer,
            (*_asked(item.score), *facts_of(item.evaluation)),
            number == problem.winner,
            texts.ratio_text(item.evaluation),
        )


def _asked(score: AttemptScore) -> Iterator[tuple[str, str]]:
    if score.asked is not None:
        took = texts.seconds_text(score.asked.seconds)
        yield "Asking the model", f"{texts.usage_text(score.asked)}, {took}"


def facts_of(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """The figures of an evaluation, as name and text."""
    timing = evaluation.timing
    if timing is not None:
        yield "Eager, wall", _interval_text(timing.baseline_seconds)
        yield "Candidate, wall", _interval_text(timing.candidate_seconds)
        device = texts.seconds_text(timing.device_seconds)
        yield "Candidate, device clock", f"{device}; {timing.dispatches:g} dispatches per call"
        interval = texts.interval_text(timing.ratio)
        yield "Ratio to eager", f"{texts.ratio_text(evaluation)} ({interval})"
        if timing.best_baseline != "eager" and timing.speedup is not None:
            interval = texts.interval_text(timing.speedup)
            yield (
                f"Ratio to {timing.best_baseline}",
                f"{timing.speedup.median:.2f}x ({interval}); the fastest correct baseline",
            )
        calls = f"{timing.baseline_calls} and {timing.candidate_calls} calls"
        yield "Timed", f"{timing.pairs} pairs of blocks, {calls} each"
        if timing.cold_seconds is not None:
            yield "Cold caches", texts.seconds_text(timing.cold_seconds.median)
        if timing.other_load is not None:
            yield "Other programs", f"used {timing.other_load:.0%} of the machine meanwhile"
    if evaluation.oracle and evaluation.outputs:
        yield "Oracle", evaluation.oracle
    coverage = evaluation.coverage
    if coverage is not None and coverage.kernel_share is not None:
        yield "Time in kernels", f"{coverage.kernel_share:.0%} of a call"
    if coverage is not None and coverage.operators:
        left = ", ".join(f"{name} ({n})" for name, n in list(coverage.operators.items())[:8])
        yield "Left to torch", left
    if evaluation.flags:
        yield "Flags", ", ".join(flag.value for flag in evaluation.flags)
    open_measures = [f"{k}: {v}" for k, v in evaluation.isolation.items() if v != "enforced"]
    if open_measures:
        yield "Not confined", "; ".join(open_measures)
    if evaluation.peak_memory:
        yield "Peak memory seen", f"{evaluation.peak_memory / 2**20:.0f} MiB"
    yield "Measured on", f"{evaluation.device.kind}: {evaluation.device.name}"
    if evaluation.seconds:
        yield "Evaluated in", texts.seconds_text(evaluation.seconds)


def _interval_text(interval: Any) -> str:
    low, high = texts.seconds_text(interval.low), texts.seconds_text(interval.high)
    return f"{texts.seconds_text(interval.median)} ({low} to {high})"
