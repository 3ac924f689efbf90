"""What a run with models amounts to: correctness and speed by attempt, and what it cost.

The figures are those of `metalwright.scoring`: a run's page and its site say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from metalwright.runs.journal import Journal
from metalwright.runs.rows import Spent
from metalwright.scoring import scores
from metalwright.scoring.collect import attempt_score
from metalwright.scoring.data import AttemptScore
from metalwright.scoring.outcomes import after_attempts

UNION = "all together"


@dataclass(frozen=True)
class ModelRow:
    """One model over all problems of a run; or all of them together."""

    model: str
    problems: int
    attempts: int
    solved: int
    """Problems with a right candidate."""
    faster: int
    """Problems whose best candidate is surely faster than the baseline."""
    correct_by_attempt: tuple[float, ...]
    """Share of the problems with a right candidate among the first 1, 2, ... attempts."""
    ratio_by_attempt: tuple[float, ...]
    """Geometric mean over all problems of the best ratio so far; the original counts as 1."""
    spent: Spent

    @property
    def money_per_solved(self) -> float | None:
        """Dollars per problem with a right candidate."""
        return self.spent.money / self.solved if self.solved else None

    @property
    def tokens_per_solved(self) -> float | None:
        """Tokens per problem with a right candidate."""
        return self.spent.tokens / self.solved if self.solved else None


@dataclass(frozen=True)
class SearchReport:
    """A run's attempts by model."""

    rows: tuple[ModelRow, ...]
    spent: Spent
    winners: dict[str, int | None]
    """The winning attempt of each finished problem; None: the original."""


def search_report(journal: Journal, names: Sequence[str]) -> SearchReport | None:
    """The figures of a run; None if no model was asked."""
    spent = journal.spent_by_model()
    models = list(spent)
    if not models:
        return None
    attempts = {
        name: [
            attempt_score(a.number, a.model, a.kind, a.evaluation)
            for a in journal.attempts(name)
            if a.kind != "problem"
        ]
        for name in names
    }
    made_by = {
        model: {
            name: [a for a in own if a.model == model and a.kind == "proposal"]
            for name, own in attempts.items()
        }
        for model in models
    }
    rows = [_row(model, made_by[model], spent[model]) for model in models]
    whole = journal.spent()
    if len(models) > 1 or any(a.kind != "proposal" for own in attempts.values() for a in own):
        rows.append(_row(UNION, attempts, whole))
    states = {name: journal.state(name) for name in names}
    winners = {name: state[2] for name, state in states.items() if state[0] == "finished"}
    return SearchReport(tuple(rows), whole, winners)


def _row(model: str, attempts: dict[str, list[AttemptScore]], spent: Spent) -> ModelRow:
    histories = [[attempt.outcome for attempt in own] for own in attempts.values()]
    longest = max(map(len, histories), default=0)
    firsts = [after_attempts(histories, count) for count in range(1, longest + 1)]
    bests = [max(own, key=lambda a: a.outcome.rank, default=None) for own in attempts.values()]
    return ModelRow(
        model,
        len(attempts),
        sum(map(len, histories)),
        sum(best is not None and best.correct for best in bests),
        sum(best is not None and best.faster for best in bests),
        tuple(float(scores.share_correct(first)) for first in firsts),
        tuple(float(scores.geometric_mean_kept(first)) for first in firsts),
        spent,
    )


# ---------------------------------------------------------------------------------- plots

_WIDTH, _HEIGHT = 420, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 26, 34


def correctness_plot(report: SearchReport) -> str:
    """Share of the problems solved, by number of attempts, a line per model."""
    return _plot(
        "Problems with a right candidate",
        [(row.model, [100 * share for share in row.correct_by_attempt]) for row in report.rows],
        (0.0, 100.0),
        "%",
    )


def ratio_plot(report: SearchReport) -> str:
    """Geometric mean of the best ratios, by number of attempts, a line per model."""
    lines = [(row.model, list(row.ratio_by_attempt)) for row in report.rows]
    top = max([1.5, *(value for _, values in lines for value in values)])
    return _plot("Best ratio so far, geometric mean", lines, (1.0, top * 1.05), "x")


def _plot(
    title: str, lines: list[tuple[str, list[float]]], span: tuple[float, float], unit: str
) -> str:
    """An SVG of our own: see `metalwright.reports.plot` for why."""
    count = max((len(values) for _, values in lines), default=0)
    if not count:
        return ""
    low, high = span

    def x(index: float) -> float:
        return _LEFT + (index / max(count - 1, 1)) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        share = (value - low) / (high - low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg class="plot lines" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><text class="title" x="{_LEFT}" y="14">{escape(title)}'
        "</text>"
    ]
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(
            f'<line class="tick" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" '
            f'y2="{y(value):.1f}"/><text class="axis end" x="{_LEFT - 6}" y="{y(value) + 4:.1f}">'
            f"{value:.3g}{unit}</text>"
        )
    every = max(1, (count + 7) // 8)
    for index in range(0, count, every):
        parts.append(f'<text class="axis" x="{x(index):.1f}" y="{_HEIGHT - 16}">{index + 1}</text>')
    parts.append(
        f'<text class="axis" x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 2}">attempts</text>'
    )
    for number, (name, values) in enumerate(lines):
        if not values:
            continue
        # A model that was asked less often keeps what it had.
        padded = [*values, *[values[-1]] * (count - len(values))]
        points = " ".join(f"{x(i):.1f},{y(value):.1f}" for i, value in enumerate(padded))
        parts.append(
            f'<g class="line-{number % 6}"><title>{escape(name)}</title>'
            f'<polyline points="{points}"/>'
            + "".join(
                f'<circle cx="{x(i):.1f}" cy="{y(value):.1f}" r="3"/>'
                for i, value in enumerate(padded)
            )
            + "</g>"
        )
    parts.append("</svg>")
    return "".join(parts)
