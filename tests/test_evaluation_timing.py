"""The alternation of blocks, with workers and a clock that are made up."""

import contextlib
import math
import os
import subprocess
import sys
import time

import pytest

from metalwright.evaluation import timing
from metalwright.evaluation.launcher import busy_seconds, cpu_seconds
from metalwright.evaluation.machine_load import MachineLoad
from metalwright.evaluation.pairs import PAIR_SPREAD, ratio_over_pairs
from metalwright.evaluation.timing import Block, Contestant, duel, is_decided, timing_of
from metalwright.scoring import bootstrap_median


class Clock:
    """Time that passes only when somebody works."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)


class Load:
    """A machine on which other programs use a known share of the cores."""

    def __init__(self, share):
        self.share = share
        self.started = False

    def start(self):
        self.started = True

    def others(self):
        assert self.started
        return self.share


class Worker:
    claims = 1.0

    def __init__(self, clock, name, log, seconds, overhead=1e-4, **more):
        self.clock, self.name, self.log = clock, name, log
        self.seconds, self.overhead = seconds, overhead
        self.awake = False
        self.staged = 0
        self.contestant = Contestant(self.run, self.woken, self.stage, **more)

    def stage(self, rows):
        assert self.awake
        self.staged = rows

    @contextlib.contextmanager
    def woken(self):
        self.awake = True
        yield
        self.awake = False

    def run(self, calls, block, first):
        assert self.awake
        assert first + calls <= self.staged
        seconds = self.seconds(len(self.log)) if callable(self.seconds) else self.seconds
        self.clock.now += self.overhead + calls * seconds
        self.log.append((self.name, calls, block))
        return Block(calls * seconds * self.claims, calls * seconds / 2, 3 * calls)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def compete(*arguments, **more):
    return timing_of([duel(*arguments, **more)], 1)


def contest(clock, eager, candidate, budget=1.0, others=None, **more):
    log, blocks = [], []
    baseline = Worker(clock, "eager", log, eager, **more)
    own = Worker(clock, "candidate", log, candidate, **more)
    result, noisy = compete(
        baseline.contestant,
        own.contestant,
        budget,
        Load(others),
        lambda block, seconds: blocks.append(block),
    )
    return result, noisy, log, blocks


def test_the_ratio_is_eager_over_candidate_without_the_overhead(clock):
    result, noisy, _, blocks = contest(clock, 3e-3, 1e-3)
    assert not noisy
    assert result.ratio.median == pytest.approx(3.0, rel=1e-6)
    assert result.baseline_seconds.median == pytest.approx(3e-3, rel=1e-6)
    assert result.candidate_seconds.median == pytest.approx(1e-3, rel=1e-6)
    assert result.overhead_seconds == pytest.approx(1e-4)
    assert result.device_seconds == pytest.approx(5e-4)
    assert result.dispatches == 3
    assert blocks == list(range(result.pairs))


def test_blocks_last_about_as_long_whatever_a_call_takes(clock):
    result, _, _, _ = contest(clock, 1e-5, 4e-4)
    assert result.baseline_calls * 1e-5 == pytest.approx(1e-2, rel=0.3)
    assert result.candidate_calls * 4e-4 == pytest.approx(1e-2, rel=0.3)


def test_the_sides_take_turns_in_going_first(clock):
    _, _, log, _ = contest(clock, 2e-3, 2e-3)
    # At the end come blocks of the candidate alone.
    order = [name for name, calls, _ in log if calls > 1][-18:-6]
    assert order[:4] in (
        ["eager", "candidate", "candidate", "eager"],
        ["candidate", "eager", "eager", "candidate"],
        ["candidate", "candidate", "eager", "eager"],
        ["eager", "eager", "candidate", "candidate"],
    )


def test_a_steady_drift_of_the_machine_hits_both_sides(clock):
    # Everything gets slower by a factor of three over the run.
    def slower(done):
        return 1e-3 * (1 + done / 50)

    result, _, _, _ = contest(clock, slower, slower)
    assert result.ratio.median == pytest.approx(1.0, abs=0.05)


def test_noise_is_called_noise_after_more_patience(clock):
    import random

    generator = random.Random(5)
    result, noisy, _, _ = contest(
        clock, lambda _: generator.choice([1e-3, 1e-2]), lambda _: generator.choice([1e-3, 1e-2])
    )
    assert noisy
    assert result.ratio.high > 1.3 * result.ratio.low
    # Four times the budget, one pair over, warm-up besides.
    assert 4.0 < clock.now < 6.0


@pytest.mark.parametrize(("others", "noise"), [(None, False), (0.02, False), (0.2, True)])
def test_a_machine_that_is_busy_elsewhere_is_noise_however_narrow_the_interval(
    clock, others, noise
):
    result, noisy, _, _ = contest(clock, 2e-3, 1e-3, others=others)
    assert result.baseline_seconds.high - result.baseline_seconds.low < 1e-6
    assert result.other_load == others
    assert noisy is noise


def test_the_work_of_others_is_seen_and_our_own_is_not():
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system does not say what its cores do")
    spin = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    cores = len(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", spin]) as other:
        time.sleep(0.2)
        ours, theirs = MachineLoad([lambda: busy_seconds(other.pid)]), MachineLoad([])
        before, start = cpu_seconds(other.pid), time.perf_counter()
        time.sleep(1.0)
        as_ours, as_theirs = ours.others(), theirs.others()
        used = (cpu_seconds(other.pid) - before) / (time.perf_counter() - start) / cores
        other.kill()
    # Whatever else runs here is in both, and gets in the way of the spinning.
    assert as_theirs - as_ours > 0.5 * used - 0.05
    assert as_theirs <= 1.1


def test_a_call_of_seconds_is_not_repeated_more_than_needed(clock):
    result, _, log, _ = contest(clock, 1e-3, 10.0)
    assert result.pairs == 3
    assert sum(calls for name, calls, _ in log if name == "candidate") == 4


def test_no_row_is_used_twice_in_a_block(clock):
    result, _, log, _ = contest(clock, 1e-5, 1e-5, most=20)
    assert result.baseline_calls <= 20
    assert result.candidate_calls <= 20
    assert {calls for _, calls, _ in log} >= {0, 1, 20}


def test_the_interval_that_is_asked_for_is_waited_for(clock):
    import random

    generator = random.Random(3)

    def noise(_):
        return 1e-3 * (1 + 0.1 * generator.random())

    def pairs(narrow):
        log = []
        sides = [Worker(clock, name, log, noise).contestant for name in "ab"]
        found = duel(*sides, 100.0, Load(None), lambda block, seconds: None, narrow)
        middle, low, high = bootstrap_median(found.ratios)
        assert (high - low) / 2 <= narrow * middle
        return len(found.ratios)

    assert pairs(0.005) > pairs(0.1)


@pytest.mark.parametrize(
    ("claims", "words"), [(1.0, ""), (0.01, "less than half"), (40.0, "more time than passed")]
)
def test_a_worker_whose_clock_disagrees_with_the_judges_is_found(clock, claims, words):
    log = []
    own = Worker(clock, "candidate", log, 1e-3)
    own.claims = claims
    eager = Worker(clock, "eager", log, 1e-3)
    compete(eager.contestant, own.contestant, 1.0, Load(None), lambda block, seconds: None)
    assert eager.contestant.clock_complaint() == ""
    complaint = own.contestant.clock_complaint()
    assert words in complaint
    assert bool(complaint) == bool(words)


@pytest.mark.parametrize(("shown", "computed", "wrong"), [(1e-4, 1e-4, False), (1e-6, 1e-3, True)])
def test_a_judge_that_waits_for_a_core_does_not_blame_the_worker(clock, shown, computed, wrong):
    # The worker computes for as long as its clock says; the answer is seen much later. Or it has
    # computed for longer than its clock says.
    used = 0.0

    def run(calls, block, first):
        nonlocal used
        used += calls * computed
        clock.now += calls * 1e-2
        return Block(calls * shown)

    own = Contestant(run, contextlib.nullcontext, thread_seconds=lambda: used)
    eager = Worker(clock, "eager", [], 1e-3)
    duel(eager.contestant, own, 1.0, Load(0.5), lambda block, seconds: None)
    assert own.clock_complaint()
    assert bool(own.clock_complaint(crowded=True)) is wrong


def test_work_that_does_not_grow_with_the_calls_is_not_in_the_slope(clock):
    result, _, _, _ = contest(clock, 1e-3, 1e-3)
    assert result.slope_seconds == pytest.approx(1e-3, rel=0.01)


def test_cold_calls_are_timed_after_a_flush(clock):
    log = []
    sides = []
    for name in ("eager", "candidate"):
        worker = Worker(clock, name, log, 1e-3)
        worker.contestant.flush = lambda name=name: log.append((name, "flush", 0))
        sides.append(worker.contestant)
    result, _ = compete(*sides, 1.0, Load(None), lambda block, seconds: None)
    assert result.cold_ratio.median == pytest.approx(1.0, rel=0.01)
    flushed = [place for place, entry in enumerate(log) if entry[1] == "flush"]
    assert flushed
    assert all(log[place + 1][:2] == (log[place][0], 1) for place in flushed)


# ------------------------------------------------------------------------------ several duels


def made_duel(clock, ratio, others=None):
    sides = [Worker(clock, name, [], 1e-3 * r).contestant for name, r in (("e", ratio), ("c", 1))]
    return duel(*sides, 0.2, Load(others), lambda block, seconds: None)


def test_the_interval_holds_what_differs_from_pair_to_pair(clock):
    duels = [made_duel(clock, ratio) for ratio in (2.0, 2.2, 1.9, 2.1, 2.0)]
    result, noisy = timing_of(duels, 5)
    assert not noisy
    assert result.worker_ratios == pytest.approx((2.0, 2.2, 1.9, 2.1, 2.0), rel=1e-6)
    assert result.ratio.median == pytest.approx(2.037, abs=0.01)
    assert result.ratio.low < 1.95 < 2.13 < result.ratio.high


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_interval_covers_the_long_run_ratio(count):
    # Pairs as far apart as those that were measured, with noise within each besides.
    import random

    generator = random.Random(7)
    hits = 0
    for _ in range(300):
        pairs = []
        for _ in range(count):
            middle = 3.0 * math.exp(generator.gauss(0, PAIR_SPREAD))
            pairs.append([middle * math.exp(generator.gauss(0, 0.02)) for _ in range(15)])
        found = ratio_over_pairs(pairs)
        hits += found.low <= 3.0 <= found.high
    assert hits >= 0.9 * 300


def test_more_pairs_of_workers_make_the_interval_narrower():
    widths = [
        (found.high - found.low) / found.median
        for found in (ratio_over_pairs([[2.0, 2.001, 1.999]] * count) for count in (1, 2, 5, 20))
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.3
    assert widths[-1] < 0.03
    with pytest.raises(ValueError, match="no ratios"):
        ratio_over_pairs([])


def test_disturbed_workers_do_not_count_if_others_are_left(clock):
    duels = [made_duel(clock, 2.0) for _ in range(3)] + [made_duel(clock, 0.2, others=0.5)]
    result, noisy = timing_of(duels, 5)
    assert not noisy
    assert result.ratio.median == pytest.approx(2.0, rel=1e-3)
    assert (len(result.worker_ratios), result.disturbed_workers) == (3, 1)


def test_disturbed_workers_alone_are_noise(clock):
    duels = [made_duel(clock, 0.2, others=0.5) for _ in range(3)]
    result, noisy = timing_of(duels, 5)
    assert noisy
    assert result.other_load == 0.5


def test_it_goes_on_until_there_are_pairs_enough_or_it_is_of_no_use(clock):
    quiet, loud = made_duel(clock, 2.0), made_duel(clock, 2.0, others=0.5)
    assert not is_decided([], 1, 0.01)
    assert is_decided([quiet], 1, 0.01)
    assert is_decided([loud], 1, 0.01)
    assert not is_decided([quiet] * 4, 5, 0.01)
    assert not is_decided([quiet] * 4 + [loud], 5, 0.01)
    assert is_decided([quiet] * 5 + [loud], 5, 0.01)
    assert is_decided([loud] * 3, 5, 0.01)
    # An interval that is narrow already needs no more; two pairs are too few to know.
    assert is_decided([quiet] * 3, 5, 0.2)
    assert not is_decided([quiet] * 2, 5, 0.2)
