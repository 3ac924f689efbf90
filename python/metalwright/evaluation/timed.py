"""Timing a candidate: the baselines, fresh inputs for each call, and a look at what came of it."""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metalwright.errors import Error
from metalwright.evaluation import baselines as cached
from metalwright.evaluation import evidence as explain
from metalwright.evaluation.compare import Finding, compare_metadata, compare_values
from metalwright.evaluation.exchange import check_layout, load_copied, tensors_of
from metalwright.evaluation.machine_load import MachineLoad
from metalwright.evaluation.model import Baseline, Evidence, Flag, Interval, Timing, Verdict
from metalwright.evaluation.pool import BASELINE_SERVICE, Room
from metalwright.evaluation.process import START_SECONDS, WorkerProcess
from metalwright.evaluation.reference import Draw
from metalwright.evaluation.roofline import look_at_roofline
from metalwright.evaluation.rows import Row, RowMaker, write_rows
from metalwright.evaluation.subject import Found, Subject
from metalwright.evaluation.timing import (
    LOOKED_AT,
    Block,
    Contestant,
    Duel,
    cold_pairs_of,
    duel,
    is_decided,
    timing_of,
)

if TYPE_CHECKING:
    from metalwright.evaluation.trial import Trial

# A pair of workers is timed for about so long; and what is planned for all may be exceeded by.
_DUEL_SECONDS, _PATIENCE = 0.4, 2.0
# How many timed blocks have an output looked at.
_CHECKED = 4
# Work that goes on after the answer: OpenMP's threads spin for up to ten milliseconds, no longer.
_SETTLE_SECONDS, _WATCH_SECONDS, _BUSY_SHARE = 0.04, 0.05, 0.6
_WATCHES = 3
# An output that is read takes as long the first time as the second, if it was there.
_LATE_SECONDS, _LATE_SHARE = 0.02, 0.5


