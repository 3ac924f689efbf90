"""The options of a search with models, and how they become its settings."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalwright.errors import user_error

if TYPE_CHECKING:
    from metalwright.search.settings import SearchSettings

ReadSearch = Callable[[], "SearchSettings"]

_MODELS = "Models"
_SEARCH = "Search"

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="PROVIDER:MODEL",
        help="A language model, such as anthropic:claude-opus-5-5; or inductor. Repeatable. "
        "Without one the offline generator works alone.",
        rich_help_panel=_MODELS,
    ),
]
Strategy = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="refine, best-of, swarm, evolve or agent; see docs/models.md.",
        rich_help_panel=_SEARCH,
    ),
]
Attempts = Annotated[
    int,
    typer.Option(min=1, help="Candidates per problem (swarm: rounds).", rich_help_panel=_SEARCH),
]
Samples = Annotated[
    int,
    typer.Option(min=1, help="best-of: independent first candidates.", rich_help_panel=_SEARCH),
]
Islands = Annotated[
    int, typer.Option(min=1, help="evolve: groups of candidates.", rich_help_panel=_SEARCH)
]
Turns = Annotated[
    int, typer.Option(min=1, help="agent: turns of the conversation.", rich_help_panel=_SEARCH)
]
Budget = Annotated[
    float | None,
    typer.Option(
        metavar="DOLLARS", min=0, help="Never spend more on models.", rich_help_panel=_MODELS
    ),
]
BudgetTokens = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, help="Never use more tokens.", rich_help_panel=_MODELS),
]
BudgetSeconds = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", min=0, help="Begin no call after this time.", rich_help_panel=_MODELS
    ),
]
Target = Annotated[
    float | None,
    typer.Option(
        metavar="RATIO", help="Stop at a candidate surely this fast.", rich_help_panel=_SEARCH
    ),
]
TargetRoofline = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE", help="Stop at this share of the roofline, 0 to 1.", rich_help_panel=_SEARCH
    ),
]
Effort = Annotated[
    str | None,
    typer.Option(
        metavar="WORD", help="How hard to think: low, medium, high, ...", rich_help_panel=_MODELS
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(help="Only for models that take one.", rich_help_panel=_MODELS),
]
MaxTokens = Annotated[
    int, typer.Option(min=256, help="Of one answer, thinking included.", rich_help_panel=_MODELS)
]
StartFromInductor = Annotated[
    bool,
    typer.Option(
        "--start-from-inductor",
        help="The offline candidate comes first and is shown to the models.",
        rich_help_panel=_SEARCH,
    ),
]
Profile = Annotated[
    bool,
    typer.Option(help="Tell models where the time of a candidate goes.", rich_help_panel=_SEARCH),
]
Neighbours = Annotated[
    int,
    typer.Option(
        min=0,
        max=5,
        help="Show so many verified kernels of similar problems from earlier runs.",
        rich_help_panel=_SEARCH,
    ),
]
Context = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[PROBLEM=]FILE",
        help="Show a file to the models: a CUDA or Triton implementation, notes, a GPU trace's "
        "summary. Repeatable.",
        rich_help_panel=_SEARCH,
    ),
]
Tune = Annotated[
    bool | None,
    typer.Option(
        "--tune/--no-tune",
        help="Seek launch parameters of the best candidate. On with --model.",
        rich_help_panel=_SEARCH,
    ),
]
TuneTrials = Annotated[
    int, typer.Option(min=0, help="Parameter values to try.", rich_help_panel=_SEARCH)
]
Reuse = Annotated[
    bool,
    typer.Option(
        "--reuse", help="Serve identical requests from the store.", rich_help_panel=_MODELS
    ),
]
AtOnce = Annotated[
    int, typer.Option(min=1, help="Problems worked on side by side.", rich_help_panel=_SEARCH)
]
Seed = Annotated[int, typer.Option(help="Of the search's random choices.", rich_help_panel=_SEARCH)]
Prompts = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Templates that replace the package's of the same name.",
        rich_help_panel=_SEARCH,
    ),
]
ModelsFile = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="FILE",
        help="Facts about models and prices, laid over the package's.",
        rich_help_panel=_MODELS,
    ),
]

_LANGUAGES = {".cu": "cuda", ".cuh": "cuda", ".py": "python", ".metal": "metal", ".json": "json"}


def with_search(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command all options of a search in place of its parameter `read_search`.

    What it gets for that reads the settings when it is called. All parameters are keywords.
    """
    own = inspect.signature(command, eval_str=True)
    shared = inspect.signature(_search, eval_str=True).parameters
    parameters: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        parameters += shared.values() if parameter.name == "read_search" else [parameter]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in shared}
        command(read_search=_search(**chosen), **given)

    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _search(
    model: Models = None,
    strategy: Strategy = "refine",
    attempts: Attempts = 5,
    samples: Samples = 3,
    islands: Islands = 2,
    turns: Turns = 30,
    budget: Budget = None,
    budget_tokens: BudgetTokens = None,
    budget_seconds: BudgetSeconds = None,
    target: Target = None,
    target_roofline: TargetRoofline = None,
    effort: Effort = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = 32_000,
    start_from_inductor: StartFromInductor = False,
    profile: Profile = True,
    neighbours: Neighbours = 0,
    context: Context = None,
    tune: Tune = None,
    tune_trials: TuneTrials = 12,
    reuse: Reuse = False,
    at_once: AtOnce = 16,
    seed: Seed = 0,
    prompts: Prompts = None,
    models_file: ModelsFile = None,
) -> ReadSearch:
    plain = {
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
    }
    return functools.partial(
        read_search,
        model,
        plain,
        limits=(budget, budget_tokens, budget_seconds),
        context=context,
        tune=tune,
        prompts=prompts,
        models_file=models_file,
    )


