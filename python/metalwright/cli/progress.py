"""What is seen while a run is going on: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.text import Text

from metalwright.reports import result_line
from metalwright.reports.summary import money_text, ratio_text, tokens_text

if TYPE_CHECKING:
    from metalwright.runs.rows import Spent, StoredAttempt
    from metalwright.search.budget import Budget


class LiveProgress:
    """An observer of a search: lines for attempts and problems, and below them what goes on now."""

    def __init__(self, console: Console, total: int, done: int, models: bool) -> None:
        self._console = console
        self._models = models
        self._spent = ""
        self._progress = Progress(
            SpinnerColumn(),
            MofNCompleteColumn(),
            *([BarColumn(bar_width=20)] if console.width >= 80 else []),
            Elapsed(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=total, completed=done)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keeps the live line on the terminal for a while."""
        with self._progress:
            yield

    def stage(self, problem: str, text: str) -> None:
        """See `metalwright.search.Observer`."""
        self._progress.update(self._task, description=f"{self._spent}{problem}: {text}")

    def attempted(self, attempt: StoredAttempt) -> None:
        """See `metalwright.search.Observer`."""
        if not self._models:
            return
        evaluation = attempt.evaluation
        line = Text(f"  {attempt.problem} {attempt.number}: ")
        style = "green" if evaluation.correct else "red"
        line.append(evaluation.verdict.value, style=style)
        if evaluation.correct and evaluation.timing:
            line.append(f" {ratio_text(evaluation)}")
        elif evaluation.summary:
            line.append(f"  {evaluation.summary.splitlines()[0][:100]}")
        line.append(f"  {attempt.model}", style="dim")
        self._print(line)

    def called(self, problem: str, model: str, budget: Budget) -> None:
        """See `metalwright.search.Observer`."""
        self._spent = f"{money_text(budget.money)}, {tokens_text(budget.tokens)}; "

    def concluded(
        self, problem: str, state: str, reason: str, best: StoredAttempt | None, spent: Spent
    ) -> None:
        """See `metalwright.search.Observer`."""
        if state == "finished":
            self._progress.advance(self._task)
        if best is not None:
            self._print(result_line(best.evaluation))
        if self._models or best is None:
            cost = (
                f"; {tokens_text(spent.tokens)}, {money_text(spent.money)}" if spent.calls else ""
            )
            self._print(Text(f"  {problem} {state}: {reason}{cost}", style="dim"))

    def _print(self, line: Text) -> None:
        self._progress.console.print(line, soft_wrap=not self._console.is_terminal)
