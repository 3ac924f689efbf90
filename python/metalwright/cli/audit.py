"""`metalwright audit`: judge every candidate of a run again."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.cli import exits, options

if TYPE_CHECKING:
    from metalwright.evaluation.audit import Stored


@exits.reporting
def audit_run(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN_FOLDER", help="A run folder.", show_default=False)
    ],
    device: options.Device = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Problems whose name contains this.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per candidate.")] = False,
) -> None:
    """Judge every stored candidate again, with new seeds; say what has changed.

    Needs nothing but the folder, which may have been copied from another machine. Exit code 1 if a
    verdict, a flag or a ratio is not what the run says.
    """
    from metalwright.cli.results import make_console
    from metalwright.evaluation.audit import Stored, audit
    from metalwright.runs import RunStore

    store = RunStore.open(folder)
    settings = store.config.settings
    if device is not None:
        settings = settings.model_copy(update={"device": device})

    def candidates() -> Iterator[Stored]:
        for name in store.config.problems:
            if only and not any(part in name for part in only):
                continue
            for attempt in store.attempts(name):
                if attempt.candidate is not None:
                    yield Stored(name, attempt.number, attempt.candidate.source, attempt.evaluation)

    console = make_console()
    changed = total = 0
    for audited in audit(candidates(), store.problem, settings):
        total += 1
        found = audited.changes
        changed += bool(found)
        if json:
            row = {
                "problem": audited.stored.problem,
                "attempt": audited.stored.attempt,
                "before": audited.stored.evaluation.verdict.value,
                "now": audited.now.verdict.value,
                "changes": list(found),
                "evaluation": audited.now.model_dump(mode="json"),
            }
            print(jsonlib.dumps(row))
            continue
        text = "; ".join(found) or f"confirmed: {audited.now.verdict.value}"
        console.print(
            f"{audited.stored.problem}, attempt {audited.stored.attempt}: {text}",
            markup=False,
            soft_wrap=True,
        )
    if not json:
        where = f"on {settings.device}"
        console.print(f"{total} candidates judged again {where}; {changed} changed.", markup=False)
    raise typer.Exit(exits.NOT_CORRECT if changed else exits.OK)
