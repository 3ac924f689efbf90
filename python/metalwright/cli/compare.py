"""`metalwright compare`: two runs, problem by problem and over all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.cli import load_runs
from metalwright.cli.exits import reporting
from metalwright.errors import user_error

if TYPE_CHECKING:
    from metalwright.scoring.compare import Comparison, ProblemComparison
    from metalwright.scoring.data import AttemptScore


@reporting
def compare_runs(
    left: Annotated[Path, typer.Argument(metavar="RUN_A", show_default=False)],
    right: Annotated[Path, typer.Argument(metavar="RUN_B", show_default=False)],
    despite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ASPECT",
            help="Compare although this is not alike: device, machine, versions, settings or "
            "sizes (of the --scale preset). Repeatable.",
        ),
    ] = None,
    baseline: load_runs.Baseline = None,
    level: load_runs.Level = None,
) -> None:
    """Compare two runs: what is a difference, and what is noise.

    Runs on different devices, machines, versions, settings or sizes are refused; --despite names
    what to put up with, and the output says so. Problems whose own sizes differ are never paired.
    """
    from metalwright.cli.results import make_console
    from metalwright.scoring.compare import ASPECTS, compare

    for aspect in despite or ():
        if aspect not in ASPECTS:
            raise user_error(
                "bad-option", option="--despite", reason=f"{aspect} is none of {', '.join(ASPECTS)}"
            )
    a, b = load_runs.load_runs([left, right], baseline, level)
    found = compare(a, b, despite or ())
    console = make_console()
    for run in (a, b):
        scale = f" SIZES SHRUNK (--scale {run.scale})." if run.scale else ""
        console.print(
            f"{run.label}: {run.device} ({run.device_name}); {run.denominator}.{scale}",
            markup=False,
            soft_wrap=True,
        )
    for difference in found.differences:
        console.print(f"NOT ALIKE: {difference}", markup=False, soft_wrap=True)
    console.print(_table(found))
    for problem in found.problems:
        if problem.verdict == "not comparable":
            line = f"not paired: {problem.name}: {problem.reason}"
            console.print(line, markup=False, soft_wrap=True)
    for line in found.verdicts:
        console.print(line, markup=False, soft_wrap=True)
    console.print(
        f"{found.faster} problems are faster and {found.slower} slower beyond noise "
        f"(sign test p = {found.speed_p:.2g}).",
        markup=False,
        soft_wrap=True,
    )


def _table(found: Comparison) -> object:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("problem", overflow="fold")
    for name in ("level", found.left, found.right, "change", "interval"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("verdict")
    for problem in found.paired:
        table.add_row(*map(escape, _cells(problem)))
    return table


def _cells(problem: ProblemComparison) -> list[str]:
    change = problem.change
    return [
        problem.name,
        "-" if problem.level is None else str(problem.level),
        _side(problem.left),
        _side(problem.right),
        f"{change.value:.2f}x" if change else "-",
        f"{change.low:.2f} to {change.high:.2f}" if change else "-",
        problem.verdict + (", the same text" if problem.same_text else ""),
    ]


def _side(attempt: AttemptScore | None) -> str:
    if attempt is None:
        return "nothing"
    return attempt.verdict if attempt.ratio is None else f"{attempt.ratio:.2f}x"
