"""The scores: worked examples, brute force over all cases, properties."""

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metalwright.scoring import scores
from metalwright.scoring.intervals import bootstrap, bootstrap_mean
from metalwright.scoring.outcomes import FAILED, Outcome, Outcomes, after_attempts, best

# Four problems: 2x, 0.5x, right but timed too unsteadily, wrong.
EXAMPLE = Outcomes.of([Outcome(True, 2.0), Outcome(True, 0.5), Outcome(True), FAILED])

ratios = st.floats(0.01, 100.0)
outcome = st.one_of(
    st.just(FAILED), st.just(Outcome(True)), ratios.map(lambda ratio: Outcome(True, ratio))
)
some = st.lists(outcome, min_size=1, max_size=12)


def test_a_worked_example():
    assert scores.share_correct(EXAMPLE) == 0.75
    assert scores.fast_p(EXAMPLE, 0) == 0.75
    assert scores.fast_p(EXAMPLE, 0.4) == 0.5
    assert scores.fast_p(EXAMPLE, 0.5) == 0.25  # more than p, not p
    assert scores.fast_p(EXAMPLE, 1) == 0.25
    assert scores.fast_p(EXAMPLE, 2) == 0.0
    assert scores.geometric_mean_of_all(EXAMPLE) == pytest.approx(1.0)  # (2 * 0.5 * 1 * 1)^(1/4)
    assert scores.geometric_mean_kept(EXAMPLE) == pytest.approx(2 ** (1 / 4))
    assert scores.geometric_mean_of_correct(EXAMPLE) == pytest.approx(1.0)
    assert scores.median_of_correct(EXAMPLE) == pytest.approx(1.25)
    assert scores.fast_p_curve(EXAMPLE, (0, 1)) == ((0, 0.75), (1, 0.25))


def test_pass_at_k_of_the_paper():
    # Chen et al.: with n = 3 and one right, one draw of one is right in a third of cases.
    assert scores.pass_at_k(3, 1, 1) == pytest.approx(1 / 3)
    assert scores.pass_at_k(5, 2, 2) == pytest.approx(1 - 3 / 10)
    assert scores.pass_at_k(5, 0, 5) == 0.0
    assert scores.pass_at_k(5, 1, 5) == 1.0
    # Their numerically stable product is the same number.
    n, c, k = 200, 13, 10
    product = 1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1))
    assert scores.pass_at_k(n, c, k) == pytest.approx(product)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 1, 0), (3, 1, 4), (3, 4, 1), (3, -1, 1), (0, 0, 1)])
def test_pass_at_k_refuses_what_has_no_meaning(n, c, k):
    with pytest.raises(ValueError, match=r"attempts"):
        scores.pass_at_k(n, c, k)


@given(attempts=st.lists(outcome, min_size=1, max_size=7), k=st.integers(1, 7))
def test_estimates_at_k_are_the_means_over_all_subsets(attempts, k):
    if k > len(attempts):
        with pytest.raises(ValueError, match="attempts"):
            scores.best_log_ratio_at_k(attempts, k)
        return
    subsets = list(itertools.combinations(attempts, k))
    right = sum(any(o.correct for o in subset) for subset in subsets) / len(subsets)
    correct = sum(o.correct for o in attempts)
    assert scores.pass_at_k(len(attempts), correct, k) == pytest.approx(right)
    logs = [
        max(0.0, *(math.log(o.ratio) if o.ratio else 0.0 for o in subset)) for subset in subsets
    ]
    assert scores.best_log_ratio_at_k(attempts, k) == pytest.approx(statistics.fmean(logs))


@given(attempts=st.lists(outcome, min_size=2, max_size=30))
def test_estimates_at_k_grow_with_k(attempts):
    n, c = len(attempts), sum(o.correct for o in attempts)
    for k in range(1, n):
        assert scores.pass_at_k(n, c, k) <= scores.pass_at_k(n, c, k + 1) + 1e-12
        step = scores.best_log_ratio_at_k(attempts, k)
        assert step <= scores.best_log_ratio_at_k(attempts, k + 1) + 1e-12
    assert scores.pass_at_k(n, c, 1) == pytest.approx(c / n)


def test_pass_at_k_is_unbiased():
    # Attempts are right with chance 0.3: at k = 3 one of three is with 1 - 0.7^3.
    generator = random.Random(3)
    found = [
        scores.pass_at_k(8, sum(generator.random() < 0.3 for _ in range(8)), 3) for _ in range(4000)
    ]
    assert statistics.fmean(found) == pytest.approx(1 - 0.7**3, abs=0.015)


@given(items=some)
def test_scores_agree_with_plain_loops(items):
    outcomes = Outcomes.of(items)
    n = len(items)
    known = [o.ratio for o in items if o.ratio is not None]
    assert scores.share_correct(outcomes) == pytest.approx(sum(o.correct for o in items) / n)
    for p in (0.5, 1.0, 3.0):
        wanted = sum(o.ratio is not None and o.ratio > p for o in items) / n
        assert scores.fast_p(outcomes, p) == pytest.approx(wanted)
    product = math.prod(o.ratio or 1.0 for o in items) ** (1 / n)
    assert scores.geometric_mean_of_all(outcomes) == pytest.approx(product)
    kept = math.prod(max(1.0, o.ratio or 1.0) for o in items) ** (1 / n)
    assert scores.geometric_mean_kept(outcomes) == pytest.approx(kept)
    mean, median = scores.geometric_mean_of_correct(outcomes), scores.median_of_correct(outcomes)
    if known:
        assert mean == pytest.approx(statistics.geometric_mean(known))
        assert median == pytest.approx(statistics.median(known))
    else:
        assert math.isnan(mean)
        assert math.isnan(median)


