"""Two runs side by side: what is a difference, and what is noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from metalwright.errors import user_error
from metalwright.evaluation.model import SAME_SPEED
from metalwright.scoring.data import AttemptScore, ProblemScores, RunScores
from metalwright.scoring.intervals import Estimate, bootstrap_mean

Aspect = Literal["device", "machine", "versions", "settings", "sizes"]
ASPECTS: tuple[Aspect, ...] = ("device", "machine", "versions", "settings", "sizes")
# What decides a result; the rest of the environment record is for the reader.
_DECISIVE: dict[Aspect, tuple[tuple[str, str], ...]] = {
    "device": (("device", "kind"), ("device", "name"), ("device", "architecture")),
    "machine": (("machine", "processor"), ("machine", "cores"), ("machine", "architecture")),
    "versions": (
        *(("versions", name) for name in ("metalwright", "torch")),
        *(("device", name) for name in ("llvm", "msl-version", "os-version")),
    ),
}

Verdict = Literal[
    "faster", "slower", "noise", "gained", "lost", "both fail", "not timed", "not comparable"
]
"""``faster``: the second run's is. ``gained``: only the second run solved it."""


@dataclass(frozen=True)
class Difference:
    """Something that is not alike in the two runs and bears on every result."""

    aspect: Aspect
    what: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.aspect}: {self.what}: {self.left or 'not known'} and {self.right or '-'}"


@dataclass(frozen=True)
class ProblemComparison:
    """One problem in both runs."""

    name: str
    level: int | None
    verdict: Verdict
    left: AttemptScore | None
    """The best attempt of each run, if there is one."""
    right: AttemptScore | None
    change: Estimate | None
    """The second run's ratio over the first's, and the widest interval that both allow."""
    reason: str = ""
    """Why it is not comparable."""

    @property
    def same_text(self) -> bool:
        """Whether the best candidates are the same text: any change is then noise."""
        left = self.left.candidate_hash if self.left else ""
        return bool(left) and self.right is not None and left == self.right.candidate_hash


@dataclass(frozen=True)
class Comparison:
    """Two runs."""

    left: str
    right: str
    differences: tuple[Difference, ...]
    """Those that were accepted; every report of the comparison has to name them."""
    problems: tuple[ProblemComparison, ...]
    change: Estimate | None
    """Geometric mean over paired problems of the second's ratio over the first's, what is not
    solved counting as 1 in either."""
    only_left: int
    """Problems that only the first run solved."""
    only_right: int
    solved_p: float
    """Chance of so uneven a split if both solved equally well: McNemar's exact test."""
    faster: int
    """Problems where the second is faster by more than noise."""
    slower: int
    speed_p: float
    """The same for `faster` and `slower`: the sign test."""

    @property
    def paired(self) -> tuple[ProblemComparison, ...]:
        """The problems that were compared."""
        return tuple(p for p in self.problems if p.verdict != "not comparable")

    @property
    def verdicts(self) -> tuple[str, str]:
        """What the comparison amounts to: about correctness and about speed, a sentence each."""
        solved = (
            f"{self.right} solves {self.only_right} problems that {self.left} does not, and "
            f"{self.only_left} the other way (p = {self.solved_p:.2g}): "
            + ("a difference" if self.solved_p < 0.05 else "no more than chance explains")
        )
        change = self.change
        if change is None:
            return solved, "nothing to compare the speed of"
        text = f"{change.value:.3f} times the ratio over {len(self.paired)} paired problems"
        if math.isnan(change.low):
            return solved, f"{text}: one problem says nothing about others"
        text += f" (95 % interval {change.low:.3f} to {change.high:.3f})"
        if change.low > 1 or change.high < 1:
            word = "faster" if change.value > 1 else "slower"
            return solved, f"{text}: {self.right} is {word}, beyond noise"
        return solved, f"{text}: no difference beyond noise"


def differences(left: RunScores, right: RunScores) -> tuple[Difference, ...]:
    """What makes results of two runs unlike, whatever the candidates; empty: nothing."""
    found = []
    for aspect, keys in _DECISIVE.items():
        for section, key in keys:
            a, b = (run.environment.get(section, {}).get(key, "") for run in (left, right))
            if a != b:
                found.append(Difference(aspect, key, a, b))
    if not found and (left.device, left.device_name) != (right.device, right.device_name):
        found.append(Difference("device", "name", left.device_name, right.device_name))
    for key in dict.fromkeys([*left.settings, *right.settings]):
        a, b = left.settings.get(key, ""), right.settings.get(key, "")
        if a != b and key != "device":
            found.append(Difference("settings", key, a, b))
    if left.scale != right.scale:
        found.append(
            Difference("sizes", "--scale", left.scale or "as given", right.scale or "as given")
        )
    return tuple(found)


