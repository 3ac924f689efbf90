"""What is known of a run when it is scored: plain data, the same for every report.

`metalwright.scoring.collect` makes these from run folders, `metalwright.scoring.kernelbench` from
KernelBench's result files. docs/design/scoring.md says what each figure means.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from metalwright.scoring.outcomes import Outcome, best

OPEN_STATES = ("open", "paused")
NOT_RUNNABLE = "not-runnable"


@dataclass(frozen=True)
class Usage:
    """What was used; money is None where a price is not known."""

    calls: int = 0
    tokens: int = 0
    money: float | None = 0.0
    seconds: float = 0.0
    """Of model calls and evaluations, one after the other; not wall time of the run."""

    def __add__(self, other: Usage) -> Usage:
        money = None if self.money is None or other.money is None else self.money + other.money
        return Usage(
            self.calls + other.calls,
            self.tokens + other.tokens,
            money,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class AttemptScore:
    """One attempt at a problem. Times are in seconds per call, ratios baseline over candidate."""

    number: int
    model: str
    """``provider:model``, ``inductor``, or empty where it is not known."""
    kind: str
    """``proposal`` (a model's), ``offline`` (the offline generator's) or ``tuning``."""
    verdict: str
    flags: tuple[str, ...] = ()
    parents: tuple[int, ...] = ()
    ratio: float | None = None
    """Against the fastest correct baseline; None unless correct, timed, steady and believed."""
    low: float | None = None
    high: float | None = None
    baseline: str = "eager"
    """The baseline that `ratio` is against."""
    ratio_to_eager: float | None = None
    baseline_seconds: float | None = None
    candidate_seconds: float | None = None
    faster: bool = False
    """Faster by more than identical code can seem to be (docs/design/judge.md)."""
    independent: bool = False
    """An independent sample of its model, as pass@k needs; not built on an earlier attempt."""
    candidate_hash: str = ""
    """Of the candidate's text; empty if there is none, or it is not known."""
    seconds: float = 0.0
    """Wall time of the evaluation."""
    asked: Usage | None = None
    """What the calls of its model for it used, repairs and an agent's turns included; None where no
    model was asked, or it is not known."""

    @property
    def correct(self) -> bool:
        """Whether the judge found nothing against it."""
        return self.verdict == "correct"

    @property
    def outcome(self) -> Outcome:
        """What scores are computed from."""
        return Outcome(self.correct, self.ratio)


@dataclass(frozen=True)
class ProblemScores:
    """One problem of a run with all attempts at it, in the order they were made."""

    name: str
    attempts: tuple[AttemptScore, ...] = ()
    level: int | None = None
    number: int | None = None
    """KernelBench's problem id, from a name such as ``23_Softmax``."""
    tags: tuple[str, ...] = ()
    state: str = "finished"
    """``open``, ``paused``, ``finished``, or ``not-runnable``: the reference itself cannot run on
    this device, or the file is no problem."""
    reason: str = ""
    """Why it is in this state."""
    winner: int | None = None
    """The number of the winning attempt; None: the original module stays."""
    constants: dict[str, str] = field(default_factory=dict)
    """The constants that were replaced, with their new values as source text."""
    shrunk: bool = False
    """Whether they were replaced to make the problem smaller (``--scale``)."""
    source_hash: str = ""
    """Of the problem as it was run, constants replaced: equal hashes are the same problem."""
    context: str = "none"
    """What models were shown besides the problem."""
    usage: dict[str, Usage] = field(default_factory=dict)
    """By model."""

    @property
    def runnable(self) -> bool:
        """Whether the problem belongs to the denominator of the scores."""
        return self.state != NOT_RUNNABLE

    def made_by(self, model: str | None) -> tuple[AttemptScore, ...]:
        """A model's own attempts in order; with None all attempts, those of tuning included."""
        if model is None:
            return self.attempts
        return tuple(a for a in self.attempts if a.model == model and a.kind != "tuning")

    def best(self, model: str | None = None) -> AttemptScore | None:
        """The best attempt of a model, or of all; None if there is none."""
        return max(self.made_by(model), key=lambda a: a.outcome.rank, default=None)

    def outcome(self, model: str | None = None) -> Outcome:
        """The best of a model's attempts, or of all."""
        return best([a.outcome for a in self.made_by(model)])


