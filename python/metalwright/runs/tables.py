"""The tables of the run store, and how its file is opened. docs/design/search.md explains them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from metalwright.errors import user_error

STORE_FILE = "store.sqlite"
# Raised when a table changes; a file of another version is refused and not changed.
SCHEMA_VERSION = 1

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("folder", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("created", String, nullable=False),
    Column("config", Text, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("started", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
)

problems = Table(
    "problems",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("winner", Integer),
    Column("facts", Text),
)

texts = Table(
    "texts",
    metadata,
    Column("hash", String, primary_key=True),
    Column("text", Text, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("problem", String, nullable=False),
    Column("slot", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("state", String, nullable=False),
    Column("model", String, nullable=False),
    Column("request_hash", String, nullable=False),
    Column("request", Text, nullable=False),
    Column("prompts", String, nullable=False),
    Column("tries", Text, nullable=False, default="[]"),
    Column("answer", ForeignKey("texts.hash")),
    Column("stop", String),
    Column("input_tokens", Integer, nullable=False, default=0),
    Column("cache_read_tokens", Integer, nullable=False, default=0),
    Column("cache_write_tokens", Integer, nullable=False, default=0),
    Column("output_tokens", Integer, nullable=False, default=0),
    Column("thinking_tokens", Integer),
    Column("cost", Float),
    Column("most_cost", Float),
    Column("most_tokens", Integer, nullable=False, default=0),
    Column("served_from", ForeignKey("calls.id")),
    Column("error", Text),
    Column("started", Float, nullable=False),
    Column("finished", Float),
    # One answer per slot, however often it had to be asked for.
    Index(
        "one_answer_per_slot",
        "run_id",
        "problem",
        "slot",
        unique=True,
        sqlite_where=text("state = 'done'"),
    ),
    Index("calls_by_request", "request_hash"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("problem", String, nullable=False),
    Column("slot", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("call_id", ForeignKey("calls.id")),
    Column("model", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("parents", Text, nullable=False, default="[]"),
    Column("candidate", ForeignKey("texts.hash")),
    Column("source_hash", String),
    Column("evaluation", ForeignKey("texts.hash"), nullable=False),
    Column("verdict", String, nullable=False),
    Column("ratio", Float),
    Column("seconds", Float, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("run_id", "problem", "slot"),
    UniqueConstraint("run_id", "problem", "number"),
    Index("attempts_by_verdict", "verdict"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("problem", String, nullable=False),
    Column("slot", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("content", Text, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("run_id", "problem", "slot"),
)


def open_store(root: Path, *, create: bool = False) -> Engine:
    """Opens the store of a folder of runs.

    Raises:
        Error: ``no-run-store``.
    """
    path = root / STORE_FILE
    if not create and not path.is_file():
        raise user_error("no-run-store", path=root, reason=f"there is no {STORE_FILE}")
    # Two processes may work on two runs of one store: the later writer waits.
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 60})
    event.listen(engine, "connect", _prepare)
    try:
        with engine.begin() as connection:
            version = connection.execute(text("PRAGMA user_version")).scalar_one()
            if version == 0:
                metadata.create_all(connection)
                connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
            elif version != SCHEMA_VERSION:
                raise user_error(
                    "no-run-store",
                    path=path,
                    reason=f"it is of version {version}; this is version {SCHEMA_VERSION}",
                )
    except SQLAlchemyError as error:
        raise user_error("no-run-store", path=path, reason=_reason(error)) from None
    return engine


def _prepare(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    # A commit is in the log before it returns: the death of the process loses nothing. (Only the
    # end of the machine's power can take the last commits, and never the file.)
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _reason(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def keep_text(connection: Connection, content: str) -> str:
    """Stores a text once; returns its hash."""
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    # SQLite has no half of a character; a model's answer may.
    clean = content.encode("utf-8", "replace").decode("utf-8")
    connection.execute(insert(texts).values(hash=digest, text=clean).on_conflict_do_nothing())
    return digest


def read_text(connection: Connection, digest: str) -> str:
    """The text with this hash."""
    content: str = connection.execute(
        select(texts.c.text).where(texts.c.hash == digest)
    ).scalar_one()
    return content
