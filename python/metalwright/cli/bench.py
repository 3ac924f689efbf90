"""`metalwright bench`: a whole suite, found, looked at, worked on and scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.cli import exits, options, search_options
from metalwright.errors import user_error

if TYPE_CHECKING:
    from metalwright.problems.benchmark import Suite
    from metalwright.problems.selection import Selection

_SUITE = "Suite"


@exits.reporting
@search_options.with_search
def bench(
    *,
    suite: Annotated[
        str | None,
        typer.Argument(
            metavar="[SUITE]",
            help="A folder of problems, a KernelBench checkout, hf:NAME or the folder of a data "
            "set with its columns, or a suite file (.toml).",
            show_default=False,
        ),
    ] = None,
    level: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Only this level. Repeatable.", rich_help_panel=_SUITE),
    ] = None,
    number: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N[-M]",
            help="Only KernelBench's problem ids N to M. Repeatable.",
            rich_help_panel=_SUITE,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Only names that contain TEXT. Repeatable.",
            rich_help_panel=_SUITE,
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG", help="Only with this tag. Repeatable.", rich_help_panel=_SUITE),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET",
            help="cpu: shrink constants until the CPU device takes some ten milliseconds. "
            "All results are then marked.",
            rich_help_panel=_SUITE,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only say which problems can run here, and make no run.",
            rich_help_panel=_SUITE,
        ),
    ] = False,
    repeat: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Do again what a run did: its problems, models and settings.",
            rich_help_panel=_SUITE,
        ),
    ] = None,
    overrides: options.Overrides = None,
    device: options.Device = None,
    read_search: search_options.ReadSearch,
    seeds: options.Seeds = options.DEFAULT_SEEDS,
    deadline: options.Deadline = options.DEFAULT_DEADLINE,
    memory_limit: options.MemoryLimit = options.DEFAULT_MEMORY,
    timing_seconds: options.TimingSeconds = options.DEFAULT_TIMING,
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the run's folder is made.")
    ] = Path("runs"),
) -> None:
    """Work on a whole suite of problems and score it.

    Problems that cannot run on the device are found first and listed; they are never left out
    without a word. An interrupted bench goes on with `metalwright resume RUN`.
    """
    from metalwright.cli.benching import look_only, new_bench, repeat_bench
    from metalwright.cli.working import work_on
    from metalwright.search.dry_run import SCALES

    if (suite is None) == (repeat is None):
        raise user_error("bad-option", option="SUITE", reason="give either a suite or --repeat RUN")
    if repeat is not None:
        raise typer.Exit(work_on(repeat_bench(repeat, output)))
    assert suite is not None
    if scale is not None and scale not in SCALES:
        raise user_error(
            "bad-option",
            option="--scale",
            reason=f"there is no {scale}; there is {', '.join(SCALES)}",
        )
    settings = options.read_settings(device, seeds, deadline, memory_limit, timing_seconds)
    found = _open(suite, _selection(level, number, only, tag), overrides)
    if dry_run:
        raise typer.Exit(look_only(found, settings, scale))
    search = read_search()
    raise typer.Exit(work_on(new_bench(found, settings, search, scale, output)))


def _open(suite: str, selection: Selection, overrides: list[str] | None) -> Suite:
    from metalwright.problems.benchmark import open_suite

    return open_suite(suite, selection, options.read_overrides(overrides))


def _selection(
    level: list[int] | None,
    number: list[str] | None,
    only: list[str] | None,
    tag: list[str] | None,
) -> Selection:
    from metalwright.problems.selection import Selection, parse_numbers

    try:
        numbers = tuple(parse_numbers(text) for text in number or ())
    except ValueError as error:
        raise user_error("bad-option", option="--number", reason=error) from None
    return Selection(tuple(level or ()), numbers, tuple(only or ()), tuple(tag or ()))