@given(items=some)
def test_bounds_and_order(items):
    outcomes = Outcomes.of(items)
    curve = [share for _, share in scores.fast_p_curve(outcomes)]
    assert all(0 <= share <= 1 for share in curve)
    assert curve == sorted(curve, reverse=True)
    assert curve[0] == scores.share_correct(outcomes)
    known = [o.ratio for o in items if o.ratio is not None] or [1.0]
    for mean in (scores.geometric_mean_of_all, scores.geometric_mean_kept):
        assert min(1.0, *known) - 1e-9 <= mean(outcomes) <= max(1.0, *known) * (1 + 1e-9)
    assert scores.geometric_mean_kept(outcomes) >= 1 - 1e-12


@given(items=some, data=st.data())
def test_a_better_attempt_never_lowers_a_score(items, data):
    index = data.draw(st.integers(0, len(items) - 1))
    better = list(items)
    better[index] = Outcome(True, max(1.0, items[index].ratio or 1.0) * 2)
    before, after = Outcomes.of(items), Outcomes.of(better)
    for p in scores.THRESHOLDS:
        assert scores.fast_p(after, p) >= scores.fast_p(before, p)
    assert scores.geometric_mean_of_all(after) >= scores.geometric_mean_of_all(before)
    assert scores.geometric_mean_kept(after) >= scores.geometric_mean_kept(before)


@given(histories=st.lists(st.lists(outcome, max_size=6), min_size=1, max_size=6))
def test_more_attempts_never_lower_a_score(histories):
    shares = [float(scores.share_correct(after_attempts(histories, k))) for k in range(8)]
    means = [float(scores.geometric_mean_kept(after_attempts(histories, k))) for k in range(8)]
    assert shares == sorted(shares)
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(means))
    assert shares[0] == 0
    assert shares[6] == shares[7]


def test_the_best_is_right_before_it_is_fast():
    assert best([]) == FAILED
    assert best([FAILED, Outcome(True, 0.5), Outcome(True)]) == Outcome(True, 0.5)
    assert best([FAILED, Outcome(True)]) == Outcome(True)
    for wrong in ({"correct": False, "ratio": 2.0}, {"correct": True, "ratio": 0.0}):
        with pytest.raises(ValueError, match="positive"):
            Outcome(**wrong)


@given(items=some)
@settings(deadline=None, max_examples=30)
def test_an_interval_holds_its_score(items):
    outcomes = Outcomes.of(items)
    for score in (scores.share_correct, scores.geometric_mean_of_all, scores.median_of_correct):
        estimate = bootstrap(score, outcomes)
        value = float(score(outcomes))
        if math.isnan(value):
            assert estimate is None
            continue
        assert estimate.value == value
        if len(items) == 1:
            assert math.isnan(estimate.low)
        else:
            assert estimate.low <= estimate.high
            drawn = [float(score(outcomes.take(np.array([i])))) for i in range(len(items))]
            possible = [x for x in drawn if not math.isnan(x)]
            assert min(possible) - 1e-9 <= estimate.low
            assert estimate.high <= max(possible) + 1e-9
        assert repr(bootstrap(score, outcomes)) == repr(estimate)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    generator = random.Random(5)
    held = 0
    for _ in range(300):
        drawn = Outcomes.of(
            Outcome(True, 1.5) if generator.random() < 0.6 else FAILED for _ in range(40)
        )
        estimate = bootstrap(scores.share_correct, drawn)
        held += estimate.low <= 0.6 <= estimate.high
    assert 0.90 <= held / 300 <= 0.99


def test_the_vectorised_interval_is_the_plain_one():
    generator = random.Random(7)
    items = [Outcome(True, generator.uniform(0.5, 4)) for _ in range(25)] + [FAILED] * 10
    estimate = bootstrap(scores.geometric_mean_of_correct, Outcomes.of(items))
    picks = np.random.default_rng(0).integers(0, len(items), (1000, len(items)))
    means = []
    for row in picks:
        known = [items[i].ratio for i in row if items[i].ratio is not None]
        if known:
            means.append(statistics.geometric_mean(known))
    assert estimate.low == pytest.approx(np.quantile(means, 0.025))
    assert estimate.high == pytest.approx(np.quantile(means, 0.975))


def test_no_problems_have_no_score():
    assert bootstrap(scores.share_correct, Outcomes.of([])) is None
    assert bootstrap_mean(np.array([])) is None
    assert bootstrap_mean(np.array([0.25, 0.75])).value == 0.5


def test_cost_per_solved_problem_counts_failures():
    assert scores.per_solved(10.0, 4) == 2.5
    assert scores.per_solved(10.0, 0) is None
    assert scores.per_solved(None, 3) is None
