"""A second opinion: every candidate of a run judged again, from its files alone, with new seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from metalwright.errors import Error
from metalwright.evaluation.judge import Judge, problem_error
from metalwright.evaluation.model import SAME_SPEED, Evaluation, Flag, Settings
from metalwright.problems import Problem


@dataclass(frozen=True)
class Stored:
    """A candidate as a run has it."""

    problem: str
    attempt: int
    source: str
    evaluation: Evaluation


@dataclass(frozen=True)
class Audited:
    """Both opinions on one candidate."""

    stored: Stored
    now: Evaluation

    @property
    def changes(self) -> tuple[str, ...]:
        """What is not as it was; empty: the claim is confirmed."""
        return tuple(changes(self.stored.evaluation, self.now))


def audit(
    candidates: Iterator[Stored],
    problem_of: Callable[[str], Problem],
    settings: Settings,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Audited]:
    """Judges the candidates again, in the order in which they come.

    Raises:
        Error: ``no-such-device``; those of `problem_of`.
    """
    with Judge(settings) as judge:
        for stored in candidates:
            problem = problem_of(stored.problem)
            progress(f"{stored.problem}, attempt {stored.attempt}")
            try:
                with judge.open(problem) as session:
                    now = judge.evaluate(session, stored.source)
            except Error as error:
                now = problem_error(problem, error, settings, judge.device)
            yield Audited(stored, now)


def changes(before: Evaluation, now: Evaluation) -> Iterator[str]:
    """Verdict, flags that say something of the candidate, and the ratio, where both have one."""
    if before.verdict is not now.verdict:
        yield f"verdict {before.verdict.value} -> {now.verdict.value}"
        return
    lasting = set(Flag) - {Flag.NOISY_TIMING}
    for flag in sorted((set(before.flags) ^ set(now.flags)) & lasting, key=lambda f: f.value):
        yield f"{flag.value} {'gone' if flag in before.flags else 'new'}"
    noisy = Flag.NOISY_TIMING in (*before.flags, *now.flags)
    if before.timing is None or now.timing is None or noisy:
        return
    old, new = before.timing.ratio, now.timing.ratio
    if new.low > SAME_SPEED * old.high or new.high * SAME_SPEED < old.low:
        yield f"ratio {old.median:.3g} -> {new.median:.3g}"
