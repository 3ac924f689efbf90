"""How optimize and report end: the table, the summary, where the page is."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console

from metalwright.cli import exits
from metalwright.reports import result_table, summary_lines, write_page
from metalwright.reports.attempts import search_report
from metalwright.reports.summary import money_text, shrunk_text, tokens_text
from metalwright.runs import RunStore
from metalwright.runs.journal import Journal

# Output that is not a terminal is read by programs and in logs: it need not be narrow.
_PIPE_WIDTH = 140


def make_console() -> Console:
    """A console for stdout: as wide as the terminal, or wide enough for everything in a pipe."""
    if sys.stdout.isatty():
        return Console(highlight=False, emoji=False)
    width = shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns
    return Console(width=width, highlight=False, emoji=False)


def show_results(store: RunStore, journal: Journal | None = None) -> int:
    """Prints what is in the run and writes its page; returns the exit code that it amounts to."""
    console = make_console()
    code = print_results(console, store, journal)
    print_place(console, write_page(store, journal))
    return code


def print_place(console: Console, page: Path) -> None:
    """Says where a page is: on a line of its own and never folded, to be clicked and copied."""
    console.print(f"Report: {page}", markup=False, soft_wrap=True)


def print_results(console: Console, store: RunStore, journal: Journal | None = None) -> int:
    """Prints what is in the run; returns the exit code that it amounts to."""
    evaluations = [attempt.evaluation for attempt in store.finished()]
    planned = len(store.config.problems)
    suite = store.config.suite
    shrunk = store.config.shrunk
    if suite is not None and suite.scale:
        note = shrunk_text(suite.scale, len(shrunk), planned)
        console.print(note, style="yellow", markup=False, soft_wrap=True)
    if evaluations:
        console.print(result_table(evaluations, console.width, shrunk))
    for evaluation in evaluations:
        if not evaluation.correct:
            summary = evaluation.summary.splitlines()[0] if evaluation.summary else ""
            line = f"{evaluation.problem}: {evaluation.verdict.value}: {summary}"
            console.print(line, markup=False, soft_wrap=True)
    for line in summary_lines(evaluations, planned):
        console.print(line, soft_wrap=True)
    searched = search_report(journal, store.config.problems) if journal is not None else None
    for row in searched.rows if searched is not None else ():
        per_solved = f"{money_text(row.money_per_solved)} per solved problem"
        console.print(
            f"{row.model}: {row.attempts} attempts, {row.solved} of {row.problems} solved, "
            f"{row.faster} faster; {tokens_text(row.spent.tokens)}, "
            f"{money_text(row.spent.money)}, {per_solved}",
            markup=False,
            soft_wrap=True,
        )
    done = len(evaluations) == planned and all(e.correct for e in evaluations)
    return exits.OK if done else exits.NOT_CORRECT
