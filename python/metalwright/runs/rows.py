"""What the rows of the store mean: attempts, calls and requests put together from their texts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from metalwright.evaluation.model import Evaluation, Flag
from metalwright.generation.candidate import Candidate
from metalwright.generation.messages import Answer, Request
from metalwright.runs.tables import keep_text, read_text


@dataclass(frozen=True)
class StoredCall:
    """A call that has its answer."""

    id: int
    answer: Answer
    cost: float | None
    served: bool
    """It was served from an earlier call and cost nothing."""


@dataclass(frozen=True)
class StoredAttempt:
    """A candidate with its evaluation, as a strategy sees it."""

    problem: str
    slot: str
    number: int
    model: str
    kind: str
    """How it came to be: proposal, tuning, offline."""
    parents: tuple[int, ...]
    candidate: Candidate | None
    evaluation: Evaluation
    call_id: int | None = None

    @property
    def ratio(self) -> float:
        """How many times as fast as eager; 0 unless it is correct, was timed and is believed."""
        timing = self.evaluation.timing
        return timing.ratio.median if self.evaluation.rankable and timing else 0.0

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """What attempts are compared by: a steady timing goes before any noisy one."""
        correct = self.evaluation.rankable
        return correct, correct and Flag.NOISY_TIMING not in self.evaluation.flags, self.ratio


@dataclass(frozen=True)
class Spent:
    """What a run has used so far, all its sessions together."""

    money: float = 0.0
    """Dollars, as far as prices are known; lost calls with the most they can have cost."""
    lost_money: float = 0.0
    """The part of it that is only the most that calls lost with a process can have cost."""
    unpriced_calls: int = 0
    tokens: int = 0
    calls: int = 0
    seconds: float = 0.0


def source_hash(source: str) -> str:
    """The hash by which identical candidates are found."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def read_request(connection: Connection, content: str) -> Request:
    """The request that a call's column ``request`` describes."""
    data = json.loads(content)
    data["system"] = read_text(connection, data["system"])
    data["messages"] = [json.loads(read_text(connection, item)) for item in data["messages"]]
    data["tools"] = json.loads(read_text(connection, data["tools"]))
    return Request.model_validate(data)


def keep_request(connection: Connection, request: Request) -> str:
    """The request with its long parts as hashes of texts.

    A conversation's turns are in all its later requests, and the system prompt in all of a run.
    """
    data = request.model_dump(mode="json")
    data["system"] = keep_text(connection, request.system)
    data["messages"] = [
        keep_text(connection, message.model_dump_json()) for message in request.messages
    ]
    data["tools"] = keep_text(connection, json.dumps(data["tools"]))
    return json.dumps(data)


def stored_call(connection: Connection, row: Row[Any]) -> StoredCall:
    """A finished call from its row."""
    answer = Answer.model_validate_json(read_text(connection, row.answer))
    return StoredCall(row.id, answer, row.cost, row.served_from is not None)


def stored_attempt(connection: Connection, row: Row[Any]) -> StoredAttempt:
    """An attempt from its row."""
    candidate = None
    if row.candidate is not None:
        candidate = load_candidate(read_text(connection, row.candidate))
    return StoredAttempt(
        row.problem,
        row.slot,
        row.number,
        row.model,
        row.kind,
        tuple(json.loads(row.parents)),
        candidate,
        Evaluation.model_validate_json(read_text(connection, row.evaluation)),
        row.call_id,
    )


def dump_candidate(candidate: Candidate) -> str:
    """What the column ``candidate`` names: JSON that `load_candidate` reads."""
    return json.dumps(
        {
            "source": candidate.source,
            "kernels": dict(candidate.kernels),
            "origin": candidate.origin,
            "notes": list(candidate.notes),
        }
    )


def load_candidate(content: str) -> Candidate:
    """The candidate that an attempt's column ``candidate`` names."""
    data = json.loads(content)
    return Candidate(data["source"], data["kernels"], data["origin"], tuple(data["notes"]))


def add_known(left: Any, right: Any) -> Any:
    """The sum of two figures, None being a figure that is not known."""
    return right if left is None else left if right is None else left + right
