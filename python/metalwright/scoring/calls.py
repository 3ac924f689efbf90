"""What the calls of models used: by problem, by model, by the attempt that they led to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from metalwright.runs import tables as t
from metalwright.runs.journal import Journal
from metalwright.runs.rows import StoredAttempt
from metalwright.scoring.data import Usage


@dataclass(frozen=True)
class Call:
    """One call of a model, finished or not."""

    id: int
    slot: str
    model: str
    used: Usage


def calls_by_problem(journal: Journal) -> Mapping[str, Sequence[Call]]:
    """All calls of a run in the order in which they began, counted as `Journal.spent` does."""
    c = t.calls.c
    found: dict[str, list[Call]] = defaultdict(list)
    with journal.engine.connect() as connection:
        for row in connection.execute(
            select(
                *(c.id, c.slot, c.problem, c.model, c.state, c.served_from),
                *(c.cost, c.most_cost, c.most_tokens),
                *(c.input_tokens, c.cache_read_tokens, c.cache_write_tokens, c.output_tokens),
                *(c.started, c.finished),
            )
            .where(c.run_id == journal.run_id)
            .order_by(c.id)
        ):
            tokens = (
                row.input_tokens
                + row.cache_read_tokens
                + row.cache_write_tokens
                + row.output_tokens
            )
            money = row.cost
            if row.state in ("started", "lost"):
                tokens += row.most_tokens
                money = (row.cost or 0.0) + row.most_cost if row.most_cost is not None else row.cost
            used = Usage(
                int(row.served_from is None),
                tokens,
                money,
                row.finished - row.started if row.finished is not None else 0.0,
            )
            found[row.problem].append(Call(row.id, row.slot, row.model, used))
    return found


def usage_by_model(calls: Iterable[Call]) -> dict[str, Usage]:
    """The sum over the calls of each model."""
    found: dict[str, Usage] = {}
    for call in calls:
        found[call.model] = found.get(call.model, Usage()) + call.used
    return found


def usage_by_attempt(calls: Sequence[Call], attempts: Sequence[StoredAttempt]) -> dict[int, Usage]:
    """What led to each attempt of a problem that a model was asked for, by the attempt's number.

    Those are the call in the attempt's slot and its repairs. An agent's turns have slots of their
    own: to a submission belong all turns of its model since the one before. Turns after the last
    submission, and calls that failed, belong to no attempt.
    """
    found: dict[int, Usage] = {}
    turn: dict[str, int] = {}
    for attempt in attempts:
        if attempt.call_id is None:
            continue
        own = [call for call in calls if call.slot.rpartition("/")[0] == attempt.slot]
        if not own:
            first = turn.get(attempt.model, 0)
            own = [
                call
                for call in calls
                if call.model == attempt.model and first < call.id <= attempt.call_id
            ]
            turn[attempt.model] = attempt.call_id
        found[attempt.number] = sum((call.used for call in own), start=Usage())
    return found
