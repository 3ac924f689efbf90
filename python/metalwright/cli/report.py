"""`metalwright report`: the table and the page of a run that is there already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.cli import load_runs
from metalwright.cli.exits import reporting
from metalwright.errors import Error

if TYPE_CHECKING:
    from metalwright.runs.journal import Journal


@reporting
def make_report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders; KernelBench's too.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where a --format goes.", show_default=False),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="Only the scores: terminal, markdown, csv, parquet, kernelbench or "
            "kernelbench-best.",
        ),
    ] = None,
    baseline: load_runs.Baseline = None,
    level: load_runs.Level = None,
) -> None:
    """Show the table of runs and write their pages again; or only their scores, as --format."""
    if output_format is not None:
        from metalwright.cli.report_formats import write_format

        write_format(load_runs.load_runs(runs, baseline, level), output_format, output)
        return
    from metalwright.cli.results import show_results
    from metalwright.runs import RunStore

    for run in runs:
        show_results(RunStore.open(run), find_journal(run))


def find_journal(run: Path) -> Journal | None:
    """The record of a run; None for a folder that was given away without its store."""
    from metalwright.runs.journal import Journal

    try:
        return Journal.open(run)
    except Error as error:
        if error.code != "no-run-store":
            raise
        return None
