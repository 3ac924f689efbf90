"""Timing two workers against each other: blocks of calls in turn, on the judge's own clock.

A duel is one pair of workers; a timing is made of several duels (`pairs` says why).
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from metalwright.evaluation.machine_load import MachineLoad
from metalwright.evaluation.model import Interval, Timing
from metalwright.evaluation.pairs import ratio_over_pairs
from metalwright.scoring import bootstrap_median

# A block lasts about this long, so that the round trip to the worker (about 0.1 ms, measured and
# subtracted) is a small part of it.
_BLOCK_SECONDS = 0.01
_MAX_CALLS = 10_000
_GROWTH = 8
_WARM_UP_BLOCKS = 6
_LONG_CALL = 0.1
_MIN_PAIRS = 7
_MAX_PAIRS = 400
_MIN_SLOW_PAIRS = 3
LOOKED_AT = 12
"""Among so many of the first blocks those are drawn whose outputs are compared: so many there are,
whatever the budget, unless calls take seconds."""
_SLOW_SECONDS = 2.0
_MIN_DUELS = 3
# Half the interval's width as a share of the ratio: above this it is noise, in one duel and over
# all. What differs between workers is no noise, but says little either if it is that much.
_NOISY, _NOISY_OVER_ALL = 0.10, 0.30
_PATIENCE = 4
_COLD_PAIRS = 7
_COLD_BUDGET = 0.5
# The clocks of the judge and of the worker may differ by this, and by the round trip.
_CLOCK_SHARE = 0.5
_CLOCK_SECONDS = 0.003
_CLOCK_BLOCKS = 0.75
# The share of the cores that other programs may use.
_CROWDED = 0.05


@dataclass(frozen=True)
class Block:
    """What a worker says about a block it has run."""

    worker_seconds: float
    device_seconds: float | None = None
    dispatches: int = 0
    thread_seconds: float | None = None
    """CPU time of the worker's main thread meanwhile, which the judge has looked up."""


def _nothing(rows: int) -> None:
    del rows


