"""Reading runs that are there already: ours, and KernelBench's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from metalwright.errors import Error
from metalwright.scoring.data import RunScores

Baseline = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="For a KernelBench run: its baseline times, results/timing/HARDWARE/....json.",
    ),
]
Level = Annotated[
    int | None,
    typer.Option(metavar="N", help="For a KernelBench run that does not say its level."),
]


def load_runs(
    folders: Sequence[Path], baseline: Path | None = None, level: int | None = None
) -> list[RunScores]:
    """Each folder's run, as data for scoring.

    Raises:
        Error: ``not-a-run``, ``newer-run``, ``bad-results``, ...
    """
    from metalwright.scoring.collect import collect_run
    from metalwright.scoring.kernelbench import read_run

    return [
        read_run(folder, baseline, level) if is_kernelbench(folder) else collect_run(folder)
        for folder in folders
    ]


def is_kernelbench(folder: Path) -> bool:
    """Whether a folder holds KernelBench's results and is no run of ours."""
    from metalwright.scoring.kernelbench import EVAL_RESULTS

    return (folder / EVAL_RESULTS).exists() and not (folder / "run.json").exists()


def candidate_texts(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Problem, number and text of each attempt's candidate in a run folder of ours."""
    from metalwright.runs import RunStore

    try:
        store = RunStore.open(folder)
    except Error:
        return
    for name in store.config.problems:
        for attempt in store.attempts(name):
            if attempt.candidate is not None:
                yield name, attempt.number, attempt.candidate.source
