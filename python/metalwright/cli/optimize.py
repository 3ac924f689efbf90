"""`metalwright optimize`: candidates for problems, sought, judged and kept."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalwright.cli import exits, options, search_options

if TYPE_CHECKING:
    from metalwright.evaluation import Settings
    from metalwright.problems import BrokenProblem, Problem
    from metalwright.runs import RunStore
    from metalwright.search.settings import SearchSettings


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
    store = _new_run(
        paths, options.read_overrides(overrides), only, level, settings, search, output
    )
    from metalwright.cli.working import work_on

    raise typer.Exit(work_on(store))


def _new_run(
    paths: list[Path],
    overrides: dict[str, str],
    only: list[str] | None,
    level: list[int] | None,
    settings: Settings,
    search: SearchSettings,
    output: Path,
) -> RunStore:
    from metalwright.evaluation.judge import describe_device
    from metalwright.problems import BrokenProblem, load_suite
    from metalwright.runs import RunConfig, RunStore, describe_machine
    from metalwright.runs.journal import Journal
    from metalwright.runs.machine import describe_versions

    device = describe_device(settings.device)
    suite = load_suite(paths, overrides, only or (), level or ())
    config = RunConfig(
        name=_run_name(paths),
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        generator=", ".join(search.models) or "inductor",
        settings=settings,
        overrides=overrides,
        problems=tuple(problem.name for problem in suite),
        device=device,
        machine=describe_machine(),
        versions=describe_versions(),
        search=search.model_dump(mode="json"),
    )
    store = RunStore.create(output, config, [_as_problem(problem) for problem in suite])
    journal = Journal.create(
        store.folder, config.name, config.created, config.model_dump_json(), list(config.problems)
    )
    for problem in suite:
        if isinstance(problem, BrokenProblem):
            _record_broken(store, journal, problem)
    return store


def _as_problem(problem: Problem | BrokenProblem) -> Problem:
    from metalwright.problems import Problem

    if isinstance(problem, Problem):
        return problem
    # Kept for the page: the text as it is, if it can be read at all.
    try:
        source = Path(problem.path).read_text("utf-8", "replace")
    except OSError:
        source = ""
    return Problem(name=problem.name, source=source, path=problem.path)


def _record_broken(store: RunStore, journal: Any, problem: BrokenProblem) -> None:
    from metalwright.evaluation.judge import problem_error

    evaluation = problem_error(
        _as_problem(problem), problem.error, store.config.settings, store.config.device
    )
    attempt = journal.add_attempt(
        problem.name, "problem", None, evaluation, model="", kind="problem"
    )
    store.add_attempt(problem.name, None, evaluation, attempt.number)
    journal.set_state(problem.name, "finished", problem.error.message)


def _run_name(paths: list[Path]) -> str:
    first = paths[0].resolve()
    return first.name if first.is_dir() else first.stem
