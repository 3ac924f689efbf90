"""The ratio over several pairs of workers, with an interval that holds what differs between them.

Identical code runs at different speeds in two processes, for as long as they live: memory lies
elsewhere in the caches. Within one pair that is invisible, however many calls are timed. So each
timing is spread over several pairs of fresh workers, and the interval is Student's over the pairs'
own ratios, in logarithms, where faster and slower are alike.

Three pairs say little about their own spread, and one says nothing. What is known of it beforehand
counts like so many observations (a scaled inverse chi-squared prior; Gelman et al., Bayesian Data
Analysis, section 2.6): `PAIR_SPREAD` from timings of references against themselves.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from metalwright.evaluation.model import Interval
from metalwright.scoring import bootstrap_median

# The standard deviation of the logarithm of the ratio from one pair of workers to the next, and how
# many observations the figure counts for.
PAIR_SPREAD = 0.06
_PRIOR_FREEDOM = 3

# Student's distribution, quantile 0.975, by degrees of freedom.
_STUDENT = {
    **{3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228},
    **{11: 2.201, 12: 2.179, 14: 2.145, 16: 2.120, 18: 2.101, 20: 2.086, 25: 2.060, 30: 2.042},
}


def ratio_over_pairs(pairs: Sequence[Sequence[float]]) -> Interval:
    """The ratio with its 95 % interval; `pairs` has the ratios of blocks of each pair of workers.

    Raises:
        ValueError: there is no ratio.
    """
    if not pairs or not all(pairs):
        raise ValueError("no ratios")
    found = [bootstrap_median(ratios) for ratios in pairs]
    logs = [math.log(median) for median, _, _ in found]
    middle = statistics.fmean(logs)
    freedom = _PRIOR_FREEDOM + len(logs) - 1
    squares = _PRIOR_FREEDOM * PAIR_SPREAD**2 + sum((value - middle) ** 2 for value in logs)
    between = _student(freedom) * math.sqrt(squares / freedom / len(logs))
    within = statistics.fmean(math.log(high / low) / 2 for _, low, high in found)
    # One pair's scatter is no part of the spread between pairs; of several it is counted twice, on
    # the safe side.
    half = math.hypot(between, within / math.sqrt(len(logs)))
    return Interval(
        median=math.exp(middle), low=math.exp(middle - half), high=math.exp(middle + half)
    )


def _student(freedom: int) -> float:
    # The next smaller number of degrees gives the wider interval.
    known = [number for number in _STUDENT if number <= freedom]
    return _STUDENT[max(known)]
