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
def bench(
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
    model: search_options.Models = None,
    strategy: search_options.Strategy = "refine",
    attempts: search_options.Attempts = 5,
    samples: search_options.Samples = 3,
    islands: search_options.Islands = 2,
    turns: search_options.Turns = 30,
    budget: search_options.Budget = None,
    budget_tokens: search_options.BudgetTokens = None,
    budget_seconds: search_options.BudgetSeconds = None,
    target: search_options.Target = None,
    target_roofline: search_options.TargetRoofline = None,
    effort: search_options.Effort = None,
    temperature: search_options.Temperature = None,
    max_tokens: search_options.MaxTokens = 32_000,
    start_from_inductor: search_options.StartFromInductor = False,
    profile: search_options.Profile = True,
    neighbours: search_options.Neighbours = 0,
    context: search_options.Context = None,
    tune: search_options.Tune = None,
    tune_trials: search_options.TuneTrials = 12,
    reuse: search_options.Reuse = False,
    at_once: search_options.AtOnce = 16,
    seed: search_options.Seed = 0,
    prompts: search_options.Prompts = None,
    models_file: search_options.ModelsFile = None,
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
    search = search_options.read_search(
        model,
        {
            "strategy": strategy,
            "attempts": attempts,
            "samples": samples,
            "islands": islands,
            "turns": turns,
            "target_ratio": target,
            "target_roofline": target_roofline,
            "effort": effort,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "start_from_inductor": start_from_inductor,
            "profile": profile,
            "neighbours": neighbours,
            "tune_trials": tune_trials,
            "reuse": reuse,
            "seed": seed,
            "problems_at_once": at_once,
        },
        limits=(budget, budget_tokens, budget_seconds),
        context=context,
        tune=tune,
        prompts=prompts,
        models_file=models_file,
    )
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