@dataclass
class Contestant:
    """One side. `run(calls, block, first)` has the worker call its module on so many of the rows
    that `stage(rows)` has given it, from the first on.

    `awake` is entered around each block; outside of it the side must not use the machine.
    """

    run: Callable[[int, int, int], Block]
    awake: Callable[[], AbstractContextManager[object]]
    stage: Callable[[int], None] = _nothing
    flush: Callable[[], None] | None = None
    """Empties the caches."""
    thread_seconds: Callable[[], float | None] = lambda: None
    """CPU time of the worker's main thread so far; None where nobody tells."""
    most: int = _MAX_CALLS
    """Calls per block, one less than the rows that can be staged."""
    calls: int = 1
    fastest: float = math.inf
    overhead: float = 0.0
    wall: list[float] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of whole blocks, as the judge saw them."""

    def measure(self, calls: int, block: int, warm: bool = True) -> tuple[float, Block]:
        """Runs one block; returns the seconds the judge saw, and the worker's word."""
        with self.awake():
            self.stage(calls + warm)
            # One call beforehand wakes threads and fills caches, or short blocks would look slow.
            if warm:
                self.run(1, block, calls)
            before = self.thread_seconds()
            start = time.perf_counter()
            said = self.run(calls, block, 0)
            seconds = time.perf_counter() - start
            after = self.thread_seconds()
        if before is not None and after is not None:
            said = dataclasses.replace(said, thread_seconds=after - before)
        return seconds, said

    def prepare(self, budget: float) -> None:
        """Warms up, measures the empty round trip, and chooses how many calls make a block.

        Warming up ends early when it has taken `budget` seconds.
        """
        # The least, not the median: what is subtracted must never be more than was spent.
        self.overhead = min(self.measure(0, 0, warm=False)[0] for _ in range(5))
        start = time.perf_counter()
        for block in range(_WARM_UP_BLOCKS):
            seconds, _ = self.measure(self.calls, block, warm=False)
            self.fastest = min(self.fastest, seconds / self.calls)
            wanted = min(max(1, round(_BLOCK_SECONDS / self.fastest)), self.most)
            self.calls = min(wanted, _GROWTH * self.calls)
            if time.perf_counter() - start > budget:
                break

    def sample(self, block: int) -> float:
        """Runs one block that counts; returns the seconds per call."""
        # A call that takes long enough has no need of another one that wakes its threads.
        seconds, said = self.measure(self.calls, block, self.fastest < _LONG_CALL)
        per_call = max(seconds - self.overhead, seconds / 2) / self.calls
        self.wall.append(per_call)
        self.blocks.append(said)
        self.seconds.append(seconds)
        return per_call

    def cold(self) -> float:
        """Seconds of one call whose data are in no cache."""
        assert self.flush is not None
        with self.awake():
            self.stage(1)
            self.flush()
            start = time.perf_counter()
            self.run(1, 0, 0)
            seconds = time.perf_counter() - start
        return max(seconds - self.overhead, seconds / 2)

    def slope(self) -> float | None:
        """Seconds per call from blocks of N and 2N calls: what does not depend on N is no part."""
        half = self.calls // 2
        if half < 1:
            return None
        least = {
            calls: min(self.measure(calls, 0)[0] for _ in range(3)) for calls in (half, 2 * half)
        }
        return (least[2 * half] - least[half]) / half

    def clock_complaint(self, crowded: bool = False) -> str:
        """What is wrong with the clocks on the worker's side; empty: nothing that can be seen.

        On a `crowded` machine the judge itself may have waited for a core long after the answer. A
        worker's clock is then wrong only if it shows less than the worker has computed.
        """
        slow = fast = busy = 0
        for seconds, block in zip(self.seconds, self.blocks, strict=True):
            spent = seconds - self.overhead
            missing = spent - block.worker_seconds
            computed = block.thread_seconds
            late = crowded and (computed is None or block.worker_seconds > _CLOCK_SHARE * computed)
            slow += not late and missing > _CLOCK_SHARE * spent + _CLOCK_SECONDS
            fast += block.worker_seconds > 1.1 * seconds + _CLOCK_SECONDS
            device = block.device_seconds or 0.0
            busy += device > 1.5 * seconds + _CLOCK_SECONDS
        most = _CLOCK_BLOCKS * len(self.blocks)
        if slow > most:
            return "the worker's clock shows less than half of the time that passed"
        if fast > most:
            return "the worker's clock shows more time than passed"
        if busy > most:
            return "the device's clock shows more time than passed"
        return ""


