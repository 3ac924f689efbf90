"""Numbers over many measurements and many problems: medians, intervals, means."""

from metalwright.scoring.statistics import bootstrap_median, geometric_mean

__all__ = ["bootstrap_median", "geometric_mean"]
