"""Any program that reads a prompt on standard input and writes an answer, such as an assistant."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from metalwright.errors import user_error
from metalwright.generation.failures import ProviderError
from metalwright.generation.keys import without_keys
from metalwright.generation.messages import (
    Answer,
    Request,
    Text,
    TokenCount,
    Usage,
    estimate_tokens,
)

# An assistant that explores on its own works for many minutes.
SECONDS = 1800.0
_MAX_ANSWER = 8 << 20


class CommandProvider:
    """Runs the program once per call, without a shell and in a session of its own.

    It is the user's own program and keeps the user's environment: what it logs in with is there.
    """

    def __init__(self, command: Sequence[str], seconds: float = SECONDS) -> None:
        if not command:
            raise user_error("bad-option", option="--model", reason="command: names no program")
        self._command = tuple(command)
        self._seconds = seconds

    async def complete(self, request: Request) -> Answer:
        """See `Provider`. The program is paid by the user in its own way: no tokens are counted."""
        if request.tools:
            raise ProviderError("bad-request", "a command cannot be given tools")
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ProviderError("program", f"{self._command[0]}: {error.strerror}") from None
        try:
            output, errors = await asyncio.wait_for(
                process.communicate(write_prompt(request).encode()), self._seconds
            )
        except asyncio.TimeoutError:
            raise ProviderError(
                "timeout", f"{self._command[0]} took longer than {self._seconds:g} s"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode != 0:
            last = errors.decode("utf-8", "replace").strip().splitlines()[-1:]
            reason = last[0] if last else "no message"
            raise ProviderError(
                "program",
                without_keys(f"{self._command[0]} ended with {process.returncode}: {reason}"),
            )
        if len(output) > _MAX_ANSWER:
            raise ProviderError("malformed", f"an answer of {len(output)} bytes")
        text = output.decode("utf-8", "replace")
        return Answer(
            parts=(Text(text=text),),
            stop="end",
            usage=Usage(input=estimate_tokens(request).tokens, output=len(text) // 3 + 1),
            model=self._command[0],
            usage_estimated=True,
        )

    async def count_tokens(self, request: Request) -> TokenCount:
        """See `Provider`."""
        return estimate_tokens(request)

    async def close(self) -> None:
        """Nothing stays open between calls."""


def write_prompt(request: Request) -> str:
    """A request as one text, for a reader that has no roles."""
    turns = [request.system] if request.system else []
    for message in request.messages:
        title = "" if message.role == "user" else "Your earlier answer:\n\n"
        turns.append(title + message.text)
    return "\n\n".join(turns) + "\n"
