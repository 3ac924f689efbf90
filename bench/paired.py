"""The ratio of two durations, measured in pairs so that a slow spell of the machine hits both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """The median of the pairs' ratios, their quartiles, and the median seconds of both sides."""

    median: float
    lower: float
    upper: float
    numerator: float
    denominator: float

    def __str__(self) -> str:
        seconds = f"{self.numerator * 1e3:.3f} ms / {self.denominator * 1e3:.3f} ms"
        return f"{self.median:.2f} [{self.lower:.2f}, {self.upper:.2f}]  ({seconds})"


def seconds_of(function: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def paired_ratio(
    numerator: Callable[[], object], denominator: Callable[[], object], pairs: int = 61
) -> Ratio:
    """Time of `numerator` over time of `denominator`: below 1, the first is faster."""
    return ratio_of_seconds(lambda: seconds_of(numerator), lambda: seconds_of(denominator), pairs)


def ratio_of_seconds(
    numerator: Callable[[], float], denominator: Callable[[], float], pairs: int
) -> Ratio:
    """The same for two functions that say themselves how many seconds they took.

    Both are called a few times first. The order within a pair alternates: A B, B A, A B, ...
    """
    for _ in range(5):
        numerator()
        denominator()
    above, below = [], []
    for pair in range(pairs):
        if pair % 2:
            second = denominator()
            first = numerator()
        else:
            first = numerator()
            second = denominator()
        above.append(first)
        below.append(second)
    ratios = [first / second for first, second in zip(above, below, strict=True)]
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, lower, upper, statistics.median(above), statistics.median(below))
