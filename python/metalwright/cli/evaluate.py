"""`metalwright evaluate`: judge candidates that are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalwright.cli import exits, options
from metalwright.errors import Error, user_error


@exits.reporting
def evaluate_candidate(
    problem: Annotated[
        Path, typer.Argument(metavar="PROBLEM", help="A problem file.", show_default=False)
    ],
    candidates: Annotated[
        list[Path],
        typer.Argument(
            metavar="CANDIDATE...",
            help="Python files that define ModelNew; KernelBench solutions are such.",
            show_default=False,
        ),
    ],
    overrides: options.Overrides = None,
    device: options.Device = None,
    seeds: options.Seeds = options.DEFAULT_SEEDS,
    deadline: options.Deadline = options.DEFAULT_DEADLINE,
    memory_limit: options.MemoryLimit = options.DEFAULT_MEMORY,
    timing_seconds: options.TimingSeconds = options.DEFAULT_TIMING,
    baseline: Annotated[
        list[str] | None,
        typer.Option("--baseline", help="eager always is one; compile: torch.compile besides."),
    ] = None,
    interval: Annotated[
        float,
        typer.Option(
            "--interval", metavar="SHARE", help="Stop timing when half the interval is below this."
        ),
    ] = 0.01,
    json: Annotated[
        bool, typer.Option("--json", help="Print the evaluation, or a list of several, as JSON.")
    ] = False,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="Print what a model's next attempt would be told.")
    ] = False,
) -> None:
    """Judge candidates: are they right, is it their work, and how fast are they?"""
    settings = options.read_settings(device, seeds, deadline, memory_limit, timing_seconds)
    for name in baseline or ():
        if name not in ("eager", "compile"):
            raise user_error("bad-option", option="--baseline", reason=f"{name} is none")
    if not 0 < interval < 1:
        raise user_error("bad-option", option="--interval", reason=f"{interval:g} is no share")
    from metalwright.cli.results import make_console
    from metalwright.evaluation import Evaluation, Judge
    from metalwright.evaluation.feedback import for_model, for_people
    from metalwright.evaluation.judge import problem_error
    from metalwright.problems import Problem
    from metalwright.problems.problem import read_text
    from metalwright.reports import result_table, summary_lines

    names = tuple(dict.fromkeys(("eager", *(baseline or ()))))
    settings = settings.model_copy(update={"baselines": names, "interval": interval})
    loaded = Problem.from_file(problem, options.read_overrides(overrides))
    sources = [read_text(path) for path in candidates]
    evaluations: list[Evaluation] = []
    with Judge(settings) as judge:
        try:
            with judge.open(loaded) as session:
                evaluations += [judge.evaluate(session, source) for source in sources]
        except Error as error:
            evaluations.append(problem_error(loaded, error, settings, judge.device))
    console = make_console()
    if json:
        texts = [evaluation.model_dump_json(indent=2) for evaluation in evaluations]
        print(texts[0] if len(candidates) == 1 else "[" + ",\n".join(texts) + "]")
    else:
        console.print(result_table(evaluations, console.width))
        for path, evaluation in zip(candidates, evaluations, strict=False):
            if len(candidates) > 1:
                console.print(str(path), markup=False, soft_wrap=True)
            text = for_model(evaluation) if feedback else for_people(evaluation)
            print(text)
        for line in summary_lines(evaluations, len(candidates))[1:]:
            console.print(line, soft_wrap=True)
    right = len(evaluations) == len(candidates) and all(e.correct for e in evaluations)
    raise typer.Exit(exits.OK if right else exits.NOT_CORRECT)