class Timed:
    """One timing of one candidate."""

    def __init__(self, trial: Trial, subject: Subject) -> None:
        self._trial = trial
        self._session = trial.session
        self._subject = subject
        outputs = trial.held[0].expected
        size = sum(value.nbytes for _, value in tensors_of(outputs, "output"))
        self._maker = RowMaker(trial.held, size)
        self._rows: list[Row] = []
        self._late = 0
        self._looked = 0

    def run(self) -> None:
        """Times the candidate; what is found goes to the trial.

        Raises:
            Found: a timed output is wrong, or the clocks disagree.
            Error: the reference fails.
        """
        self._try_rotation()
        timing = self._headline(self._against_eager())
        self._trial.timing = timing
        roofline = look_at_roofline(self._session, timing)
        if roofline is not None:
            self._trial.roofline, beyond = roofline
            if beyond:
                self._trial.flags.append(Flag.BEYOND_ROOFLINE)

    # ------------------------------------------------------------------ the two sides

    @contextlib.contextmanager
    def _baseline(self, kind: str) -> Iterator[Room]:
        """A worker that runs the reference, taken through all that the candidate's has gone."""
        session = self._session
        with contextlib.ExitStack() as stack:
            with session.failures("starting the baseline"):
                room = stack.enter_context(self._trial.pool.room(BASELINE_SERVICE))
            self._prepare(room, kind)
            yield room

    def _prepare(self, room: Room, kind: str) -> None:
        session, worker, folder = self._session, room.worker, room.folder
        # Compiling is no step of anyone's.
        deadline = session.settings.deadline + (START_SECONDS if kind == "compile" else 0)

        def ask(command: str, doing: str, **arguments: Any) -> Any:
            with session.failures(doing):
                return worker.request(command, deadline, doing, **arguments)

        device = session.settings.device
        problem = str(room.give(session.problem_folder))
        ask("warm", "the device is tested", device=device)
        ask("load", "importing the problem's file", folder=problem, device=device, kind=kind)
        given = {path: str(room.give(path)) for path in session.plain.readable}
        ask("build", "constructing Model", **session.plain.build_arguments(given))
        inputs, output = folder / "inputs", folder / "output"
        for draw in self._trial.held:
            inputs.write_bytes(draw.content)
            reply = ask(
                "call",
                "the reference runs",
                inputs=str(inputs),
                layout=draw.layout,
                seed=draw.call_seed,
                output=str(output),
            )
            if kind != "eager":
                self._verify_baseline(draw, reply, output, kind)

    def _verify_baseline(self, draw: Draw, reply: Any, output: Path, kind: str) -> None:
        layout = check_layout(reply.get("layout"), self._session.settings.memory_limit)
        actual = load_copied(output, layout)
        wrong = compare_metadata(draw.expected, actual, draw.index)
        if wrong is None:
            _, wrong = compare_values(draw.wanted, actual, draw.index)
        if wrong is not None:
            raise _WrongBaseline(f"{kind} gives wrong outputs: {wrong.evidence.message}")

    def _side(self, worker: WorkerProcess, folder: Path, ask: Any) -> Contestant:
        """A contestant whose requests go through `ask(command, doing, **arguments)`."""
        rows, layout = folder / "rows", self._maker.layout

        def stage(count: int) -> None:
            write_rows(rows, layout, self._rows[:count])
            arguments = {"path": str(rows), "layout": layout, "rows": count}
            ask("stage", "inputs are staged", **arguments)

        def run(calls: int, block: int, first: int) -> Block:
            said = ask("time", "it is timed", first=first, calls=calls, seed=block)
            return explain.read_block(said)

        def flush() -> None:
            ask("flush", "caches are emptied")

        most = max(1, self._maker.most)
        return Contestant(run, worker.awake, stage, flush, worker.main_thread_seconds, most)

    def _against_eager(self) -> Timing:
        """Times the candidate against eager, over several pairs of fresh workers."""
        settings = self._session.settings
        budget = settings.timing_seconds
        most = max(1, min(settings.worker_pairs, round(budget / _DUEL_SECONDS)))
        wanted = most
        # What is looked at after a duel costs a tenth of a second: in the first and in another one.
        watched = {0, secrets.randbelow(most)}
        duels: list[Duel] = []
        while not is_decided(duels, wanted, settings.interval):
            number = len(duels)
            with self._opponent(number) as subject, self._baseline("eager") as room:
                start = time.perf_counter()
                # A cold call needs no time that is worth counting; a slow one is not made.
                cold = cold_pairs_of(budget, most)
                duels.append(self._duel(subject, room, budget / most, cold, number in watched))
                if not number:
                    # Calls that take long leave time for fewer pairs of workers.
                    taken = time.perf_counter() - start
                    wanted = min(most, max(2, math.ceil(_PATIENCE * budget / taken)))
        self._trial.look("clock agreement", "passed")
        timing, noisy = timing_of(duels, wanted)
        if noisy:
            self._trial.flags.append(Flag.NOISY_TIMING)
        return timing

    @contextlib.contextmanager
    def _opponent(self, number: int) -> Iterator[Subject]:
        """The candidate in a worker: the one that was judged, then fresh ones."""
        trial = self._trial
        trial.pool.prepare(BASELINE_SERVICE)
        if not number:
            yield self._subject
            return
        with self._subject.worker.asleep(), trial.subject(self._session.plain) as subject:
            for draw in trial.held:
                trial.compare(draw, subject.call(draw))
            yield subject

    def _duel(self, subject: Subject, room: Room, budget: float, cold: int, watched: bool) -> Duel:
        """Times a worker with the candidate against one with the baseline.

        Raises:
            Found: a timed output is wrong, or the clocks disagree.
        """
        session = self._session
        baseline, deadline = room.worker, session.settings.deadline

        def ask_baseline(command: str, doing: str, **arguments: Any) -> Any:
            with session.failures(doing):
                return baseline.request(command, deadline, doing, **arguments)

        own = self._side(subject.worker, subject.folder, subject.ask)
        eager = self._side(baseline, room.folder, ask_baseline)
        self._fresh_rows()
        self._trial.pool.settle()
        load = MachineLoad([baseline.machine_seconds, subject.worker.machine_seconds])
        checked = {secrets.randbelow(LOOKED_AT) for _ in range(_CHECKED if watched else 1)}
        if watched:
            checked.add(0)
        self._late = self._looked = 0

        def after_block(block: int, seconds: float) -> None:
            if block in checked:
                self._look(subject, own, seconds)
            self._fresh_rows()

        with session.asleep(), baseline.asleep(), subject.worker.asleep():
            result = duel(*(eager, own, budget, load, after_block, session.settings.interval, cold))
            complaint = own.clock_complaint(result.crowded)
            if not result.crowded:
                # Others can make an output late, and keep threads spinning that would have ended.
                complaint = complaint or self._late_complaint()
            if watched and not complaint:
                complaint = self._watch_idle(subject, own)
        if complaint:
            evidence = Evidence(check="clock", message=complaint)
            raise Found(Finding(Verdict.CLOCK_MISMATCH, evidence))
        return result

    def _fresh_rows(self) -> None:
        """Makes the rows of the next pair of blocks: the same for both sides."""
        self._rows = self._maker.make(self._maker.most + 1)

    # ------------------------------------------------------------------ looking at what is timed

    def _try_rotation(self) -> None:
        """Whether the reference takes rotated inputs as well."""
        session, maker = self._session, self._maker
        if maker.rotates:
            (row,) = maker.make(1)
            try:
                rotated = session.plain.expect(row.draw, row.content(), row.draw.call_seed)
                measured, _ = compare_values(rotated.wanted, rotated.expected, 0)
                maker.rotates = not any(
                    errors.unjudged > before.unjudged
                    for errors, before in zip(measured, self._trial.errors.values(), strict=False)
                )
            except Error:
                maker.rotates = False
            if not maker.rotates:
                # The failed call may have ended the reference's worker; its next use says so.
                note = "inputs repeat: the reference takes no rotated ones"
                self._trial.look("fresh inputs", "noted", note)
                return
        note = "a new rotation for each call" if maker.rotates else "inputs repeat: no floats"
        self._trial.look("fresh inputs", "passed" if maker.rotates else "noted", note)

    def _look(self, subject: Subject, own: Contestant, seconds: float) -> None:
        """An output of the block just timed must be right as well, and have been there in time."""
        if self._session.is_random:
            return
        index = secrets.randbelow(own.calls)
        row = self._rows[index]
        path = subject.folder / "timed"
        times = []
        with subject.worker.awake():
            for _ in range(2):
                start = time.perf_counter()
                said = subject.ask(
                    "fetch", "a timed output is read", row.draw, index=index, output=str(path)
                )
                times.append(time.perf_counter() - start)
        self._looked += 1
        self._late += times[0] - times[1] > _LATE_SHARE * seconds + _LATE_SECONDS
        actual = subject.read(path, said, row.draw)
        with self._session.plain.awake():
            expected = self._session.plain.expect(row.draw, row.content(), row.draw.call_seed)
        finding = compare_metadata(expected.expected, actual, row.draw.index)
        if finding is None:
            _, finding = compare_values(expected.wanted, actual, row.draw.index)
        if finding is not None:
            update = {"check": "timed-" + finding.evidence.check, "inputs": "timed"}
            evidence = finding.evidence.model_copy(update={**update, "seed_index": None})
            raise Found(Finding(finding.verdict, evidence))

    def _late_complaint(self) -> str:
        if self._looked >= 2 and self._late > 0.75 * self._looked:
            return "timed outputs were not there when the call had returned"
        return ""

    def _watch_idle(self, subject: Subject, own: Contestant) -> str:
        """After its answer a worker has nothing to do: whether it uses the processor."""
        busy = 0
        worker = subject.worker
        for _ in range(_WATCHES):
            with worker.awake():
                own.stage(own.calls)
                own.run(own.calls, 0, 0)
                time.sleep(_SETTLE_SECONDS)
                before = worker.busy_seconds()
                time.sleep(_WATCH_SECONDS)
                busy += worker.busy_seconds() - before > _BUSY_SHARE * _WATCH_SECONDS
            if not busy:
                return ""
        if busy < _WATCHES:
            return ""
        return "the candidate goes on working after it has answered"

    # ------------------------------------------------------------------ other baselines

    def _headline(self, timing: Timing) -> Timing:
        """The ratio against the fastest correct baseline."""
        others = [
            self._measured(name)
            for name in dict.fromkeys(self._session.settings.baselines)
            if name != "eager"
        ]
        best, speedup = "eager", timing.ratio
        for other in others:
            if other.correct and other.ratio is not None and other.ratio.median > 1:
                against = _divided(timing.ratio, other.ratio)
                if against.median < speedup.median:
                    best, speedup = other.name, against
        update = {"baselines": tuple(others), "best_baseline": best, "speedup": speedup}
        return timing.model_copy(update=update)

    def _measured(self, kind: str) -> Baseline:
        """A baseline against eager: from the cache, or measured now."""
        key = cached.key_of(self._session.problem, self._session.settings, self._maker.layout, kind)
        found = cached.read(key)
        if found is not None:
            return found
        self._session.progress(f"baseline: {kind}")
        with contextlib.ExitStack() as stack:
            try:
                other = stack.enter_context(self._baseline(kind))
            except (_WrongBaseline, Error) as error:
                result = Baseline(name=kind, correct=False, reason=str(error).splitlines()[0][:300])
                cached.write(key, result)
                return result
            eager = stack.enter_context(self._baseline("eager"))
            timing, noisy = timing_of([self._compare_baselines(eager, other)], 1)
        result = Baseline(
            name=kind, correct=True, seconds=timing.candidate_seconds, ratio=timing.ratio
        )
        if noisy:
            return result.model_copy(update={"reason": "timed too unsteadily to be kept"})
        cached.write(key, result)
        return result

    def _compare_baselines(self, eager: Room, other: Room) -> Duel:
        session = self._session
        deadline = session.settings.deadline + START_SECONDS

        def side(room: Room) -> Contestant:
            def ask(command: str, doing: str, **arguments: Any) -> Any:
                with session.failures(doing):
                    return room.worker.request(command, deadline, doing, **arguments)

            return self._side(room.worker, room.folder, ask)

        sides = side(eager), side(other)
        self._fresh_rows()
        self._trial.pool.settle()
        load = MachineLoad([eager.worker.machine_seconds, other.worker.machine_seconds])

        def next_rows(block: int, seconds: float) -> None:
            self._fresh_rows()

        budget = session.settings.timing_seconds
        with (
            session.asleep(),
            self._subject.worker.asleep(),
            eager.worker.asleep(),
            other.worker.asleep(),
        ):
            return duel(*sides, budget, load, next_rows, cold_pairs=cold_pairs_of(budget, 1))


class _WrongBaseline(Exception):
    """A baseline whose outputs are wrong is none."""


def _divided(left: Interval, right: Interval) -> Interval:
    """A ratio of ratios; the interval is the widest that the two allow."""
    return Interval(
        median=left.median / right.median, low=left.low / right.high, high=left.high / right.low
    )
