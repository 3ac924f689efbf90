"""What the pages are made of: runs, and attempts with their texts, read when a page is made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from metalwright.errors import Error
from metalwright.evaluation.model import Evaluation
from metalwright.generation.candidate import Candidate
from metalwright.generation.messages import Part, Request, Text, ToolCall, ToolResult
from metalwright.runs import RunStore
from metalwright.runs.journal import Journal
from metalwright.scoring.collect import collect
from metalwright.scoring.data import AttemptScore, ProblemScores, RunScores


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    role: str
    text: str


@dataclass(frozen=True)
class AttemptTexts:
    """An attempt with everything that a reader wants to see of it."""

    score: AttemptScore
    evaluation: Evaluation
    candidate: Candidate | None
    system: str = ""
    turns: tuple[Turn, ...] = ()
    """What the model was told, oldest first; empty where no model was asked."""
    answer: str = ""


@dataclass(frozen=True)
class SiteRun:
    """A run that is open, with its figures."""

    store: RunStore
    journal: Journal | None
    scores: RunScores

    @classmethod
    def open(cls, folder: Path) -> SiteRun:
        """Opens a run folder, with its store if that is beside it.

        Raises:
            Error: ``not-a-run``, ``no-run-store``: the store is broken.
        """
        store = RunStore.open(folder)
        try:
            journal: Journal | None = Journal.open(folder)
        except Error as error:
            # A folder that was given away without its store still has all attempts.
            if error.code != "no-run-store" or (folder.resolve().parent / "store.sqlite").exists():
                raise
            journal = None
        return cls(store, journal, collect(store, journal))

    def texts(self, problem: ProblemScores) -> Iterator[AttemptTexts]:
        """All scored attempts at a problem, in order."""
        scores = {score.number: score for score in problem.attempts}
        if self.journal is None:
            for kept in self.store.attempts(problem.name):
                if kept.number in scores:
                    prompt = _read(kept.folder / "prompt.md")
                    yield AttemptTexts(
                        scores[kept.number],
                        kept.evaluation,
                        kept.candidate,
                        turns=(Turn("user", prompt),) if prompt else (),
                        answer=_read(kept.folder / "answer.md"),
                    )
            return
        for stored in self.journal.attempts(problem.name):
            if stored.number not in scores:
                continue
            score = scores[stored.number]
            if stored.call_id is None:
                yield AttemptTexts(score, stored.evaluation, stored.candidate)
                continue
            request, answer = self.journal.conversation(stored.call_id)
            yield AttemptTexts(
                score,
                stored.evaluation,
                stored.candidate,
                request.system,
                tuple(_turns(request)),
                _words(answer.parts),
            )


def page_name(run: int, runs: int, number: int, name: str) -> str:
    """A problem's file name: safe on every system, in the order of the run."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "problem"
    prefix = f"{run + 1}-" if runs > 1 else ""
    return f"{prefix}{number + 1:03d}-{slug}.html"


def _turns(request: Request) -> Iterator[Turn]:
    for message in request.messages:
        text = _words(message.parts)
        if text:
            yield Turn(message.role, text)


def _words(parts: Sequence[Part]) -> str:
    words = []
    for part in parts:
        if isinstance(part, Text):
            words.append(part.text)
        elif isinstance(part, ToolCall):
            words.append(f"[calls {part.name}]\n" + "\n".join(_arguments(part)))
        elif isinstance(part, ToolResult):
            words.append(f"[{'error' if part.is_error else 'result'} of a tool]\n{part.text}")
    return "\n\n".join(words)


def _arguments(call: ToolCall) -> Iterator[str]:
    for name, value in call.arguments.items():
        yield f"{name}: {value}"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
