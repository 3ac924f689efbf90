"""`metalwright runs`, `show` and `export`: looking into the store of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.cli import exits
from metalwright.errors import user_error

if TYPE_CHECKING:
    from metalwright.runs.rows import StoredAttempt

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]


@exits.reporting
def list_all(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of run folders.")
    ] = Path("runs"),
) -> None:
    """List the runs of a folder, with what they found and cost."""
    from rich import box
    from rich.table import Table

    from metalwright.cli.results import make_console
    from metalwright.reports.summary import money_text, tokens_text
    from metalwright.runs.listing import list_runs

    console = make_console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("run", "models", "problems", "attempts", "correct", "tokens", "money"):
        table.add_column(name, overflow="fold")
    for line in list_runs(folder):
        state = f"{line.finished}/{line.problems}"
        if line.paused:
            state += f", {line.paused} paused"
        shrunk = f" (sizes shrunk: {line.scale})" if line.scale else ""
        table.add_row(
            line.folder + shrunk,
            line.generator,
            state,
            str(line.attempts),
            str(line.correct),
            tokens_text(line.tokens),
            money_text(line.money),
        )
    console.print(table)


@exits.reporting
def show(
    run: RunFolder,
    problem: Annotated[str | None, typer.Argument(metavar="[PROBLEM]", show_default=False)] = None,
    attempt: Annotated[
        int | None, typer.Argument(metavar="[ATTEMPT]", min=1, show_default=False)
    ] = None,
) -> None:
    """Show a run, one of its problems, or an attempt with its prompt and answer."""
    from metalwright.runs import RunStore
    from metalwright.runs.journal import Journal

    store, journal = RunStore.open(run), Journal.open(run)
    names = store.config.problems
    if problem is not None and problem not in names:
        raise user_error("bad-option", option="PROBLEM", reason=f"the run has {', '.join(names)}")
    if problem is None or attempt is None:
        for name in [problem] if problem else names:
            state, reason, winner = journal.state(name)
            won = f"attempt {winner} wins" if winner else "the original wins"
            if store.config.suite is not None and store.config.suite.is_shrunk(name):
                won += f", at a size shrunk by --scale {store.config.suite.scale}"
            print(f"{name}: {state}{f', {won}' if state == 'finished' else ''}. {reason}")
            for item in journal.attempts(name):
                print(f"  {describe(item)}")
        return
    found = [item for item in journal.attempts(problem) if item.number == attempt]
    if not found:
        raise user_error("bad-option", option="ATTEMPT", reason=f"{problem} has no {attempt}")
    item = found[0]
    if item.call_id is not None:
        request, answer = journal.conversation(item.call_id)
        print(f"==== system\n{request.system}")
        for message in request.messages:
            print(f"==== {message.role}\n{message.text}")
        print(f"==== answer\n{answer.text}")
    print(f"==== evaluation\n{describe(item)}")
    print(item.evaluation.model_dump_json(indent=2))


def describe(item: StoredAttempt) -> str:
    """An attempt in a line."""
    from metalwright.reports.summary import ratio_text

    evaluation = item.evaluation
    parents = f" from {', '.join(map(str, item.parents))}" if item.parents else ""
    summary = evaluation.summary.splitlines()[0] if evaluation.summary else ""
    return (
        f"{item.number:3d} {evaluation.verdict.value:16s} {ratio_text(evaluation):>7s}  "
        f"{item.model or '-'}{parents}: {summary}"
    )


@exits.reporting
def export(
    run: RunFolder,
    output: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="A .jsonl file, or a folder for Parquet files."),
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="One Parquet file a table.")] = False,
) -> None:
    """Write everything that the store has of a run: JSON lines, or Parquet files.

    JSON lines can be replayed: --model replay:FILE.jsonl answers the same requests again.
    """
    from metalwright.runs.journal import Journal
    from metalwright.runs.listing import write_json_lines, write_parquet

    journal = Journal.open(run)
    name = run.resolve().name
    try:
        if parquet:
            for path in write_parquet(journal, output or Path(f"{name}-parquet")):
                print(path)
        else:
            path = output or Path(f"{name}.jsonl")
            print(f"{path}: {write_json_lines(journal, path)} rows")
    except OSError as error:
        raise user_error(
            "unwritable-run", path=output or name, reason=error.strerror or error
        ) from None
