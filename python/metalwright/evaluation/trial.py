"""One candidate before the judge: the checks in their order, each of which can end the trial."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from metalwright.errors import Error
from metalwright.evaluation import evidence as explain
from metalwright.evaluation.compare import Finding, compare_metadata, compare_values
from metalwright.evaluation.model import (
    Check,
    Coverage,
    Evidence,
    Flag,
    OutputErrors,
    Roofline,
    Timing,
    Verdict,
    Weights,
)
from metalwright.evaluation.pool import CANDIDATE_SERVICE, Pool
from metalwright.evaluation.process import WorkerError, WorkerFailure, WorkerProcess
from metalwright.evaluation.reference import Draw, Reference
from metalwright.evaluation.session import REDRAWN, Session
from metalwright.evaluation.stress import STRIDED
from metalwright.evaluation.subject import Found, Subject, labelled
from metalwright.evaluation.timed import Timed

# Draws kept for repeating and timing.
_MAX_HELD = 8
_MAX_HELD_BYTES = 256 << 20
# Draws of special inputs end after this, for problems that take seconds per call.
_STRESS_SECONDS = 40.0
# A run with kernels that do nothing may wait for what a kernel should have written.
_GHOST_RUNS = 2
# A wrong kernel is run under the sanitiser if its inputs are small: it is slow.
_SANITIZED = (Verdict.WRONG_VALUES, Verdict.NON_DETERMINISTIC, Verdict.CRASH)
_SANITIZED_BYTES = 256 << 10
# How memory is poisoned before the draws, in turn.
_FILLS = ("", "freed", "all")

Outcome = Literal["passed", "failed", "skipped", "noted"]


class Decided(Exception):
    """The verdict is known; nothing more has to be looked at."""


@dataclass
class Trial:
    """One candidate before the judge, and what has been found so far."""

    session: Session
    source: str
    pool: Pool
    finding: Finding | None = None
    remarks: list[Evidence] = field(default_factory=list)
    errors: dict[str, OutputErrors] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    weights: Weights | None = None
    coverage: Coverage | None = None
    roofline: Roofline | None = None
    timing: Timing | None = None
    flags: list[Flag] = field(default_factory=list)
    held: list[Draw] = field(default_factory=list)
    worker: WorkerProcess | None = None

    def run(self) -> None:
        """Goes through the checks in order; ends early with `Decided`."""
        try:
            with self.subject(self.session.plain) as subject:
                self.worker = subject.worker
                self._base(subject)
                self._special()
                if self.session.settings.timing:
                    self.session.progress("timing")
                    Timed(self, subject).run()
        except Found as found:
            self._end(found.finding)

    def look(self, name: str, outcome: Outcome, note: str = "") -> None:
        """Notes that something was looked at."""
        self.checks.append(Check(name=name, outcome=outcome, note=note))

    # ------------------------------------------------------------------ the problem's own inputs

    def _base(self, subject: Subject) -> None:
        session = self.session
        held_bytes = 0
        first_outputs: list[Any] = []
        for draw in self._draws(subject):
            session.progress(f"inputs {draw.index + 1} of {session.settings.seeds}: candidate")
            actual = subject.call(draw, fill=_FILLS[draw.index % len(_FILLS)])
            self.compare(draw, actual)
            held_bytes += 2 * len(draw.content)
            if not self.held or (len(self.held) < _MAX_HELD and held_bytes <= _MAX_HELD_BYTES):
                self.held.append(draw)
                first_outputs.append(actual)
        self.look("values", "passed", f"{session.settings.seeds} draws of the inputs")
        self._repeat(subject, first_outputs)
        self._look_at_torch(subject)
        # Values that were right do not excuse a candidate that has killed what it runs under.
        with subject.failures("after its calls"):
            subject.worker.fail_if_launcher_died("after its calls")

    def _draws(self, subject: Subject) -> Iterator[Draw]:
        """The session's draws. A reference that dies together with the candidate died of it.

        Both have one parent, and a candidate that kills it takes the reference along: its own reply
        may still arrive before the end of either is seen.
        """
        try:
            yield from self.session.draws()
        except Error as error:
            if error.code == "problem-crashed":
                with subject.failures("between calls"):
                    subject.worker.fail_if_launcher_died("between calls")
            raise

    def _repeat(self, subject: Subject, first_outputs: list[Any]) -> None:
        """Each input a second time, in another order: the outputs must be right, and the same."""
        pairs = list(zip(self.held, first_outputs, strict=True))
        secrets.SystemRandom().shuffle(pairs)
        varies = 0
        for draw, first in pairs:
            actual = subject.call(draw, fill="freed")
            _, finding = compare_values(draw.wanted, actual, draw.index)
            if finding is not None:
                update = {
                    "check": "repeated",
                    "message": "right at first, wrong when called again with the same inputs: "
                    + finding.evidence.message,
                }
                evidence = finding.evidence.model_copy(update=update)
                raise Found(Finding(Verdict.NON_DETERMINISTIC, evidence))
            varies += not _identical(first, actual)
        note = f"{len(pairs)} inputs again, in another order"
        if varies:
            note += f"; {varies} outputs differ in rounding"
        self.look("repeated", "noted" if varies else "passed", note)

    def _look_at_torch(self, subject: Subject) -> None:
        said = subject.ask("state", "torch's settings are read")
        changed = said.get("changed") if isinstance(said, dict) else None
        lines = [str(line)[:200] for line in changed] if isinstance(changed, list) else []
        if lines:
            message = f"the candidate has changed torch's global settings: {'; '.join(lines[:5])}"
            evidence = Evidence(check="global-state", message=message)
            raise Found(Finding(Verdict.MUTATES_INPUTS, evidence))
        self.look("global-state", "passed")

    # ------------------------------------------------------------------ special inputs

    def _special(self) -> None:
        """What is tried in a second worker: weights, inputs and sizes that nobody has seen."""
        settings = self.session.settings
        if not settings.adversarial:
            self.look("adversarial inputs", "skipped", "by request")
        if not settings.adversarial and not settings.held_out:
            return
        with contextlib.ExitStack() as stack:
            try:
                reference = self.session.redrawn
            except Error as error:
                note = f"the reference fails with other weights: {error.message.splitlines()[0]}"
                self.look("re-drawn weights", "skipped", note)
                reference = self.session.plain
            subject = stack.enter_context(self.subject(reference))
            base = self._stress(subject) if settings.adversarial else []
            base = base or self.held[:1]
            if reference is self.session.plain or not settings.adversarial:
                base = []
            self._cover(subject, base, reference)
            # From here on nothing decides the verdict: the candidate may break what it runs in.
            if not subject.alive:
                subject = self._another(stack, reference)
            if settings.adversarial:
                self._strided(subject)
            if settings.held_out:
                self._resized(subject if subject.alive else self._another(stack, reference))

    def _stress(self, subject: Subject) -> list[Draw]:
        """Extreme inputs under re-drawn weights; returns the draws of ordinary inputs."""
        plain = []
        tried = []
        end = time.monotonic() + _STRESS_SECONDS
        for draw in self.session.stress_draws():
            self.session.progress(f"inputs: {draw.label}")
            actual = subject.call(draw, fill="freed")
            self.compare(draw, actual, merge=draw.label == REDRAWN)
            tried.append(draw.label)
            if draw.label == REDRAWN:
                plain.append(draw)
            if time.monotonic() > end:
                self.look("adversarial inputs", "skipped", "the others: a call takes too long")
                break
        for label in dict.fromkeys(tried):
            self.look(f"inputs: {label}", "passed")
        for label, reason in self.session.skipped.items():
            self.look(f"inputs: {label}", "skipped", reason)
        return plain

    def _cover(self, subject: Subject, draws: list[Draw], reference: Reference) -> None:
        """Which work is done by whom; and whether the kernels are needed at all."""
        needed = not draws
        ghost = "" if draws else "not tried: there are no re-drawn weights"
        answered = ""
        for draw in draws[:_GHOST_RUNS]:
            inputs, output = subject.folder / "inputs", subject.folder / "output"
            inputs.write_bytes(draw.content)
            given = {"inputs": str(inputs), "layout": draw.layout, "seed": draw.call_seed}
            said = subject.ask("cover", "calling ModelNew", draw, **given)
            self.coverage = explain.read_coverage(said)
            if not self.coverage.kernels:
                needed, ghost = True, "no kernel to leave out"
                break
            try:
                said = subject.ask(
                    "ghost", "calling ModelNew without kernels", draw, **given, output=str(output)
                )
                answered = explain.read_answer(said) or answered
                actual = subject.read(output, said, draw)
                finding = compare_metadata(draw.expected, actual, 0)
                if finding is None:
                    _, finding = compare_values(draw.wanted, actual, 0)
                needed = needed or finding is not None
                ghost = "wrong without the kernels" if needed else "right without the kernels"
            except Found as found:
                # It noticed, or waited for what never came: it does need them.
                needed, ghost = True, f"without the kernels: {found.finding.evidence.message}"[:300]
            if not subject.alive:
                break
        if self.coverage is not None:
            update = {"ghost": ghost, "answered_by": answered}
            self.coverage = self.coverage.model_copy(update=update)
            if not self.coverage.kernels or answered:
                self.flags.append(Flag.LIBRARY_ONLY)
        if not needed:
            message = "the outputs are as right when the candidate's kernels do nothing"
            evidence = Evidence(check="ghost", message=message)
            raise Found(Finding(Verdict.UNUSED_KERNELS, evidence))
        self.look("ghost run", "passed" if draws else "skipped", ghost)

    def _another(self, stack: contextlib.ExitStack, reference: Reference) -> Subject:
        return stack.enter_context(self.subject(reference))

    def _strided(self, subject: Subject) -> None:
        draw = self.session.strided_draw()
        if draw is None:
            self.look(f"inputs: {STRIDED}", "skipped", self.session.skipped[STRIDED])
            return
        found = self._try(subject, [draw], gaps=True)
        if found is None:
            self.look(f"inputs: {STRIDED}", "passed")
            return
        self.flags.append(Flag.CONTIGUOUS_ONLY)
        self.remarks.append(found)
        self.look(f"inputs: {STRIDED}", "noted", found.message[:300])

    def _resized(self, subject: Subject) -> None:
        draws = list(self.session.resized_draws())
        if not draws:
            self.look("held-out sizes", "skipped", "no constant feeds the inputs alone")
            return
        labels = "; ".join(draw.label for draw in draws)
        found = self._try(subject, draws)
        if found is None:
            self.look("held-out sizes", "passed", labels)
            return
        self.flags.append(Flag.SHAPE_SPECIALISED)
        self.remarks.append(found)
        self.look("held-out sizes", "noted", f"{found.inputs}: {found.message}"[:300])

    def _try(self, subject: Subject, draws: list[Draw], *, gaps: bool = False) -> Evidence | None:
        """What goes wrong on draws that do not decide the verdict."""
        try:
            for draw in draws:
                self.compare(draw, subject.call(draw, gaps=gaps, fill="freed"), merge=False)
        except Found as found:
            return found.finding.evidence
        return None

    def sanitize(self) -> tuple[str, ...]:
        """Findings of the sanitiser on the first inputs, after a verdict that a kernel may be the
        reason of; or why there are none.
        """
        finding, session = self.finding, self.session
        if finding is None or finding.verdict not in _SANITIZED:
            return ()
        if session.settings.device != "cpu":
            return ("not run: it is for the cpu device",)
        try:
            draw = session.plain.draw(0)
            if len(draw.content) > _SANITIZED_BYTES:
                return ("not run: the inputs are too large; make the problem smaller with --set",)
            with self.subject(session.plain, checked=True) as subject:
                with contextlib.suppress(Found):
                    subject.call(draw)
                said = subject.ask("findings", "the sanitiser reports")
        except Found as found:
            return (f"not finished: {found.finding.evidence.message}"[:300],)
        except Error as error:
            return (f"not run: {error.message}"[:300],)
        lines = said.get("findings") if isinstance(said, dict) else None
        return tuple(str(line)[:800] for line in lines[:20]) if isinstance(lines, list) else ()

    # ------------------------------------------------------------------ helpers

    @contextlib.contextmanager
    def subject(self, reference: Reference, *, checked: bool = False) -> Iterator[Subject]:
        """A worker with the candidate, its weights those of the reference."""
        session = self.session
        with contextlib.ExitStack() as stack:
            try:
                room = stack.enter_context(self.pool.room(CANDIDATE_SERVICE))
            except (WorkerFailure, WorkerError) as failure:
                message = f"no worker could be started: {failure}"
                evidence = Evidence(check="device", message=message)
                raise Found(Finding(Verdict.CRASH, evidence)) from None
            subject = Subject(session.settings, room)
            if self.worker is None:
                self.worker = room.worker
                session.progress("loading the candidate")
            if checked:
                subject.begin_checking()
            subject.load(self.source)
            weights = subject.build(reference)
            self.weights = self.weights or weights
            # The next one, for this candidate or another, gets ready meanwhile.
            self.pool.prepare(CANDIDATE_SERVICE)
            yield subject

    def compare(self, draw: Draw, actual: Any, *, merge: bool = True) -> None:
        """Whether the candidate's output is right; raises `Found` if it is not."""
        measured, finding = compare_values(draw.wanted, actual, draw.index)
        for errors in measured if merge else ():
            old = self.errors.get(errors.output)
            self.errors[errors.output] = errors if old is None else explain.worse_of(old, errors)
        if finding is not None:
            raise Found(labelled(finding, draw))

    def _end(self, finding: Finding) -> None:
        self.finding = finding
        self.look(finding.evidence.check, "failed", finding.evidence.message[:300])
        raise Decided


def _identical(left: Any, right: Any) -> bool:
    from metalwright.evaluation.exchange import tensors_of

    pairs = zip(tensors_of(left, "o"), tensors_of(right, "o"), strict=True)
    return all(
        a.shape == b.shape and a.contiguous().view(-1).equal(b.contiguous().view(-1))
        for (_, a), (_, b) in pairs
    )
