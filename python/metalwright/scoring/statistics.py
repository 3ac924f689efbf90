"""Medians with bootstrap intervals, and geometric means."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_RESAMPLES = 1000
_SEED = 0


def bootstrap_median(samples: Sequence[float]) -> tuple[float, float, float]:
    """The median of `samples` and the 95 % percentile-bootstrap interval around it.

    The resampling is seeded, so that the same samples give the same interval.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("the median of no samples")
    values = np.asarray(samples, dtype=np.float64)
    picks = np.random.default_rng(_SEED).integers(0, values.size, (_RESAMPLES, values.size))
    low, high = np.quantile(np.median(values[picks], axis=1), (0.025, 0.975))
    return float(np.median(values)), float(low), float(high)


def geometric_mean(ratios: Sequence[float]) -> float:
    """The geometric mean of positive ratios.

    Raises:
        ValueError: there are none, or one is not positive.
    """
    if not ratios or min(ratios) <= 0:
        raise ValueError("the geometric mean needs positive ratios")
    return math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
