"""What one run has done, by slot: written as it happens, read when the run goes on.

Every method is one transaction. What has returned from here is there after `kill -9`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from metalwright.errors import user_error
from metalwright.evaluation.model import Evaluation
from metalwright.generation.candidate import Candidate
from metalwright.generation.client import Try
from metalwright.generation.failures import ProviderError
from metalwright.generation.messages import Answer, Request
from metalwright.runs import tables as t
from metalwright.runs.rows import (
    Spent,
    StoredAttempt,
    StoredCall,
    add_known,
    dump_candidate,
    keep_request,
    read_request,
    source_hash,
    stored_attempt,
    stored_call,
)
from metalwright.runs.tables import keep_text, open_store, read_text

_MISSING = object()


class Journal:
    """The record of one run in the store."""

    def __init__(self, engine: Engine, run_id: int, folder: Path) -> None:
        self.engine = engine
        self.run_id = run_id
        self.folder = folder
        self._session: int | None = None

    @classmethod
    def create(
        cls, folder: Path, name: str, created: str, config: str, names: list[str]
    ) -> Journal:
        """Enters a run whose folder is there into the store beside that folder."""
        engine = open_store(folder.parent, create=True)
        with engine.begin() as connection:
            result = connection.execute(
                insert(t.runs).values(folder=folder.name, name=name, created=created, config=config)
            )
            run_id = result.inserted_primary_key[0]  # type: ignore[index]
            for problem in names:
                connection.execute(
                    insert(t.problems).values(run_id=run_id, name=problem, state="open", reason="")
                )
        return cls(engine, run_id, folder)

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """Finds the run of a folder in the store beside it.

        Raises:
            Error: ``no-run-store``.
        """
        folder = folder.resolve()
        engine = open_store(folder.parent)
        with engine.begin() as connection:
            run_id = connection.execute(
                select(t.runs.c.id).where(t.runs.c.folder == folder.name)
            ).scalar()
        if run_id is None:
            raise user_error("no-run-store", path=folder, reason="the store has no such run")
        return cls(engine, run_id, folder)

    # ------------------------------------------------------------------------------ sessions

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Works on the run: no other process may meanwhile. Calls that a dead one began are lost.

        Raises:
            Error: ``run-in-use``.
        """
        with (self.folder / ".lock").open("w") as lock:
            try:
                # Held by the process, so that its death is what frees it.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise user_error("run-in-use", path=self.folder) from None
            now = time.time()
            with self.engine.begin() as connection:
                connection.execute(
                    update(t.calls)
                    .where(t.calls.c.run_id == self.run_id, t.calls.c.state == "started")
                    .values(state="lost")
                )
                result = connection.execute(
                    insert(t.sessions).values(run_id=self.run_id, started=now, last_seen=now)
                )
                self._session = result.inserted_primary_key[0]  # type: ignore[index]
            try:
                yield
            finally:
                with self.engine.begin() as connection:
                    self._seen(connection)
                self._session = None
                self.engine.dispose()

    def _seen(self, connection: Connection) -> None:
        if self._session is not None:
            connection.execute(
                update(t.sessions)
                .where(t.sessions.c.id == self._session)
                .values(last_seen=time.time())
            )

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection
            self._seen(connection)

    # ------------------------------------------------------------------------------ calls

    def answer(self, problem: str, slot: str) -> StoredCall | None:
        """The answer of a slot, if it has one."""
        with self.engine.connect() as connection:
            row = connection.execute(
                select(t.calls).where(
                    t.calls.c.run_id == self.run_id,
                    t.calls.c.problem == problem,
                    t.calls.c.slot == slot,
                    t.calls.c.state == "done",
                )
            ).first()
            return None if row is None else stored_call(connection, row)

    def begin_call(
        self,
        problem: str,
        slot: str,
        purpose: str,
        request: Request,
        prompts: str,
        most_cost: float | None,
        most_tokens: int,
    ) -> int:
        """A call is about to be made, and can cost so much. Returns its id."""
        with self._write() as connection:
            result = connection.execute(
                insert(t.calls).values(
                    **self._call_values(connection, problem, slot, purpose, request, prompts),
                    state="started",
                    most_cost=most_cost,
                    most_tokens=most_tokens,
                )
            )
            return int(result.inserted_primary_key[0])  # type: ignore[index]

    def add_try(self, call_id: int, attempt: Try, cost: float | None) -> None:
        """A try has ended; its tokens are paid for, whatever came of it."""
        usage = attempt.usage
        with self._write() as connection:
            row = connection.execute(select(t.calls).where(t.calls.c.id == call_id)).one()
            tries = [*json.loads(row.tries), {**asdict(attempt), "usage": usage.model_dump()}]
            connection.execute(
                update(t.calls)
                .where(t.calls.c.id == call_id)
                .values(
                    tries=json.dumps(tries),
                    input_tokens=row.input_tokens + usage.input,
                    cache_read_tokens=row.cache_read_tokens + usage.cache_read,
                    cache_write_tokens=row.cache_write_tokens + usage.cache_write,
                    output_tokens=row.output_tokens + usage.output,
                    thinking_tokens=add_known(row.thinking_tokens, usage.thinking),
                    cost=add_known(row.cost, cost),
                )
            )

    def finish_call(self, call_id: int, answer: Answer) -> StoredCall:
        """The answer is there."""
        with self._write() as connection:
            connection.execute(
                update(t.calls)
                .where(t.calls.c.id == call_id)
                .values(
                    state="done",
                    answer=keep_text(connection, answer.model_dump_json()),
                    stop=answer.stop,
                    finished=time.time(),
                )
            )
            row = connection.execute(select(t.calls).where(t.calls.c.id == call_id)).one()
            return StoredCall(call_id, answer, row.cost, False)

    def fail_call(self, call_id: int, error: ProviderError) -> None:
        """The call was given up."""
        with self._write() as connection:
            connection.execute(
                update(t.calls)
                .where(t.calls.c.id == call_id)
                .values(
                    state="failed", error=f"{error.kind}: {error.message}", finished=time.time()
                )
            )

    def serve_call(
        self, problem: str, slot: str, purpose: str, request: Request, prompts: str
    ) -> StoredCall | None:
        """Serves the slot from an identical request of an earlier run, if there is one.

        Of several answers to one prompt each is served once per run, so that samples that were
        independent stay so.
        """
        own = t.calls.alias()
        served = select(own.c.served_from).where(
            own.c.run_id == self.run_id, own.c.served_from.is_not(None)
        )
        with self._write() as connection:
            row = connection.execute(
                select(t.calls)
                .where(
                    t.calls.c.request_hash == request.hash,
                    t.calls.c.state == "done",
                    t.calls.c.served_from.is_(None),
                    t.calls.c.run_id != self.run_id,
                    t.calls.c.id.not_in(served),
                )
                .order_by(t.calls.c.id)
                .limit(1)
            ).first()
            if row is None:
                return None
            values = self._call_values(connection, problem, slot, purpose, request, prompts)
            result = connection.execute(
                insert(t.calls).values(
                    **values,
                    state="done",
                    answer=row.answer,
                    stop=row.stop,
                    cost=0.0,
                    served_from=row.id,
                    finished=time.time(),
                )
            )
            call_id = int(result.inserted_primary_key[0])  # type: ignore[index]
            answer = Answer.model_validate_json(read_text(connection, row.answer))
            return StoredCall(call_id, answer, 0.0, True)

    def _call_values(
        self,
        connection: Connection,
        problem: str,
        slot: str,
        purpose: str,
        request: Request,
        prompts: str,
    ) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "problem": problem,
            "slot": slot,
            "purpose": purpose,
            "model": request.model,
            "request_hash": request.hash,
            "request": keep_request(connection, request),
            "prompts": prompts,
            "started": time.time(),
        }

    def conversation(self, call_id: int) -> tuple[Request, Answer]:
        """What was asked and answered in a finished call."""
        with self.engine.connect() as connection:
            row = connection.execute(select(t.calls).where(t.calls.c.id == call_id)).one()
            answer = Answer.model_validate_json(read_text(connection, row.answer))
            return read_request(connection, row.request), answer

    # ------------------------------------------------------------------------------ attempts

    def attempt(self, problem: str, slot: str) -> StoredAttempt | None:
        """The attempt of a slot, if there is one."""
        found = self._attempts(t.attempts.c.problem == problem, t.attempts.c.slot == slot)
        return found[0] if found else None

    def attempts(self, problem: str) -> list[StoredAttempt]:
        """All attempts at a problem, in the order in which they were made."""
        return self._attempts(t.attempts.c.problem == problem)

    def same_source(self, problem: str, source: str) -> StoredAttempt | None:
        """An earlier attempt with this very text."""
        found = self._attempts(
            t.attempts.c.problem == problem, t.attempts.c.source_hash == source_hash(source)
        )
        return found[0] if found else None

    def _attempts(self, *conditions: Any) -> list[StoredAttempt]:
        with self.engine.connect() as connection:
            rows = connection.execute(
                select(t.attempts)
                .where(t.attempts.c.run_id == self.run_id, *conditions)
                .order_by(t.attempts.c.number)
            ).all()
            return [stored_attempt(connection, row) for row in rows]

    def add_attempt(
        self,
        problem: str,
        slot: str,
        candidate: Candidate | None,
        evaluation: Evaluation,
        *,
        model: str,
        kind: str,
        parents: tuple[int, ...] = (),
        call_id: int | None = None,
    ) -> StoredAttempt:
        """Records an attempt under the next number."""
        timing = evaluation.timing
        with self._write() as connection:
            number = 1 + (
                connection.execute(
                    select(func.max(t.attempts.c.number)).where(
                        t.attempts.c.run_id == self.run_id, t.attempts.c.problem == problem
                    )
                ).scalar()
                or 0
            )
            connection.execute(
                insert(t.attempts).values(
                    run_id=self.run_id,
                    problem=problem,
                    slot=slot,
                    number=number,
                    call_id=call_id,
                    model=model,
                    kind=kind,
                    parents=json.dumps(parents),
                    candidate=None
                    if candidate is None
                    else keep_text(connection, dump_candidate(candidate)),
                    source_hash=None if candidate is None else source_hash(candidate.source),
                    evaluation=keep_text(connection, evaluation.model_dump_json()),
                    verdict=evaluation.verdict.value,
                    ratio=timing.ratio.median if timing else None,
                    seconds=evaluation.seconds,
                    created=time.time(),
                )
            )
        return StoredAttempt(
            problem, slot, number, model, kind, parents, candidate, evaluation, call_id
        )

    # ------------------------------------------------------------------------------ decisions

    def decision(self, problem: str, slot: str, default: Any = None) -> Any:
        """What was decided in a slot."""
        with self.engine.connect() as connection:
            content = connection.execute(
                select(t.decisions.c.content).where(
                    t.decisions.c.run_id == self.run_id,
                    t.decisions.c.problem == problem,
                    t.decisions.c.slot == slot,
                )
            ).scalar()
        return default if content is None else json.loads(content)

    def decide(self, problem: str, slot: str, kind: str, content: Any) -> Any:
        """Records a decision; one that the slot already has stays and is returned."""
        earlier = self.decision(problem, slot, _MISSING)
        if earlier is not _MISSING:
            return earlier
        with self._write() as connection:
            connection.execute(
                insert(t.decisions).values(
                    run_id=self.run_id,
                    problem=problem,
                    slot=slot,
                    kind=kind,
                    content=json.dumps(content),
                    created=time.time(),
                )
            )
        return content

    # ------------------------------------------------------------------------------ the whole

    def state(self, problem: str) -> tuple[str, str, int | None]:
        """State (``open``, ``paused``, ``finished``), the reason, and the winner's number."""
        with self.engine.connect() as connection:
            row = connection.execute(
                select(t.problems).where(
                    t.problems.c.run_id == self.run_id, t.problems.c.name == problem
                )
            ).one()
            return row.state, row.reason, row.winner

    def set_state(
        self, problem: str, state: str, reason: str = "", winner: int | None = None
    ) -> None:
        """How far a problem is; without a winner it is the original."""
        self._set_problem(problem, state=state, reason=reason, winner=winner)

    def set_facts(self, problem: str, facts: str) -> None:
        """What is known of the problem: JSON of `ProblemFacts`."""
        self._set_problem(problem, facts=facts)

    def facts(self, problem: str) -> str | None:
        """What `set_facts` has kept."""
        with self.engine.connect() as connection:
            return connection.execute(
                select(t.problems.c.facts).where(
                    t.problems.c.run_id == self.run_id, t.problems.c.name == problem
                )
            ).scalar()

    def _set_problem(self, problem: str, **values: Any) -> None:
        with self._write() as connection:
            connection.execute(
                update(t.problems)
                .where(t.problems.c.run_id == self.run_id, t.problems.c.name == problem)
                .values(**values)
            )

    def spent_by_model(self) -> dict[str, Spent]:
        """What each model was used for, in the order in which they were first asked."""
        with self.engine.connect() as connection:
            models = connection.execute(
                select(t.calls.c.model)
                .where(t.calls.c.run_id == self.run_id)
                .group_by(t.calls.c.model)
                .order_by(func.min(t.calls.c.id))
            ).scalars()
            names = list(models)
        return {name: self.spent(model=name) for name in names}

    def spent(self, problem: str | None = None, model: str | None = None) -> Spent:
        """What the run, or one problem or model of it, has used; `seconds` are the whole run's."""
        money = lost = 0.0
        tokens = unpriced = count = 0
        mine = [t.calls.c.run_id == self.run_id]
        if problem is not None:
            mine.append(t.calls.c.problem == problem)
        if model is not None:
            mine.append(t.calls.c.model == model)
        with self.engine.connect() as connection:
            for row in connection.execute(select(t.calls).where(*mine)):
                count += row.served_from is None
                used = (
                    row.input_tokens
                    + row.cache_read_tokens
                    + row.cache_write_tokens
                    + row.output_tokens
                )
                cost = row.cost or 0.0
                if row.state in ("started", "lost"):
                    # Nobody can say what became of it: its most is what a budget has to count.
                    lost += row.most_cost or 0.0
                    cost += row.most_cost or 0.0
                    used += row.most_tokens
                unpriced += row.cost is None and row.most_cost is None
                money += cost
                tokens += used
            seconds = connection.execute(
                select(func.sum(t.sessions.c.last_seen - t.sessions.c.started)).where(
                    t.sessions.c.run_id == self.run_id
                )
            ).scalar()
        return Spent(money, lost, unpriced, tokens, count, seconds or 0.0)
