"""What a score is computed from: for each problem whether it is solved, and how fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcome:
    """One attempt, or the best of several.

    ``ratio`` is None where it is not known: the attempt is not correct, was not timed, was timed
    too unsteadily, or its time is not believed before a person has looked at it.
    """

    correct: bool
    ratio: float | None = None

    def __post_init__(self) -> None:
        if self.ratio is not None and not (self.correct and self.ratio > 0):
            raise ValueError("only what is correct has a ratio, and it is positive")

    @property
    def rank(self) -> tuple[bool, float]:
        """What outcomes are compared by: correct ones first, then by their ratio."""
        return self.correct, self.ratio or 0.0


FAILED = Outcome(False)


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of many problems as arrays, one element a problem along the last axis.

    There may be more axes before it: resampled sets of problems are scored all at once.
    """

    correct: NDArray[np.bool_]
    ratio: NDArray[np.float64]
    """NaN where it is not known."""

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Outcomes:
        """Puts single outcomes together."""
        items = list(outcomes)
        return cls(
            np.array([item.correct for item in items], dtype=np.bool_),
            np.array(
                [np.nan if item.ratio is None else item.ratio for item in items], dtype=np.float64
            ),
        )

    def __len__(self) -> int:
        return int(self.correct.shape[-1])

    def take(self, picks: NDArray[np.int64]) -> Outcomes:
        """The outcomes of the problems with these indices."""
        return Outcomes(self.correct[picks], self.ratio[picks])


def best(outcomes: Sequence[Outcome]) -> Outcome:
    """The best of several attempts at one problem; none at all is a failure."""
    return max(outcomes, key=lambda item: item.rank, default=FAILED)


def after_attempts(histories: Iterable[Sequence[Outcome]], count: int) -> Outcomes:
    """The best of the first `count` attempts at each problem, in the order they were made.

    A problem with fewer attempts keeps what it had.
    """
    return Outcomes.of(best(history[:count]) for history in histories)
