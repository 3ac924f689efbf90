"""What the overview page shows, put together for its template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metalwright.reports.scores import all_together
from metalwright.reports.site.charts import factor
from metalwright.reports.site.content import SiteRun
from metalwright.reports.site.overview_charts import Scored, overview_charts
from metalwright.scoring.data import AttemptScore, ProblemScores, RunScores
from metalwright.scoring.table import GroupScore, score_table

ORIGINAL = "original"


@dataclass(frozen=True)
class Row:
    """One problem of one run in the table."""

    run: str
    page: str
    problem: ProblemScores
    best: AttemptScore | None
    status: str
    """The best attempt's verdict; ``not runnable``; ``not started``."""
    marks: tuple[str, ...]

    @property
    def ratio_text(self) -> str:
        """The ratio, or why there is no number."""
        if self.best is None or not self.best.correct:
            return "-"
        if self.best.ratio is not None:
            return factor(self.best.ratio)
        return "noisy" if "noisy-timing" in self.best.flags else "no ratio"


def overview_context(
    runs: Sequence[SiteRun], scored: Sequence[Scored], pages: Mapping[tuple[int, str], str]
) -> dict[str, Any]:
    """The names that the template uses."""
    rows = [row for index, run in enumerate(runs) for row in _rows(index, run.scores, pages)]
    all_scores = [run.scores for run in runs]
    together, unlike = all_together(all_scores)
    # All models of all runs, where nothing speaks against putting the runs together.
    union = [Scored(run, score_table(run), several=True) for run in together]
    return {
        "title": runs[0].scores.label if len(runs) == 1 else f"{len(runs)} runs",
        "runs": all_scores,
        "several": len(runs) > 1,
        "unlike": unlike,
        "heads": [_head(item) for item in [*scored, *union]],
        "charts": overview_charts(scored, union),
        "groups": [(item.scores, group) for item in [*scored, *union] for group in item.groups],
        # A column that says the same everywhere would only push the others out of sight.
        "contexts": len({name for run in all_scores for name in run.contexts}) > 1,
        "rows": rows,
        "levels": sorted({row.problem.level for row in rows if row.problem.level is not None}),
        "statuses": sorted({row.status for row in rows}),
        "models": sorted({row.best.model for row in rows if row.best and row.best.model}),
        "marks": sorted({mark for row in rows for mark in row.marks}),
    }


def _head(item: Scored) -> tuple[RunScores, GroupScore | None]:
    """A run with the group that says most of it: the union, or the only model."""
    return item.scores, item.whole[-1] if item.whole else None


def _rows(index: int, run: RunScores, pages: Mapping[tuple[int, str], str]) -> Iterator[Row]:
    for problem in run.problems:
        best = problem.best()
        if not problem.runnable:
            status = "not runnable"
        else:
            status = best.verdict if best is not None else "not started"
        marks = list(best.flags) if best is not None else []
        if problem.shrunk:
            marks.append("shrunk sizes")
        elif problem.constants:
            marks.append("sizes set")
        if problem.state in ("open", "paused"):
            marks.append(problem.state)
        yield Row(run.label, pages[index, problem.name], problem, best, status, tuple(marks))
