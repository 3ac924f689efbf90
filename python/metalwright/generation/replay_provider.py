"""Recorded answers in place of a model: a folder, or the JSON lines that a run was exported to."""

from __future__ import annotations

import json
import re
from pathlib import Path

from metalwright.errors import user_error
from metalwright.generation.failures import ProviderError
from metalwright.generation.messages import (
    Answer,
    Request,
    Text,
    TokenCount,
    Usage,
    estimate_tokens,
)

# The lines by which prompts say what they are about (prompts/task.md.j2, repair.md.j2).
_PROBLEM = re.compile(r"^Problem: (\S+)$", re.M)
_ATTEMPT = re.compile(r"^Attempt: (\d+)$", re.M)
_REPAIR = re.compile(r"^Repair: (\d+)$", re.M)


class ReplayProvider:
    """Answers from files.

    A folder holds ``PROBLEM/N.md`` for attempt N and ``PROBLEM/N-repair-M.md`` for its Mth repair.
    A ``.jsonl`` file holds what ``metalwright export`` wrote, and answers by the request's hash.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise user_error("no-such-path", path=path)
        self._path = path
        self._by_hash = {} if path.is_dir() else _read_export(path)

    async def complete(self, request: Request) -> Answer:
        """See `Provider`."""
        if self._by_hash or not self._path.is_dir():
            recorded = self._by_hash.get(request.hash)
            if recorded is None:
                raise ProviderError(
                    "not-found", f"{self._path} has no answer to this request ({request.hash[:12]})"
                )
            return recorded
        name = answer_name(request)
        file = self._path / f"{name}.md"
        try:
            text = file.read_text("utf-8")
        except OSError:
            raise ProviderError("not-found", f"there is no recorded answer {file}") from None
        return Answer(
            parts=(Text(text=text),),
            stop="end",
            usage=Usage(input=estimate_tokens(request).tokens, output=len(text) // 3 + 1),
            model="replay",
            usage_estimated=True,
        )

    async def count_tokens(self, request: Request) -> TokenCount:
        """See `Provider`."""
        return estimate_tokens(request)

    async def close(self) -> None:
        """Nothing is open."""


def answer_name(request: Request) -> str:
    """Which recorded answer a request asks for: ``PROBLEM/N`` or ``PROBLEM/N-repair-M``.

    Raises:
        ProviderError: the prompt does not say.
    """
    text = "\n".join(message.text for message in request.messages if message.role == "user")
    problem, attempts, repairs = (
        pattern.findall(text) for pattern in (_PROBLEM, _ATTEMPT, _REPAIR)
    )
    if not problem or not attempts:
        raise ProviderError("bad-request", "the prompt names no problem and attempt")
    name = re.sub(r"[^\w.+-]+", "_", problem[0]).lstrip(".")
    return f"{name}/{attempts[-1]}" + (f"-repair-{repairs[-1]}" if repairs else "")


def _read_export(path: Path) -> dict[str, Answer]:
    answers = {}
    try:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if row.get("table") == "calls" and row.get("answer") is not None:
                answers[row["request_hash"]] = Answer.model_validate(row["answer"])
    except (OSError, ValueError, KeyError, AttributeError) as error:
        first = str(error).splitlines()[0]
        raise user_error("unreadable-file", path=path, reason=first) from None
    return answers
