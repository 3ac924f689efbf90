"""`metalwright report`: the tables of runs that are there already, and the site about them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.cli import load_runs
from metalwright.cli.exits import reporting
from metalwright.errors import Error, user_error

if TYPE_CHECKING:
    from metalwright.runs.journal import Journal


@reporting
def make_report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Run folders, or KernelBench's (folders with eval_results.json: scores alone).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Where the site goes (by default the folder report in the run's folder, or beside "
            "several), or what --format writes.",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="No site, only the scores: terminal, markdown, csv, parquet, kernelbench or "
            "kernelbench-best.",
        ),
    ] = None,
    baseline: load_runs.Baseline = None,
    level: load_runs.Level = None,
) -> None:
    """Show the tables of runs and write the site about them; or only their scores, as --format."""
    if output_format is not None:
        from metalwright.cli.report_formats import write_format

        write_format(load_runs.load_runs(runs, baseline, level), output_format, output)
        return
    foreign = [str(run) for run in runs if load_runs.is_kernelbench(run)]
    if foreign:
        _scores_alone(runs, foreign, output, baseline, level)
        return
    from metalwright.cli.results import make_console, print_place, print_results
    from metalwright.reports.site import write_site
    from metalwright.runs import RunStore

    console = make_console()
    for run in runs:
        store = RunStore.open(run)
        if len(runs) > 1:
            console.print(f"Run: {run}", markup=False, soft_wrap=True)
        print_results(console, store, find_journal(run))
    print_place(console, write_site(runs, output))


def _scores_alone(
    runs: list[Path],
    foreign: list[str],
    output: Path | None,
    baseline: Path | None,
    level: int | None,
) -> None:
    """KernelBench's results have figures but none of the texts that a site is made of."""
    from metalwright.cli.report_formats import write_format

    if output is not None:
        raise user_error(
            "bad-option",
            option="--output",
            reason=f"there is no site about KernelBench's results ({', '.join(foreign)}): their "
            "files hold no texts; give --format csv, parquet or markdown as well",
        )
    write_format(load_runs.load_runs(runs, baseline, level), "terminal", None)
    print(
        f"No site is written: {', '.join(foreign)} holds KernelBench's results, which have no "
        "texts. --format csv, parquet or markdown writes the scores."
    )


def find_journal(run: Path) -> Journal | None:
    """The record of a run; None for a folder that was given away without its store."""
    from metalwright.runs.journal import Journal

    try:
        return Journal.open(run)
    except Error as error:
        if error.code != "no-run-store":
            raise
        return None
