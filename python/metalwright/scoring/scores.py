"""The scores, one function each. All take outcomes with one element per problem in the last axis.

A score that has no value (a mean over correct problems where none is correct) is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metalwright.scoring.outcomes import Outcome, Outcomes

Array = NDArray[np.float64]

THRESHOLDS = (0.0, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
"""The p of a fast_p curve; 0, 0.5, 0.8, 1, 1.5 and 2 are those that KernelBench prints."""


def share_correct(outcomes: Outcomes) -> Array:
    """The share of all problems that are correct."""
    return np.asarray(np.mean(outcomes.correct, axis=-1), dtype=np.float64)


def fast_p(outcomes: Outcomes, p: float) -> Array:
    """The share of all problems that are correct and more than p times as fast as the baseline.

        fast_p = 1/N * sum over i of [correct_i and ratio_i > p]

    Source: Ouyang et al., KernelBench: Can LLMs Write Efficient GPU Kernels?, 2025,
    arXiv:2502.10517, section 4. A correct problem without a known ratio counts at p = 0 alone,
    where the score is the share of correct problems.
    """
    if p < 0:
        raise ValueError("p is a ratio of times and cannot be negative")
    hit = outcomes.correct if p == 0 else outcomes.correct & (outcomes.ratio > p)
    return np.asarray(np.mean(hit, axis=-1), dtype=np.float64)


def fast_p_curve(
    outcomes: Outcomes, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[tuple[float, float], ...]:
    """`fast_p` for each threshold, as pairs of the threshold and the share."""
    return tuple((p, float(fast_p(outcomes, p))) for p in thresholds)


def geometric_mean_of_all(outcomes: Outcomes) -> Array:
    """The geometric mean of the ratios of all problems; a failure counts as 1.0.

        exp(1/N * sum over i of ln(ratio_i if it is known else 1))

    A user keeps the original module where there is no candidate. A correct candidate that is slower
    counts as what it is. Source of the convention: EVALUATION of this project; the mean itself:
    Fleming and Wallace, How not to lie with statistics, CACM 29(3), 1986.
    """
    return np.asarray(np.exp(np.mean(np.log(_known_or_one(outcomes)), axis=-1)))


def geometric_mean_kept(outcomes: Outcomes) -> Array:
    """As `geometric_mean_of_all`, where the user also keeps the original if that is faster.

    exp(1/N * sum over i of ln(max(1, ratio_i if it is known else 1)))
    """
    return np.asarray(np.exp(np.mean(np.log(np.maximum(_known_or_one(outcomes), 1.0)), axis=-1)))


def geometric_mean_of_correct(outcomes: Outcomes) -> Array:
    """The geometric mean of the ratios of correct problems whose ratio is known.

        exp(1/M * sum over the M problems with a ratio of ln(ratio_i))

    KernelBench prints this mean (src/score.py, geometric_mean_speed_ratio_correct_only). It
    says nothing of how many problems it is over: print it beside `share_correct`.
    """
    known = ~np.isnan(outcomes.ratio)
    logs = np.log(np.where(known, outcomes.ratio, 1.0))
    count = np.sum(known, axis=-1)
    mean = np.sum(logs, axis=-1) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, np.exp(mean), np.nan))


def median_of_correct(outcomes: Outcomes) -> Array:
    """The median of the ratios of correct problems whose ratio is known."""
    known = np.sort(outcomes.ratio, axis=-1)  # NaN sorts to the end
    count = np.sum(~np.isnan(known), axis=-1)
    low = np.maximum(count - 1, 0) // 2
    high = np.minimum(count // 2, known.shape[-1] - 1) if known.shape[-1] else count
    if known.shape[-1] == 0:
        return np.full(count.shape, np.nan)
    pick = [np.take_along_axis(known, np.asarray(i)[..., None], -1)[..., 0] for i in (low, high)]
    return np.asarray((pick[0] + pick[1]) / 2)


def pass_at_k(attempts: int, correct: int, k: int) -> float:
    """The unbiased estimate of the chance that one of k independent attempts is correct.

        pass@k = 1 - C(n - c, k) / C(n, k)      for n attempts of which c are correct

    Source: Chen et al., Evaluating Large Language Models Trained on Code, 2021, arXiv:2107.03374,
    equation 1. It supposes that the attempts are independent and alike, as the samples of the
    strategy ``best-of`` are. Attempts that build on each other have `after_attempts` instead.

    Raises:
        ValueError: k is not in 1 to `attempts`, or `correct` not in 0 to `attempts`.
    """
    _check_counts(attempts, k)
    if not 0 <= correct <= attempts:
        raise ValueError(f"{correct} of {attempts} attempts cannot be correct")
    return 1.0 - math.comb(attempts - correct, k) / math.comb(attempts, k)


def best_log_ratio_at_k(attempts: Sequence[Outcome], k: int) -> float:
    """The unbiased estimate of the mean logarithm of the best ratio among k independent attempts.

        sum over i = k..n of C(i - 1, k - 1) / C(n, k) * ln(x_(i))

    where x_(1) <= ... <= x_(n) are the attempts' ratios, a failure and whatever is slower than the
    original counted as 1. It is the mean of the maximum over all subsets of k of the n attempts, a
    U-statistic (Hoeffding, A Class of Statistics with Asymptotically Normal Distribution, 1948);
    with indicators in place of the ratios it is `pass_at_k`. The exponential of its mean over
    problems is the geometric mean of the best ratio at k.

    Raises:
        ValueError: k is not in 1 to the number of attempts.
    """
    n = len(attempts)
    _check_counts(n, k)
    logs = sorted(math.log(max(1.0, item.ratio or 1.0)) for item in attempts)
    subsets = math.comb(n, k)
    return math.fsum(math.comb(i - 1, k - 1) / subsets * logs[i - 1] for i in range(k, n + 1))


def per_solved(total: float | None, solved: int) -> float | None:
    """What one solved problem cost: the total of all problems, failures too, over the solved.

    None if nothing is solved, or if the total is not known.
    """
    return None if total is None or solved == 0 else total / solved


def _known_or_one(outcomes: Outcomes) -> Array:
    return np.where(np.isnan(outcomes.ratio), 1.0, outcomes.ratio)


def _check_counts(attempts: int, k: int) -> None:
    if not 1 <= k <= attempts:
        raise ValueError(f"k = {k} is not in 1 to the {attempts} attempts that there are")
