"""The numbers over a whole run, and how single numbers are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metalwright.evaluation.model import SAME_SPEED, Evaluation, Flag, Interval
from metalwright.scoring import geometric_mean
from metalwright.scoring.data import Usage


@dataclass(frozen=True)
class Summary:
    """Over the best attempt at each problem."""

    problems: int
    correct: int
    faster: int
    """Correct, and faster than eager by more than identical code can seem to be."""
    noisy: int
    """Correct, but timed too unsteadily to have a ratio."""
    beyond_roofline: int
    """Correct, but faster than the device can be: in no mean before a person has looked."""
    mean_of_correct: float | None
    """Geometric mean of the ratios of correct attempts, of those that are believed."""
    mean_of_all: float | None
    """Over all problems; what is not right or not believed counts as 1: the original is kept."""


def summarise(evaluations: Sequence[Evaluation]) -> Summary:
    """Counts and means."""
    ratios = [e.timing.ratio.median if e.timing and _believed(e) else None for e in evaluations]
    correct = [ratio for ratio in ratios if ratio is not None]
    return Summary(
        problems=len(evaluations),
        correct=sum(evaluation.correct for evaluation in evaluations),
        faster=sum(map(is_faster, evaluations)),
        noisy=sum(e.correct and Flag.NOISY_TIMING in e.flags for e in evaluations),
        beyond_roofline=sum(e.correct and not e.rankable for e in evaluations),
        mean_of_correct=geometric_mean(correct) if correct else None,
        mean_of_all=geometric_mean([ratio or 1.0 for ratio in ratios]) if correct else None,
    )


def is_faster(evaluation: Evaluation) -> bool:
    """Whether the candidate is correct and its advantage is more than noise."""
    timing = evaluation.timing
    return _believed(evaluation) and timing is not None and timing.ratio.low > SAME_SPEED


def _believed(evaluation: Evaluation) -> bool:
    """Whether its ratio counts, as in `metalwright.scoring.collect.attempt_score`."""
    return evaluation.rankable and Flag.NOISY_TIMING not in evaluation.flags


def shrunk_text(scale: str, shrunk: int, problems: int) -> str:
    """What stands above every figure of a run whose problems were made smaller."""
    return (
        f"SIZES WERE SHRUNK (--scale {scale}): {shrunk} of {problems} problems are smaller than "
        "given. These results are not those of the suite's own sizes."
    )


def seconds_text(seconds: float | None) -> str:
    """A duration with three digits and its unit, as in ``1.25 ms``."""
    if seconds is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def ratio_text(evaluation: Evaluation) -> str:
    """``1.83x``, or ``noisy``: a number that means nothing is not given."""
    if evaluation.timing is None or not evaluation.correct:
        return "-"
    if Flag.NOISY_TIMING in evaluation.flags:
        return "noisy"
    return f"{_factor(evaluation.timing.ratio.median)}x"


def interval_text(interval: Interval) -> str:
    """``1.79 to 1.88``."""
    return f"{_factor(interval.low)} to {_factor(interval.high)}"


def money_text(dollars: float | None) -> str:
    """``$0.0123``: small sums keep their digits."""
    if dollars is None:
        return "-"
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4f}"


def tokens_text(tokens: float | None) -> str:
    """``12.3k tokens``."""
    if tokens is None:
        return "-"
    for unit, scale in (("M", 1e6), ("k", 1e3)):
        if tokens >= scale:
            return f"{tokens / scale:.3g}{unit} tokens"
    return f"{tokens:.0f} tokens"


def usage_text(usage: Usage) -> str:
    """``2 calls, 12.3k tokens, $0.0123``; without the money where no price is known."""
    calls = f"{usage.calls} call" if usage.calls == 1 else f"{usage.calls} calls"
    parts = [calls, tokens_text(usage.tokens)]
    if usage.money is not None:
        parts.append(money_text(usage.money))
    return ", ".join(parts)


def error_text(evaluation: Evaluation) -> str:
    """The largest absolute difference from the reference."""
    error = evaluation.max_error
    return "-" if error is None else f"{error:.1e}" if error else "0"


def _factor(ratio: float) -> str:
    # Two decimals are what timing can tell, but 0.00 would tell nothing.
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3g}"