def compare(left: RunScores, right: RunScores, despite: Iterable[str] = ()) -> Comparison:
    """Compares the best attempts of two runs, problem by problem and over all.

    Problems whose text differs (other sizes) are never paired. A ratio of ratios is called a
    difference only if its whole interval is beyond what identical code can seem to differ by
    (`SAME_SPEED`, docs/design/judge.md).

    Raises:
        Error: ``not-comparable``: an aspect differs that is not in `despite`.
    """
    accepted = set(despite)
    found = differences(left, right)
    refused = [difference for difference in found if difference.aspect not in accepted]
    if refused:
        raise user_error(
            "not-comparable",
            left=left.label,
            right=right.label,
            differences="; ".join(map(str, refused)),
            options=" ".join(
                f"--despite {aspect}" for aspect in dict.fromkeys(d.aspect for d in refused)
            ),
        )
    others = {problem.name: problem for problem in right.problems}
    names = [p.name for p in left.problems]
    problems = [
        _problem(p, others[p.name]) if p.name in others else _alone(p, right.label)
        for p in left.problems
    ]
    problems += [_alone(p, left.label) for p in right.problems if p.name not in names]
    return _summarise(left.label, right.label, found, problems)


def environment_changes(left: RunScores, right: RunScores) -> list[str]:
    """All of the environment record that is not alike, a line each."""
    lines = []
    for section in dict.fromkeys([*left.environment, *right.environment]):
        a, b = left.environment.get(section, {}), right.environment.get(section, {})
        for key in dict.fromkeys([*a, *b]):
            if a.get(key) != b.get(key):
                was, now = a.get(key, "not known"), b.get(key, "not known")
                lines.append(f"{section}: {key}: was {was}, is {now}")
    return lines


def sign_test(one: int, other: int) -> float:
    """The two-sided chance of a split at least as uneven, if both sides are equally likely.

        p = min(1, 2 * sum over i = 0..min(a, b) of C(n, i) / 2^n),  n = a + b

    With problems that only one of two runs solved it is McNemar's exact test (McNemar, Note on the
    sampling error of the difference between correlated proportions, Psychometrika 12, 1947).
    """
    n = one + other
    if n == 0:
        return 1.0
    tail: int = sum(math.comb(n, i) for i in range(min(one, other) + 1))
    return float(min(1.0, 2 * tail / 2**n))


def _problem(left: ProblemScores, right: ProblemScores) -> ProblemComparison:
    a, b = left.best(), right.best()

    def result(
        verdict: Verdict, change: Estimate | None = None, reason: str = ""
    ) -> ProblemComparison:
        return ProblemComparison(left.name, left.level, verdict, a, b, change, reason)

    for side in (left, right):
        if not side.runnable:
            return result("not comparable", reason=f"it cannot run: {side.reason}")
    if left.source_hash != right.source_hash:
        return result("not comparable", reason="its text or its sizes are not the same")
    right_solved = b is not None and b.correct
    if a is None or not a.correct:
        return result("gained" if right_solved else "both fail")
    if b is None or not b.correct:
        return result("lost")
    change = _change(a, b)
    if change is None:
        return result("not timed")
    if change.low > SAME_SPEED:
        return result("faster", change)
    if change.high < 1 / SAME_SPEED:
        return result("slower", change)
    return result("noise", change)


def _alone(problem: ProblemScores, lacking: str) -> ProblemComparison:
    return ProblemComparison(
        problem.name, problem.level, "not comparable", None, None, None, f"{lacking} has it not"
    )


def _change(a: AttemptScore, b: AttemptScore) -> Estimate | None:
    if a.ratio is None or b.ratio is None or a.baseline != b.baseline:
        return None
    low = (b.low or b.ratio) / (a.high or a.ratio)
    high = (b.high or b.ratio) / (a.low or a.ratio)
    return Estimate(b.ratio / a.ratio, low, high)


def _summarise(
    left: str, right: str, found: tuple[Difference, ...], problems: Sequence[ProblemComparison]
) -> Comparison:
    paired = [p for p in problems if p.verdict not in ("not comparable", "not timed")]
    logs = np.array([math.log(_ratio(p.right) / _ratio(p.left)) for p in paired])
    mean = bootstrap_mean(logs)
    count = {verdict: sum(p.verdict == verdict for p in problems) for verdict in _COUNTED}
    return Comparison(
        left,
        right,
        found,
        tuple(problems),
        Estimate(math.exp(mean.value), math.exp(mean.low), math.exp(mean.high)) if mean else None,
        count["lost"],
        count["gained"],
        sign_test(count["lost"], count["gained"]),
        count["faster"],
        count["slower"],
        sign_test(count["faster"], count["slower"]),
    )


_COUNTED: tuple[Verdict, ...] = ("lost", "gained", "faster", "slower")


def _ratio(attempt: AttemptScore | None) -> float:
    """What is not solved, or has no ratio, counts as the original."""
    return attempt.ratio if attempt is not None and attempt.ratio else 1.0