@dataclass
class Duel:
    """One pair of workers, timed against each other."""

    baseline: Contestant
    candidate: Contestant
    ratios: list[float] = field(default_factory=list)
    others: float | None = None
    """The share of the cores that other programs used meanwhile."""
    cold: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of cold calls of both sides."""
    slope: float | None = None

    @property
    def crowded(self) -> bool:
        """Whether others used so much of the machine that the figures mean nothing."""
        return self.others is not None and self.others > _CROWDED

    @property
    def unsteady(self) -> bool:
        """Whether its ratios agree too little, or are too few, to have a middle."""
        return len(self.ratios) < _MIN_PAIRS or _spread(self.ratios) > _NOISY


def duel(
    baseline: Contestant,
    candidate: Contestant,
    budget: float,
    load: MachineLoad,
    after_block: Callable[[int, float], None],
    narrow: float = 0.01,
    cold_pairs: int = _COLD_PAIRS,
) -> Duel:
    """Times both in turn until half the interval of the ratio is below `narrow` of the ratio, or
    `budget` seconds are spent; while the ratio is noise, up to `_PATIENCE` times as long.

    `after_block` is told the number of each of the candidate's blocks that counted and how long it
    took.
    """
    result = Duel(baseline, candidate)
    ratios = result.ratios
    baseline.prepare(budget / 4)
    candidate.prepare(budget / 4)
    load.start()
    start = time.perf_counter()
    next_look = _MIN_PAIRS
    while len(ratios) < _MAX_PAIRS:
        # A B, then B A: what drifts over time hits both sides alike.
        number = len(ratios)
        if number % 2 == 0:
            eager = baseline.sample(number)
            own = candidate.sample(number)
        else:
            own = candidate.sample(number)
            eager = baseline.sample(number)
        after_block(number, candidate.seconds[-1])
        ratios.append(eager / own)
        late = time.perf_counter() - start
        if len(ratios) < next_look and late <= budget:
            continue
        # The bootstrap takes milliseconds: not after every pair.
        next_look = round(1.2 * len(ratios)) + 1
        spread = _spread(ratios)
        if len(ratios) >= _MIN_PAIRS and spread < narrow:
            break
        if len(ratios) < (_MIN_SLOW_PAIRS if late > _SLOW_SECONDS else LOOKED_AT):
            continue
        if late > budget:
            others = load.others()
            if spread <= _NOISY or (others is not None and others > _CROWDED):
                break
        if late > _PATIENCE * budget:
            break
    result.others = load.others()
    result.cold = _cold(baseline, candidate, cold_pairs)
    result.slope = candidate.slope()
    return result


def is_decided(duels: Sequence[Duel], wanted: int, narrow: float) -> bool:
    """Whether there are duels enough: so many on a quiet machine, or a narrow interval of three.

    On a machine that others keep busy they never are, and it is no use to wait for long.
    """
    quiet = [one for one in duels if not one.crowded]
    if len(quiet) >= wanted or len(duels) - len(quiet) > wanted // 2:
        return True
    return len(quiet) >= _MIN_DUELS and _width([one.ratios for one in quiet]) < narrow


def timing_of(duels: Sequence[Duel], wanted: int) -> tuple[Timing, bool]:
    """The figures of all duels together, and whether they are too noisy to mean much.

    Those that others have disturbed do not count, if enough of the rest are left.
    """
    quiet = [one for one in duels if not one.crowded]
    used = quiet if 2 * len(quiet) >= wanted else list(duels)
    noisy = (
        used is not quiet
        or 2 * sum(one.unsteady for one in used) > len(used)
        or _width([one.ratios for one in used]) > _NOISY_OVER_ALL
    )
    shares = [one.others for one in used if one.others is not None]
    cold = [pair for one in used for pair in one.cold]
    last = used[-1]
    blocks = [(block, one.candidate.calls) for one in used for block in one.candidate.blocks]
    device = [
        block.device_seconds / calls for block, calls in blocks if block.device_seconds is not None
    ]
    return (
        Timing(
            baseline="eager",
            baseline_seconds=_interval([t for one in used for t in one.baseline.wall]),
            candidate_seconds=_interval([t for one in used for t in one.candidate.wall]),
            ratio=ratio_over_pairs([one.ratios for one in used]),
            pair_ratios=tuple(float(f"{ratio:.4g}") for one in used for ratio in one.ratios),
            device_seconds=statistics.median(device) if device else None,
            dispatches=statistics.median(block.dispatches / calls for block, calls in blocks),
            worker_seconds=statistics.median(
                block.worker_seconds / calls for block, calls in blocks
            ),
            overhead_seconds=last.candidate.overhead,
            other_load=statistics.fmean(shares) if shares else None,
            pairs=sum(len(one.ratios) for one in used),
            worker_ratios=tuple(statistics.median(one.ratios) for one in used),
            disturbed_workers=len(duels) - len(used),
            baseline_calls=last.baseline.calls,
            candidate_calls=last.candidate.calls,
            cold_ratio=_interval([a / b for a, b in cold]) if cold else None,
            cold_seconds=_interval([b for _, b in cold]) if cold else None,
            slope_seconds=last.slope,
        ),
        noisy,
    )


def cold_pairs_of(budget: float, duels: int) -> int:
    """How many pairs of cold calls each of so many duels makes; none if there is no time."""
    return -(-_COLD_PAIRS // duels) if budget >= _COLD_BUDGET else 0


def _cold(baseline: Contestant, candidate: Contestant, pairs: int) -> list[tuple[float, float]]:
    """Pairs of cold calls; none where there is no way to flush."""
    if baseline.flush is None or candidate.flush is None:
        return []
    return [(baseline.cold(), candidate.cold()) for _ in range(pairs)]


def _interval(samples: list[float]) -> Interval:
    median, low, high = bootstrap_median(samples)
    return Interval(median=median, low=low, high=high)


def _spread(ratios: list[float]) -> float:
    median, low, high = bootstrap_median(ratios)
    return (high - low) / 2 / median


def _width(pairs: list[list[float]]) -> float:
    found = ratio_over_pairs(pairs)
    return (found.high - found.low) / 2 / found.median