@dataclass(frozen=True)
class LeftOut:
    """A problem of the suite that was not taken on, and why."""

    name: str
    reason: str
    level: int | None = None


@dataclass(frozen=True)
class RunScores:
    """One run."""

    label: str
    """The folder's name."""
    folder: str
    created: str
    device: str
    """``cpu``, ``metal``, ``cuda``; ``unknown`` for foreign results."""
    device_name: str
    problems: tuple[ProblemScores, ...]
    excluded: tuple[LeftOut, ...] = ()
    """Excluded by the suite, each with its reason."""
    suite: str = ""
    """Where the problems come from, as it was given."""
    suite_total: int = 0
    """Problems of the suite before anything was selected or excluded."""
    selection: str = ""
    """The filters that chose some of them; empty: all."""
    scale: str = ""
    """The preset that shrank problems; empty: sizes as given. If set, every figure says so."""
    not_shrunk: dict[str, str] = field(default_factory=dict)
    """Problems that the preset left as they are, with the reason."""
    strategy: str = ""
    models: tuple[str, ...] = ()
    """In the order in which they are shown; the offline generator is ``inductor``."""
    settings: dict[str, str] = field(default_factory=dict)
    """The judge's settings, as texts."""
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    """Sections such as ``device``, ``machine``, ``versions``, ``models``, ``prompts``, ``git``."""
    usage: Usage = Usage()
    """The whole run; `seconds` is its wall time, all sessions together."""
    repeats: str = ""
    """The run that this one repeats."""

    @property
    def scored(self) -> tuple[ProblemScores, ...]:
        """The problems of the denominator: those that can run here."""
        return tuple(p for p in self.problems if p.runnable)

    @property
    def not_runnable(self) -> tuple[LeftOut, ...]:
        """The problems that cannot run here, with the reason."""
        return tuple(LeftOut(p.name, p.reason, p.level) for p in self.problems if not p.runnable)

    @property
    def unfinished(self) -> tuple[ProblemScores, ...]:
        """Problems that still have work to be done; the scores count them as they are now."""
        return tuple(p for p in self.problems if p.state in OPEN_STATES)

    @property
    def levels(self) -> tuple[int | None, ...]:
        """The levels of the scored problems, in order; None last."""
        return _levels(self.scored)

    @property
    def levels_of_all(self) -> tuple[int | None, ...]:
        """As `levels`, with those of problems that cannot run."""
        return _levels(self.problems)

    @property
    def contexts(self) -> tuple[str, ...]:
        """What models were shown, each once, in order."""
        return tuple(dict.fromkeys(p.context for p in self.scored))

    @property
    def denominator(self) -> str:
        """The sentence that goes with every score: how many problems, and which are left out."""
        count = len(self.scored)
        parts = ["1 problem is scored" if count == 1 else f"{count} problems are scored"]
        unselected = self.suite_total - len(self.problems) - len(self.excluded)
        left = [
            (len(self.not_runnable), f"cannot run on {self.device}"),
            (len(self.excluded), f"{_are(len(self.excluded))} excluded by the suite"),
            (unselected, f"{_are(unselected)} not selected"),
        ]
        shown = [f"{count} {what}" for count, what in left if count > 0]
        if shown:
            total = max(self.suite_total, len(self.problems) + len(self.excluded))
            parts.append(f"of {total}: " + ", ".join(shown))
        if self.unfinished:
            parts.append(f"({len(self.unfinished)} of them not finished)")
        return " ".join(parts)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _levels(problems: tuple[ProblemScores, ...]) -> tuple[int | None, ...]:
    found = {p.level for p in problems}
    return tuple(sorted(found, key=lambda level: (level is None, level or 0)))
