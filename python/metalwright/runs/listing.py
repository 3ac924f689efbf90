"""Looking into a store of runs: all runs, and one written out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Row, func, select

from metalwright.errors import user_error
from metalwright.runs import tables as t
from metalwright.runs.journal import Journal
from metalwright.runs.rows import read_request
from metalwright.runs.tables import open_store, read_text


@dataclass(frozen=True)
class RunLine:
    """One run in a list."""

    folder: str
    created: str
    generator: str
    problems: int
    finished: int
    paused: int
    attempts: int
    correct: int
    money: float
    tokens: int
    scale: str = ""
    """The preset that shrank the problems' sizes; empty: none."""


def list_runs(root: Path) -> list[RunLine]:
    """All runs of a folder's store, oldest first.

    Raises:
        Error: ``no-run-store``.
    """
    engine = open_store(root)
    with engine.connect() as connection:
        rows = connection.execute(select(t.runs).order_by(t.runs.c.id)).all()
    return [_line(engine, row, root) for row in rows]


def _line(engine: Engine, row: Row[Any], root: Path) -> RunLine:
    config = json.loads(row.config)
    spent = Journal(engine, row.id, root / row.folder).spent()
    with engine.connect() as connection:

        def count(table: Any, *conditions: Any) -> int:
            query = select(func.count()).select_from(table)
            return int(
                connection.execute(query.where(table.c.run_id == row.id, *conditions)).scalar_one()
            )

        return RunLine(
            row.folder,
            row.created,
            str(config.get("generator", "")),
            count(t.problems),
            count(t.problems, t.problems.c.state == "finished"),
            count(t.problems, t.problems.c.state == "paused"),
            count(t.attempts),
            count(t.attempts, t.attempts.c.verdict == "correct"),
            spent.money,
            spent.tokens,
            str((config.get("suite") or {}).get("scale", "")),
        )


EXPORTED = ("calls", "attempts", "decisions", "problems", "sessions")


def export_rows(journal: Journal) -> Iterator[dict[str, Any]]:
    """Everything that the store has of a run, as plain rows; texts are written out.

    Each row has its table's name under ``table``. A call's ``request`` and ``answer`` are whole, so
    that the rows can be replayed (``--model replay:FILE``).
    """
    with journal.engine.connect() as connection:
        for name in EXPORTED:
            table = t.metadata.tables[name]
            rows = connection.execute(
                select(table).where(table.c.run_id == journal.run_id).order_by(*table.primary_key)
            )
            for row in rows.all():
                data: dict[str, Any] = {"table": name, **row._mapping}
                del data["run_id"]
                if name == "calls":
                    data["request"] = read_request(connection, row.request).model_dump(mode="json")
                    data["tries"] = json.loads(row.tries)
                    data["answer"] = _json_text(connection, row.answer)
                elif name == "attempts":
                    data["parents"] = json.loads(row.parents)
                    data["candidate"] = _json_text(connection, row.candidate)
                    data["evaluation"] = _json_text(connection, row.evaluation)
                elif name == "decisions":
                    data["content"] = json.loads(row.content)
                elif name == "problems":
                    data["facts"] = json.loads(row.facts) if row.facts else None
                yield data


def _json_text(connection: Any, digest: str | None) -> Any:
    return None if digest is None else json.loads(read_text(connection, digest))


def write_json_lines(journal: Journal, path: Path) -> int:
    """Writes `export_rows` one per line; returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in export_rows(journal):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def write_parquet(journal: Journal, folder: Path) -> list[Path]:
    """Writes one Parquet file per table; nested values are JSON texts.

    Raises:
        Error: ``missing-package``.
    """
    try:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError:
        raise user_error("missing-package", what="Parquet files", package="pyarrow") from None
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in EXPORTED}
    for row in export_rows(journal):
        name = row.pop("table")
        tables[name].append(
            {
                key: json.dumps(value) if isinstance(value, (dict, list)) else value
                for key, value in row.items()
            }
        )
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows in tables.items():
        if rows:
            path = folder / f"{name}.parquet"
            parquet.write_table(pyarrow.Table.from_pylist(rows), path)
            written.append(path)
    return written
