"""`metalwright report`: the table and the page of a run that is there already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.cli.exits import reporting
from metalwright.errors import Error

if TYPE_CHECKING:
    from metalwright.runs.journal import Journal


@reporting
def make_report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
) -> None:
    """Show the table of a run and write its HTML page again."""
    from metalwright.cli.results import show_results
    from metalwright.runs import RunStore

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