def read_search(
    models: list[str] | None,
    plain: dict[str, Any],
    *,
    limits: tuple[float | None, int | None, float | None],
    context: list[str] | None,
    tune: bool | None,
    prompts: Path | None,
    models_file: Path | None,
) -> SearchSettings:
    """The settings from the options. Models whose key is missing are left out, and that is said.

    Raises:
        Error: ``bad-option``, ``no-such-provider``, ``unknown-price``, ``bad-prompt``, ...
    """
    from pydantic import ValidationError

    from metalwright.generation.catalogue import load_catalogue
    from metalwright.generation.prompts import load_prompts
    from metalwright.generation.provider import make_provider, needs_key
    from metalwright.search.drive import check_prices
    from metalwright.search.settings import Limits, SearchSettings

    catalogue = load_catalogue(models_file)
    offline, usable, unavailable = False, [], {}
    for text in models or ():
        name = catalogue.parse(text)
        if name.provider == "inductor":
            offline = True
            continue
        missing = needs_key(catalogue, name)
        if missing:
            unavailable[str(name)] = f"{' or '.join(missing)} is not set"
        else:
            make_provider(catalogue, name)
            usable.append(str(name))
    for label, reason in unavailable.items():
        sys.stderr.write(f"warning: {label} is left out: {reason}\n")
    if unavailable and not usable:
        sys.stderr.write("warning: no model is left; the offline generator works alone\n")
    try:
        settings = SearchSettings(
            **plain
            | {
                "models": tuple(dict.fromkeys(usable)),
                "start_from_inductor": plain["start_from_inductor"] or offline,
                "limits": Limits(money=limits[0], tokens=limits[1], seconds=limits[2]),
                "context": read_context(context),
                "tune": bool(models) if tune is None else tune,
                "prompts": load_prompts(prompts).hash,
                "prompts_folder": str(prompts.resolve()) if prompts else None,
                "models_file": str(models_file.resolve()) if models_file else None,
                "unavailable": unavailable,
                # Without models all work is the judge's, which does one thing at a time.
                "problems_at_once": plain["problems_at_once"] if usable else 1,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + "-".join(str(part) for part in first["loc"]).replace("_", "-")
        raise user_error("bad-option", option=option, reason=first["msg"]) from None
    check_prices(catalogue, settings)
    return settings


def read_context(texts: list[str] | None) -> dict[str, dict[str, str]]:
    """``--context`` options: problem (``*``: all) to title to text.

    Raises:
        Error: ``no-such-path``, ``unreadable-file``.
    """
    from metalwright.problems.problem import read_text

    found: dict[str, dict[str, str]] = {}
    for text in texts or ():
        problem, equals, file = text.partition("=")
        if not equals:
            problem, file = "*", text
        path = Path(file)
        content = read_text(path)
        language = _LANGUAGES.get(path.suffix)
        if language is not None:
            content = f"```{language}\n{content}\n```"
        found.setdefault(problem, {})[f"Given by the user: {path.name}"] = content
    return found
