"""OpenAI's chat completions through the official SDK: OpenAI itself and every compatible server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai

from metalwright.generation.catalogue import ModelFacts
from metalwright.generation.failures import (
    FailureKind,
    ProviderError,
    kind_of_exception,
    kind_of_status,
    read_retry_after,
)
from metalwright.generation.keys import without_keys
from metalwright.generation.messages import (
    Answer,
    Message,
    Part,
    Request,
    StopReason,
    Text,
    TokenCount,
    ToolCall,
    ToolResult,
    Usage,
    estimate_tokens,
)

IDLE_SECONDS = 180.0
_CONNECT_SECONDS = 20.0
_STOPS: dict[str, StopReason] = {
    "stop": "end",
    "length": "length",
    "tool_calls": "tool-use",
    "function_call": "tool-use",
    "content_filter": "refusal",
}


class OpenAIProvider:
    """See `metalwright.generation.provider.Provider`."""

    def __init__(
        self,
        model: str,
        key: str,
        base_url: str | None,
        facts: ModelFacts,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._model = model
        self._facts = facts
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=base_url,
            max_retries=0,
            timeout=openai.Timeout(idle_seconds, connect=_CONNECT_SECONDS),
        )

    async def complete(self, request: Request) -> Answer:
        """See `Provider`."""
        reading = _Reading()
        with _failures(reading):
            stream = await self._client.chat.completions.create(**self._body(request))
            async with stream:
                async for chunk in stream:
                    reading.take(chunk)
        return reading.answer(request)

    async def count_tokens(self, request: Request) -> TokenCount:
        """An estimate: this wire format has no way to ask."""
        return estimate_tokens(request)

    async def close(self) -> None:
        """See `Provider`."""
        await self._client.close()

    def _body(self, request: Request) -> dict[str, Any]:
        messages: list[dict[str, Any]] = []
        if request.system:
            messages.append({"role": "system", "content": request.system})
        for message in request.messages:
            messages.extend(_messages(message))
        body: dict[str, Any] = {
            "model": self._model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._facts.thinking == "effort":
            # Models that think count it into this limit and refuse the older name.
            body["max_completion_tokens"] = request.max_tokens
            if request.effort is not None:
                body["reasoning_effort"] = request.effort
        else:
            body["max_tokens"] = request.max_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.parameters,
                    },
                }
                for tool in request.tools
            ]
        return body


def _messages(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "assistant":
        calls = [
            {
                "id": part.id,
                "type": "function",
                "function": {"name": part.name, "arguments": json.dumps(part.arguments)},
            }
            for part in message.parts
            if isinstance(part, ToolCall)
        ]
        turn: dict[str, Any] = {"role": "assistant", "content": message.text or None}
        if calls:
            turn["tool_calls"] = calls
        yield turn
        return
    # Results come before words: they have to follow the turn that asked for them.
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.id, "content": part.text}
    if message.text:
        yield {"role": "user", "content": message.text}


class _Reading:
    """The chunks of a stream put together."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._stop: str | None = None
        self._usage: Usage | None = None
        self._model = ""

    def take(self, chunk: Any) -> None:
        """One chunk."""
        self._model = chunk.model or self._model
        if chunk.usage is not None:
            self._usage = _usage(chunk.usage)
        for choice in chunk.choices or ():
            if choice.index != 0:
                continue
            delta = choice.delta
            if delta is not None:
                self._delta(delta)
            if choice.finish_reason is not None:
                self._stop = choice.finish_reason

    def _delta(self, delta: Any) -> None:
        if delta.content:
            self._text.append(delta.content)
        if getattr(delta, "refusal", None):
            self._refusal.append(delta.refusal)
        # Compatible servers show thinking under either name.
        thinking = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        if isinstance(thinking, str):
            self._thinking.append(thinking)
        for call in delta.tool_calls or ():
            entry = self._calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
            entry["id"] = call.id or entry["id"]
            if call.function is not None:
                entry["name"] += call.function.name or ""
                entry["arguments"] += call.function.arguments or ""

    @property
    def usage(self) -> Usage | None:
        """What was counted so far."""
        return self._usage

    def answer(self, request: Request) -> Answer:
        """The whole answer.

        Raises:
            ProviderError: the stream ended too early.
        """
        if self._stop is None:
            raise ProviderError(
                "connection", "the stream ended before the answer did", usage=self._usage
            )
        text = "".join(self._text)
        parts: list[Part] = [Text(text=text)] if text else []
        for index, call in sorted(self._calls.items()):
            parts.append(
                ToolCall(
                    id=call["id"] or f"call-{index}",
                    name=call["name"],
                    arguments=_arguments(call["arguments"]),
                )
            )
        usage, estimated = self._usage, False
        if usage is None:
            # Some compatible servers count nothing; a budget has to go on something.
            written = len(text) + sum(map(len, self._thinking))
            usage = Usage(input=estimate_tokens(request).tokens, output=written // 3 + 1)
            estimated = True
        stop = _STOPS.get(self._stop, "end")
        if self._refusal:
            stop = "refusal"
        return Answer(
            parts=tuple(parts),
            stop=stop,
            usage=usage,
            model=self._model,
            thinking="".join(self._thinking),
            stop_detail="".join(self._refusal),
            usage_estimated=estimated,
        )


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {"unreadable": text}
    return value if isinstance(value, dict) else {"unreadable": text}


def _usage(usage: Any) -> Usage:
    prompt = usage.prompt_tokens_details
    completion = usage.completion_tokens_details
    read = (getattr(prompt, "cached_tokens", None) or 0) if prompt else 0
    write = (getattr(prompt, "cache_write_tokens", None) or 0) if prompt else 0
    return Usage(
        input=max(usage.prompt_tokens - read - write, 0),
        cache_read=read,
        cache_write=write,
        output=usage.completion_tokens,
        thinking=getattr(completion, "reasoning_tokens", None) if completion else None,
    )


@contextmanager
def _failures(reading: _Reading) -> Iterator[None]:
    """Turns everything that the SDK raises into a `ProviderError`."""
    try:
        yield
    except ProviderError:
        raise
    except openai.APITimeoutError as error:
        raise _error("timeout", error, reading) from None
    except openai.APIStatusError as error:
        raise _of_status(error, reading) from None
    except openai.APIConnectionError as error:
        raise _error("connection", error, reading) from None
    except openai.APIError as error:
        # An error object in the middle of a stream: the server has given up on this answer.
        raise _error("server", error, reading) from None
    except Exception as error:
        raise _error(kind_of_exception(error), error, reading) from None


def _of_status(error: openai.APIStatusError, reading: _Reading) -> ProviderError:
    kind = kind_of_status(error.status_code)
    code = getattr(error, "code", None)
    if code == "context_length_exceeded":
        kind = "too-long"
    elif code == "insufficient_quota":
        # Comes as 429, but waiting does not fill an account.
        kind = "authentication"
    after = read_retry_after(error.response.headers.get("retry-after"))
    return _error(kind, error, reading, after)


def _error(
    kind: FailureKind, error: Exception, reading: _Reading, retry_after: float | None = None
) -> ProviderError:
    text = without_keys(str(error) or type(error).__name__)[:2000]
    return ProviderError(kind, text, retry_after=retry_after, usage=reading.usage)
