"""`metalwright optimize`: candidates for problems, sought, judged and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalwright.cli import exits, options, search_options


@exits.reporting
@search_options.with_search
def optimize(
    *,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE_OR_FOLDER...",
            help="Problem files in KernelBench's format, or folders of them.",
            show_default=False,
        ),
    ],
    overrides: options.Overrides = None,
    device: options.Device = None,
    read_search: search_options.ReadSearch,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Only problems whose name contains TEXT. Repeatable."),
    ] = None,
    level: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Only problems in a folder level<N>. Repeatable."),
    ] = None,
    seeds: options.Seeds = options.DEFAULT_SEEDS,
    deadline: options.Deadline = options.DEFAULT_DEADLINE,
    memory_limit: options.MemoryLimit = options.DEFAULT_MEMORY,
    timing_seconds: options.TimingSeconds = options.DEFAULT_TIMING,
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the run's folder is made.")
    ] = Path("runs"),
) -> None:
    """Find fast Metal kernels for PyTorch modules.

    Language models (--model), or without one TorchInductor's Metal back end, propose candidates.
    Each runs in a process of its own, is compared with PyTorch on fresh inputs and timed against
    it. Everything is kept in a run folder with an HTML page and in the store beside it.
    """
    settings = options.read_settings(device, seeds, deadline, memory_limit, timing_seconds)
    search = read_search()
    from metalwright.cli.new_run import make_run
    from metalwright.cli.working import work_on
    from metalwright.problems import load_suite

    constants = options.read_overrides(overrides)
    problems = load_suite(paths, constants, only or (), level or ())
    store = make_run(_run_name(paths), problems, settings, search, output, overrides=constants)
    raise typer.Exit(work_on(store))


def _run_name(paths: list[Path]) -> str:
    first = paths[0].resolve()
    return first.name if first.is_dir() else first.stem
