"""`metalwright optimize`: candidates for problems, sought, judged and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalwright.cli import exits, options, search_options


@exits.reporting
def optimize(
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
