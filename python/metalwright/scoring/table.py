"""Scores of groups of problems: per level, model, strategy and context, and all models together."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from metalwright.scoring import scores
from metalwright.scoring.data import LeftOut, ProblemScores, RunScores, Usage
from metalwright.scoring.intervals import Estimate, bootstrap, bootstrap_mean
from metalwright.scoring.outcomes import Outcome, Outcomes, after_attempts

UNION = "all together"
ALL_LEVELS = "all"
_MOST_ATTEMPTS = 50


@dataclass(frozen=True)
class GroupScore:
    """The scores of one group. An Estimate is None where it has no value.

    The tuples by attempt begin with attempt 1.
    """

    model: str
    """A model, or `UNION`: the best of all of them and of tuning."""
    level: str
    """``1``, ``2``, ``none``, or `ALL_LEVELS`."""
    strategy: str
    context: str
    problems: int
    """The denominator of every share and of the means over all."""
    attempts: int
    solved: int
    faster: int
    """Solved, and faster than the baseline by more than noise."""
    unknown_ratio: int
    """Solved, but without a ratio to believe: not timed, noisy, or beyond the roofline."""
    correct: Estimate | None
    fast_p: tuple[tuple[float, Estimate], ...]
    mean_of_all: Estimate | None
    mean_kept: Estimate | None
    mean_of_correct: Estimate | None
    median_of_correct: Estimate | None
    correct_by_attempt: tuple[Estimate, ...]
    """Share of problems with a correct one among the first k attempts, as they were made."""
    ratio_by_attempt: tuple[Estimate, ...]
    """Geometric mean of the best ratio of the first k attempts; the original counts as 1."""
    pass_at_k: tuple[Estimate, ...]
    """Unbiased, over the independent samples; empty if there are none. k goes as far as every
    problem has samples."""
    best_ratio_at_k: tuple[Estimate, ...]
    """Unbiased geometric mean of the best of k independent attempts; empty as `pass_at_k`."""
    usage: Usage
    money_per_solved: float | None
    tokens_per_solved: float | None
    seconds_per_solved: float | None


def score_group(
    problems: Sequence[ProblemScores],
    model: str | None = None,
    *,
    level: str = ALL_LEVELS,
    strategy: str = "",
    context: str = "all",
) -> GroupScore:
    """Scores the attempts of one model (None: of all) at some problems."""
    made = [problem.made_by(model) for problem in problems]
    histories = [[attempt.outcome for attempt in own] for own in made]
    outcomes = Outcomes.of(problem.outcome(model) for problem in problems)
    bests = [problem.best(model) for problem in problems]
    solved = int(np.sum(outcomes.correct))
    usage = _usage(problems, model)
    longest = min(max(map(len, histories), default=0), _MOST_ATTEMPTS)
    firsts = [after_attempts(histories, count) for count in range(1, longest + 1)]
    samples = [[attempt.outcome for attempt in own if attempt.independent] for own in made]
    # Samples of different models are not alike: their union has no pass@k.
    pass_at, best_at = _at_k(samples) if model is not None else ((), ())
    return GroupScore(
        model=UNION if model is None else model,
        level=level,
        strategy=strategy,
        context=context,
        problems=len(problems),
        attempts=sum(map(len, made)),
        solved=solved,
        faster=sum(a is not None and a.faster for a in bests),
        unknown_ratio=solved - int(np.sum(~np.isnan(outcomes.ratio))),
        correct=bootstrap(scores.share_correct, outcomes),
        fast_p=_curve(outcomes),
        mean_of_all=bootstrap(scores.geometric_mean_of_all, outcomes),
        mean_kept=bootstrap(scores.geometric_mean_kept, outcomes),
        mean_of_correct=bootstrap(scores.geometric_mean_of_correct, outcomes),
        median_of_correct=bootstrap(scores.median_of_correct, outcomes),
        correct_by_attempt=_known(bootstrap(scores.share_correct, first) for first in firsts),
        ratio_by_attempt=_known(bootstrap(scores.geometric_mean_kept, f) for f in firsts),
        pass_at_k=pass_at,
        best_ratio_at_k=best_at,
        usage=usage,
        money_per_solved=scores.per_solved(usage.money, solved),
        tokens_per_solved=scores.per_solved(usage.tokens, solved),
        seconds_per_solved=scores.per_solved(usage.seconds, solved),
    )


def score_table(run: RunScores) -> tuple[GroupScore, ...]:
    """The groups that a report shows, the widest first.

    Each model and, where there are several or tuning changed something, their union; each over all
    problems, then per level, then per context where models were not shown the same everywhere.
    """
    models = _models(run)
    any_context = "all" if len(run.contexts) > 1 else "".join(run.contexts)
    groups: list[tuple[str, str, tuple[ProblemScores, ...]]] = [
        (ALL_LEVELS, any_context, run.scored)
    ]
    if len(run.levels) > 1 or run.levels not in ((), (None,)):
        for level in run.levels:
            text = "none" if level is None else str(level)
            groups.append((text, any_context, tuple(p for p in run.scored if p.level == level)))
    if len(run.contexts) > 1:
        for name in run.contexts:
            groups.append((ALL_LEVELS, name, tuple(p for p in run.scored if p.context == name)))
    return tuple(
        score_group(
            problems,
            model,
            level=level,
            strategy=run.strategy,
            context=context,
        )
        for level, context, problems in groups
        for model in models
    )


def combine(runs: Sequence[RunScores]) -> RunScores:
    """Several runs as one: the attempts of all at each problem, for the union of their models.

    Only runs that `metalwright.scoring.compare.differences` finds nothing against may be combined.
    A problem that not all of them have, at the same sizes, is listed as excluded; attempts keep the
    order of the runs and are numbered anew.
    """
    problems, excluded = [], list(runs[0].excluded)
    for problem in runs[0].problems:
        same = [p for run in runs for p in run.problems if p.name == problem.name]
        if len(same) < len(runs) or any(p.source_hash != problem.source_hash for p in same):
            reason = "not all of these runs have it at the same sizes"
            excluded.append(LeftOut(problem.name, reason, problem.level))
        else:
            problems.append(_combined(same))
    return dataclasses.replace(
        runs[0],
        label=" + ".join(run.label for run in runs),
        problems=tuple(problems),
        excluded=tuple(excluded),
        strategy=" + ".join(dict.fromkeys(run.strategy for run in runs if run.strategy)),
        models=tuple(dict.fromkeys(model for run in runs for model in run.models)),
        usage=functools.reduce(operator.add, (run.usage for run in runs)),
        repeats="",
    )


def _combined(same: Sequence[ProblemScores]) -> ProblemScores:
    usage: dict[str, Usage] = {}
    for problem in same:
        for model, used in problem.usage.items():
            usage[model] = usage.get(model, Usage()) + used
    attempts = [attempt for problem in same for attempt in problem.attempts]
    # Numbers of parents are those of their own run and would mislead here.
    renumbered = tuple(
        dataclasses.replace(attempt, number=number, parents=())
        for number, attempt in enumerate(attempts, 1)
    )
    runnable = [problem for problem in same if problem.runnable]
    best = max(renumbered, key=lambda a: a.outcome.rank, default=None)
    contexts = dict.fromkeys(problem.context for problem in same)
    return dataclasses.replace(
        (runnable or same)[0],
        attempts=renumbered,
        usage=usage,
        winner=best.number if best is not None and best.faster else None,
        context=" or ".join(contexts),
    )


def _curve(outcomes: Outcomes) -> tuple[tuple[float, Estimate], ...]:
    estimates = (
        (p, bootstrap(functools.partial(scores.fast_p, p=p), outcomes)) for p in scores.THRESHOLDS
    )
    return tuple((p, estimate) for p, estimate in estimates if estimate is not None)


def _models(run: RunScores) -> list[str | None]:
    tuned = any(a.kind == "tuning" for p in run.scored for a in p.attempts)
    models: list[str | None] = list(run.models)
    return models if len(models) == 1 and not tuned else [*models, None]


def _usage(problems: Sequence[ProblemScores], model: str | None) -> Usage:
    total = Usage()
    for problem in problems:
        for name, used in problem.usage.items():
            if model is None or name == model:
                total += used
    return total


def _at_k(
    histories: Sequence[Sequence[Outcome]],
) -> tuple[tuple[Estimate, ...], tuple[Estimate, ...]]:
    most = min(map(len, histories), default=0)
    passes, bests = [], []
    for k in range(1, min(most, _MOST_ATTEMPTS) + 1):
        chances = np.array(
            [scores.pass_at_k(len(h), sum(o.correct for o in h), k) for h in histories]
        )
        passes.append(bootstrap_mean(chances))
        logs = bootstrap_mean(np.array([scores.best_log_ratio_at_k(h, k) for h in histories]))
        assert logs is not None
        bests.append(
            Estimate(*(float(np.exp(value)) for value in (logs.value, logs.low, logs.high)))
        )
    return _known(passes), tuple(bests)


def _known(estimates: Iterable[Estimate | None]) -> tuple[Estimate, ...]:
    return tuple(estimate for estimate in estimates if estimate is not None)
