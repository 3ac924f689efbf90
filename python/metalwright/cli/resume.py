"""`metalwright resume`: going on with a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalwright.cli import exits, search_options


@exits.reporting
def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    budget: search_options.Budget = None,
    budget_tokens: search_options.BudgetTokens = None,
    budget_seconds: search_options.BudgetSeconds = None,
) -> None:
    """Go on with a run that was interrupted, killed or paused.

    It goes on with its own problems and settings from where it was; nothing that is in the store is
    asked or paid for again. The budgets are for the whole run and may be raised here.
    """
    from metalwright.cli.working import work_on
    from metalwright.runs import RunStore
    from metalwright.search.settings import Limits, SearchSettings

    store = RunStore.open(run)
    old = SearchSettings.model_validate(store.config.search).limits
    limits = Limits(
        money=old.money if budget is None else budget,
        tokens=old.tokens if budget_tokens is None else budget_tokens,
        seconds=old.seconds if budget_seconds is None else budget_seconds,
    )
    raise typer.Exit(work_on(store, limits))
