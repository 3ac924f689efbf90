"""`metalwright report --format ...`: scores as text, tables and KernelBench's files."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from metalwright.cli.load_runs import candidate_texts
from metalwright.errors import user_error
from metalwright.reports.scores import (
    attempt_rows,
    markdown,
    print_scores,
    problem_rows,
    score_rows,
)
from metalwright.scoring.data import RunScores

FORMATS = ("terminal", "markdown", "csv", "parquet", "kernelbench", "kernelbench-best")

_TABLES: dict[str, Callable[[Sequence[RunScores]], Iterator[dict[str, Any]]]] = {
    "problems": problem_rows,
    "attempts": attempt_rows,
    "scores": score_rows,
}


def write_format(runs: Sequence[RunScores], name: str, output: Path | None) -> None:
    """Prints the runs in a format, or writes it to `output`.

    CSV and Parquet are three tables (problems, attempts, scores) in the folder `output`; without
    one CSV prints the problems.

    Raises:
        Error: ``bad-option``, ``missing-package``, ``unwritable-run``, ``bad-results``.
    """
    if name not in FORMATS:
        raise user_error(
            "bad-option",
            option="--format",
            reason=f"there is no {name}; there is {', '.join(FORMATS)}",
        )
    if output is None and name in ("parquet", "kernelbench", "kernelbench-best"):
        raise user_error("bad-option", option="--output", reason=f"{name} goes to a folder")
    try:
        _write(runs, name, output)
    except OSError as error:
        reason = error.strerror or error
        raise user_error("unwritable-run", path=output, reason=reason) from None


def _write(runs: Sequence[RunScores], name: str, output: Path | None) -> None:
    if name == "terminal":
        from metalwright.cli.results import make_console

        print_scores(make_console(), runs)
    elif name == "markdown":
        if output is None:
            sys.stdout.write(markdown(runs))
        else:
            output.write_text(markdown(runs), "utf-8")
    elif name == "csv":
        if output is None:
            sys.stdout.write(_csv(list(problem_rows(runs))))
            return
        output.mkdir(parents=True, exist_ok=True)
        for table, make in _TABLES.items():
            path = output / f"{table}.csv"
            path.write_text(_csv(list(make(runs))), "utf-8")
            print(path)
    elif name == "parquet":
        assert output is not None
        _parquet(runs, output)
    else:
        assert output is not None
        _kernelbench(runs, output, best=name.endswith("-best"))


def _kernelbench(runs: Sequence[RunScores], output: Path, *, best: bool) -> None:
    from metalwright.scoring.kernelbench import write_run

    for run in runs:
        folder = output / run.label if len(runs) > 1 else output
        for path in write_run(run, folder, tuple(candidate_texts(Path(run.folder))), best=best):
            if path.suffix == ".json":
                print(path)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _parquet(runs: Sequence[RunScores], output: Path) -> None:
    try:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError:
        raise user_error("missing-package", what="Parquet files", package="pyarrow") from None
    output.mkdir(parents=True, exist_ok=True)
    environment = {run.label: run.environment for run in runs}
    for table, make in _TABLES.items():
        rows = list(make(runs))
        if not rows:
            continue
        found = pyarrow.Table.from_pylist(rows)
        # The file says by itself what its figures were measured on.
        found = found.replace_schema_metadata({"metalwright.environment": json.dumps(environment)})
        path = output / f"{table}.parquet"
        parquet.write_table(found, path)
        print(path)
