"""What a run with models amounts to: correctness and speed by attempt, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from metalwright.evaluation.model import Flag
from metalwright.reports.summary import is_faster
from metalwright.runs.journal import Journal
from metalwright.runs.rows import Spent, StoredAttempt
from metalwright.scoring import geometric_mean

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
    """Problems with a candidate surely faster than eager."""
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
    attempts = {name: [a for a in journal.attempts(name) if a.kind != "problem"] for name in names}
    spent = journal.spent_by_model()
    models = list(spent)
    if not models:
        return None
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


def _row(model: str, attempts: dict[str, list[StoredAttempt]], spent: Spent) -> ModelRow:
    longest = max((len(own) for own in attempts.values()), default=0)
    correct, ratios = [], []
    for count in range(1, longest + 1):
        first = [own[:count] for own in attempts.values()]
        correct.append(sum(any(a.evaluation.correct for a in own) for own in first) / len(first))
        ratios.append(geometric_mean([_best_ratio(own) for own in first]))
    return ModelRow(
        model,
        len(attempts),
        sum(map(len, attempts.values())),
        sum(any(a.evaluation.correct for a in own) for own in attempts.values()),
        sum(any(is_faster(a.evaluation) for a in own) for own in attempts.values()),
        tuple(correct),
        tuple(ratios),
        spent,
    )


def _trusted(attempt: StoredAttempt) -> bool:
    return attempt.evaluation.correct and Flag.NOISY_TIMING not in attempt.evaluation.flags


def _best_ratio(attempts: Sequence[StoredAttempt]) -> float:
    """The user keeps the original when nothing beats it."""
    return max([1.0, *(a.ratio for a in attempts if _trusted(a))])


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
