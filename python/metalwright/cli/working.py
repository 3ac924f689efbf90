"""Working on a run until it is done, paused or interrupted: what optimize and resume share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from metalwright.cli import exits

if TYPE_CHECKING:
    from metalwright.runs import RunStore
    from metalwright.search.settings import Limits

# Tracing and lowering a large network takes minutes; --deadline is about running it.
_GENERATION_SECONDS = 300.0


def work_on(store: RunStore, limits: Limits | None = None) -> int:
    """Works on a run and prints its results; returns the exit code that they amount to.

    Raises:
        Error: the run cannot be worked on: ``no-key``, ``run-in-use``, ``unknown-price``, ...
    """
    from metalwright.cli.progress import LiveProgress
    from metalwright.cli.results import make_console, show_results
    from metalwright.generation import InductorGenerator
    from metalwright.reports.scores import print_scores
    from metalwright.runs.journal import Journal
    from metalwright.scoring.collect import collect
    from metalwright.search.drive import Search
    from metalwright.search.evaluator import JudgeEvaluator

    console = make_console()
    console.print(f"Run: {store.folder}", markup=False, soft_wrap=True)
    journal = Journal.open(store.folder)
    names = store.config.problems
    done = sum(journal.state(name)[0] == "finished" for name in names)
    progress = LiveProgress(console, len(names), done, bool(store.config.search.get("models")))
    settings = store.config.settings
    interrupted = False
    try:
        with progress.shown(), JudgeEvaluator(settings) as evaluator:
            offline = InductorGenerator(deadline=max(settings.deadline, _GENERATION_SECONDS))
            Search(store, journal, evaluator, offline, progress, limits=limits).run()
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted = True
    code = show_results(store, journal)
    if store.config.suite is not None:
        print_scores(console, [collect(store, journal)])
    paused = [name for name in names if journal.state(name)[0] == "paused"]
    if interrupted or paused:
        word = "Interrupted" if interrupted else f"Paused: {', '.join(paused)}"
        console.print(
            f"{word}. Go on with: metalwright resume {store.folder}", markup=False, soft_wrap=True
        )
    return exits.INTERRUPTED if interrupted else code
