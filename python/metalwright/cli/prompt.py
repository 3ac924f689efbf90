"""`metalwright prompt`: exactly what a model would be sent for a problem, and its price."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.cli import exits, options, search_options

if TYPE_CHECKING:
    from metalwright.generation.catalogue import Catalogue, ModelName
    from metalwright.generation.messages import Request, TokenCount


@exits.reporting
def show_prompt(
    problem: Annotated[
        Path, typer.Argument(metavar="PROBLEM", help="A problem file.", show_default=False)
    ],
    model: Annotated[
        str,
        typer.Option("--model", metavar="PROVIDER:MODEL", help="Whose tokens and price to count."),
    ] = "anthropic:claude-opus-5-5",
    overrides: options.Overrides = None,
    device: options.Device = None,
    deadline: options.Deadline = options.DEFAULT_DEADLINE,
    memory_limit: options.MemoryLimit = options.DEFAULT_MEMORY,
    max_tokens: search_options.MaxTokens = 32_000,
    effort: search_options.Effort = None,
    context: search_options.Context = None,
    prompts: search_options.Prompts = None,
    models_file: search_options.ModelsFile = None,
) -> None:
    """Print exactly what would be sent for the first attempt, with its token count and price.

    The prompt goes to stdout, the figures to stderr. Nothing is sent but, where there is a key and
    the provider can count, the prompt for counting.
    """
    from metalwright.generation.catalogue import load_catalogue
    from metalwright.generation.messages import Request, user_message
    from metalwright.generation.prompts import load_prompts
    from metalwright.problems import Problem
    from metalwright.search.briefing import system_prompt, task_prompt
    from metalwright.search.evaluator import JudgeEvaluator

    settings = options.read_settings(device, 1, deadline, memory_limit, 0)
    templates = load_prompts(prompts)
    catalogue = load_catalogue(models_file)
    name = catalogue.parse(model)
    facts_of_model = catalogue.facts(name)
    loaded = Problem.from_file(problem, options.read_overrides(overrides))
    given = search_options.read_context(context)
    blocks = [
        {"title": title, "text": text}
        for key in ("*", loaded.name)
        for title, text in given.get(key, {}).items()
    ]
    with JudgeEvaluator(settings) as evaluator:
        facts = asyncio.run(evaluator.facts(loaded))
        device_facts = asyncio.run(evaluator.device())
    request = Request(
        model=str(name),
        system=system_prompt(templates, device_facts, facts),
        messages=(
            user_message(
                task_prompt(
                    templates,
                    loaded,
                    facts,
                    device_facts,
                    attempt=1,
                    instruction="first",
                    context=blocks,
                )
            ),
        ),
        max_tokens=min(max_tokens, facts_of_model.max_output),
        effort=effort,
    )
    print(f"==== system\n{request.system}\n==== user\n{request.messages[0].text}", end="")
    count = asyncio.run(_count(catalogue, name, request))
    exact = "" if count.exact else "at most about "
    lines = [
        f"prompts {templates.hash[:12]}, request {request.hash[:12]}",
        f"{exact}{count.tokens} tokens ({count.method}), answer at most {request.max_tokens}",
    ]
    most = facts_of_model.most(count.tokens, request.max_tokens)
    if most is None:
        lines.append(f"the price of {name} is not known; see docs/models.md")
    else:
        prompt_only = facts_of_model.most(count.tokens, 0) or 0.0
        lines.append(f"{name}: prompt ${prompt_only:.4f}, the whole call at most ${most:.4f}")
    sys.stderr.write("".join(f"{line}\n" for line in lines))


async def _count(catalogue: Catalogue, name: ModelName, request: Request) -> TokenCount:
    """The provider's count where it can be had, else an estimate."""
    from metalwright.generation.messages import estimate_tokens
    from metalwright.generation.provider import make_provider, needs_key

    if name.provider == "inductor" or needs_key(catalogue, name):
        return estimate_tokens(request)
    from metalwright.generation.failures import ProviderError

    provider = make_provider(catalogue, name)
    try:
        return await provider.count_tokens(request)
    except ProviderError:
        return estimate_tokens(request)
    finally:
        await provider.close()
