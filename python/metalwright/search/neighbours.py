"""The closest verified kernels of earlier runs, found by operator graph."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from metalwright.evaluation.model import SAME_SPEED, Evaluation, Flag
from metalwright.generation.prompts import cut_text
from metalwright.runs import tables as t
from metalwright.runs.journal import Journal
from metalwright.runs.rows import load_candidate
from metalwright.runs.tables import read_text
from metalwright.search.facts import ProblemFacts, similarity

# Below this two problems have little more in common than an addition.
_LEAST_SIMILARITY = 0.4
_MAX_SOURCE = 12_000


@dataclass(frozen=True)
class Neighbour:
    """A candidate that was right and faster than eager, for a problem like this one."""

    problem: str
    likeness: float
    ratio: float
    source: str

    def block(self) -> dict[str, str]:
        """As a block of context for a prompt."""
        return {
            "title": f"A verified kernel for a similar problem ({self.problem}), "
            f"{self.ratio:.3g} times as fast as eager there",
            "text": f"```python\n{cut_text(self.source, _MAX_SOURCE)}\n```",
        }


def find_neighbours(
    journal: Journal, facts: ProblemFacts, count: int, device: str
) -> list[Neighbour]:
    """The best candidate of each of the `count` most similar problems of other runs."""
    best: dict[str, Neighbour] = {}
    with journal.engine.connect() as connection:
        rows = connection.execute(
            select(t.attempts, t.problems.c.facts)
            .join(
                t.problems,
                (t.problems.c.run_id == t.attempts.c.run_id)
                & (t.problems.c.name == t.attempts.c.problem),
            )
            .where(
                t.attempts.c.verdict == "correct",
                t.attempts.c.run_id != journal.run_id,
                t.attempts.c.candidate.is_not(None),
                t.attempts.c.ratio > SAME_SPEED,
                t.problems.c.facts.is_not(None),
            )
        ).all()
        for row in rows:
            other = ProblemFacts.model_validate_json(row.facts)
            likeness = similarity(facts.signature, other.signature)
            known = best.get(row.problem)
            if likeness < _LEAST_SIMILARITY or (known and known.ratio >= row.ratio):
                continue
            evaluation = Evaluation.model_validate_json(read_text(connection, row.evaluation))
            if Flag.NOISY_TIMING in evaluation.flags or evaluation.device.kind != device:
                continue
            source = load_candidate(read_text(connection, row.candidate)).source
            best[row.problem] = Neighbour(row.problem, likeness, row.ratio, source)
    ordered = sorted(best.values(), key=lambda n: (-n.likeness, -n.ratio, n.problem))
    return ordered[:count]
