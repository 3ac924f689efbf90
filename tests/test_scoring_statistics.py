"""Medians with intervals, geometric means."""

import math
import random

import pytest

from metalwright.scoring import bootstrap_median, geometric_mean


def test_the_interval_holds_the_true_median_about_as_often_as_it_says():
    generator = random.Random(1)
    held = 0
    for _ in range(300):
        samples = [generator.lognormvariate(0.0, 0.3) for _ in range(25)]
        median, low, high = bootstrap_median(samples)
        assert low <= median <= high
        held += low <= 1.0 <= high
    # 95 % in theory; the percentile bootstrap of a median is a little off at 25 samples.
    assert 0.90 <= held / 300 <= 0.99


def test_the_same_samples_give_the_same_interval():
    assert bootstrap_median([1.0, 2.0, 5.0]) == bootstrap_median([1.0, 2.0, 5.0])


def test_no_samples_have_no_median():
    with pytest.raises(ValueError, match="no samples"):
        bootstrap_median([])


def test_geometric_mean():
    assert geometric_mean([2.0, 0.5, 8.0]) == pytest.approx(2.0)
    assert math.isclose(geometric_mean([3.0]), 3.0)
    with pytest.raises(ValueError, match="positive"):
        geometric_mean([1.0, 0.0])
