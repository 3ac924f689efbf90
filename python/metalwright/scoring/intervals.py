"""Intervals over problems: how much a score would change with other problems of the same kind."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metalwright.scoring.outcomes import Outcomes

Array = NDArray[np.float64]

RESAMPLES = 1000
COVERAGE = 0.95
_SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A score with its 95 % interval over problems; the interval is NaN where it has no meaning."""

    value: float
    low: float
    high: float


def bootstrap(score: Callable[[Outcomes], Array], outcomes: Outcomes) -> Estimate | None:
    """A score of `outcomes` with its percentile-bootstrap interval over problems.

    The problems are drawn with replacement `RESAMPLES` times, the score is computed for each draw,
    and the interval holds the middle `COVERAGE` of them (Efron and Tibshirani, An Introduction to
    the Bootstrap, 1993, section 13.3). Draws for which the score has no value (a mean over correct
    problems where none is correct) are left out. The draws are seeded: the same outcomes give the
    same interval. With one problem there is nothing to draw from and the interval is NaN.

    Returns None if there are no problems, or if the score has no value for them.
    """
    count = len(outcomes)
    value = float(score(outcomes)) if count else float("nan")
    return _interval(score, outcomes.take, count, value)


def bootstrap_mean(values: Array) -> Estimate | None:
    """The mean of one value per problem, with its interval as `bootstrap` makes it."""
    return _interval(
        lambda drawn: np.mean(drawn, axis=-1),
        lambda picks: values[picks],
        len(values),
        float(np.mean(values)) if len(values) else float("nan"),
    )


def _interval(
    score: Callable[..., Array],
    take: Callable[[NDArray[np.int64]], object],
    count: int,
    value: float,
) -> Estimate | None:
    if count == 0 or np.isnan(value):
        return None
    if count == 1:
        return Estimate(value, float("nan"), float("nan"))
    drawn = np.asarray(score(take(_picks(count))))
    drawn = drawn[~np.isnan(drawn)]
    low, high = np.quantile(drawn, ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2))
    return Estimate(value, float(low), float(high))


@functools.lru_cache(maxsize=64)
def _picks(count: int) -> NDArray[np.int64]:
    return np.random.default_rng(_SEED).integers(0, count, (RESAMPLES, count))
