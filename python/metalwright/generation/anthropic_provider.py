"""Anthropic's Messages API through the official SDK: streamed, with caching, thinking and tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic

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
    Opaque,
    Part,
    Request,
    StopReason,
    Text,
    TokenCount,
    ToolCall,
    ToolResult,
    Usage,
)

# Seconds of silence on an open stream. Servers send pings while a model thinks.
IDLE_SECONDS = 180.0
_CONNECT_SECONDS = 20.0
_STOPS: dict[str, StopReason] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool-use",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
# For models that are asked with a number of tokens to think: what the efforts mean.
_THINKING_TOKENS = {"low": 4_000, "medium": 12_000, "high": 24_000, "xhigh": 48_000, "max": 64_000}


class AnthropicProvider:
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
        self._client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=base_url,
            max_retries=0,
            timeout=anthropic.Timeout(idle_seconds, connect=_CONNECT_SECONDS),
        )

    async def complete(self, request: Request) -> Answer:
        """See `Provider`."""
        reading = _Reading()
        with _failures(reading):
            body = {**self._body(request), "max_tokens": request.max_tokens}
            if request.temperature is not None:
                # Not an argument of the SDK's any more, since newer models refuse it.
                body["extra_body"] = {"temperature": request.temperature}
            stream = await self._client.messages.create(**body, stream=True)
            async with stream:
                async for event in stream:
                    reading.take(event)
        return reading.answer()

    async def count_tokens(self, request: Request) -> TokenCount:
        """See `Provider`."""
        with _failures(_Reading()):
            counted = await self._client.messages.count_tokens(**self._body(request))
        return TokenCount(tokens=counted.input_tokens, exact=True, method="counted by Anthropic")

    async def close(self) -> None:
        """See `Provider`."""
        await self._client.close()

    def _body(self, request: Request) -> dict[str, Any]:
        """What is sent for counting and for answering alike."""
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [_message(message) for message in request.messages],
        }
        if request.system:
            # The fixed part of every prompt of a run: written to the cache once, then read.
            body["system"] = [
                {
                    "type": "text",
                    "text": request.system,
                    "cache_control": {"type": "ephemeral"},
                }
            ]
        if request.tools:
            body["tools"] = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": tool.parameters,
                }
                for tool in request.tools
            ]
        if len(request.messages) > 1:
            # A conversation grows at its end: what was sent before is read from the cache.
            body["messages"][-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        if self._facts.thinking == "adaptive":
            body["thinking"] = {"type": "adaptive", "display": "summarized"}
            if request.effort is not None:
                body["output_config"] = {"effort": request.effort}
        elif self._facts.thinking == "budget" and request.effort is not None:
            tokens = _THINKING_TOKENS.get(request.effort, _THINKING_TOKENS["medium"])
            # It has to leave room for the answer itself.
            tokens = min(tokens, request.max_tokens // 2)
            if tokens >= 1024:
                body["thinking"] = {"type": "enabled", "budget_tokens": tokens}
        return body


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": [_block(part) for part in message.parts]}


def _block(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case ToolCall():
            return {
                "type": "tool_use",
                "id": part.id,
                "name": part.name,
                "input": part.arguments,
            }
        case ToolResult():
            return {
                "type": "tool_result",
                "tool_use_id": part.id,
                "content": part.text,
                "is_error": part.is_error,
            }
        case Opaque():
            return dict(part.data)


class _Reading:
    """The events of a stream put together."""

    def __init__(self) -> None:
        self._blocks: dict[int, dict[str, Any]] = {}
        self._json: dict[int, str] = {}
        self._usage: dict[str, int | None] = {}
        self._model = ""
        self._stop: str | None = None
        self._detail = ""
        self._ended = False

    def take(self, event: Any) -> None:
        """One event. Kinds that are not known are of no concern."""
        match event.type:
            case "message_start":
                self._model = event.message.model
                self._note(event.message.usage)
            case "content_block_start":
                self._blocks[event.index] = event.content_block.model_dump(exclude_none=True)
            case "content_block_delta":
                self._delta(event.index, event.delta)
            case "message_delta":
                self._stop = event.delta.stop_reason
                details = getattr(event.delta, "stop_details", None)
                self._detail = getattr(details, "explanation", None) or ""
                self._note(event.usage)
            case "message_stop":
                self._ended = True

    def _delta(self, index: int, delta: Any) -> None:
        block = self._blocks[index]
        match delta.type:
            case "text_delta":
                block["text"] = block.get("text", "") + delta.text
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + delta.thinking
            case "signature_delta":
                block["signature"] = delta.signature
            case "input_json_delta":
                self._json[index] = self._json.get(index, "") + delta.partial_json

    def _note(self, usage: Any) -> None:
        # Counts grow while the answer is written; a later event leaves out what has not changed.
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ):
            value = getattr(usage, name, None)
            if value is not None:
                self._usage[name] = value
        details = getattr(usage, "output_tokens_details", None)
        thinking = getattr(details, "thinking_tokens", None)
        if thinking is not None:
            self._usage["thinking"] = thinking

    @property
    def usage(self) -> Usage:
        """The tokens counted so far."""
        return Usage(
            input=self._usage.get("input_tokens") or 0,
            cache_read=self._usage.get("cache_read_input_tokens") or 0,
            cache_write=self._usage.get("cache_creation_input_tokens") or 0,
            output=self._usage.get("output_tokens") or 0,
            thinking=self._usage.get("thinking"),
        )

    @property
    def usage_or_none(self) -> Usage | None:
        """None before anything was counted."""
        return self.usage if self._usage else None

    def answer(self) -> Answer:
        """The whole answer.

        Raises:
            ProviderError: the stream ended too early, or makes no sense.
        """
        if not self._ended or self._stop is None:
            raise ProviderError(
                "connection", "the stream ended before the answer did", usage=self.usage_or_none
            )
        if self._stop == "pause_turn":
            raise ProviderError("malformed", "the server paused the answer", usage=self.usage)
        parts: list[Part] = []
        thinking = []
        for index, block in sorted(self._blocks.items()):
            match block["type"]:
                case "text":
                    parts.append(Text(text=block.get("text", "")))
                case "tool_use":
                    parts.append(self._tool_call(index, block))
                case "thinking" | "redacted_thinking":
                    thinking.append(block.get("thinking", ""))
                    parts.append(Opaque(provider="anthropic", data=block))
        return Answer(
            parts=tuple(parts),
            stop=_STOPS.get(self._stop, "end"),
            usage=self.usage,
            model=self._model,
            thinking="\n".join(text for text in thinking if text),
            stop_detail=self._detail,
        )

    def _tool_call(self, index: int, block: dict[str, Any]) -> ToolCall:
        text = self._json.get(index, "")
        try:
            arguments = json.loads(text) if text else block.get("input") or {}
        except ValueError:
            # Cut off by the length limit: the call cannot be made, and the model is told so.
            arguments = {"unreadable": text}
        if not isinstance(arguments, dict):
            arguments = {"unreadable": text}
        return ToolCall(id=block["id"], name=block["name"], arguments=arguments)


@contextmanager
def _failures(reading: _Reading) -> Iterator[None]:
    """Turns everything that the SDK raises into a `ProviderError`."""
    try:
        yield
    except ProviderError:
        raise
    except anthropic.APITimeoutError as error:
        raise _error("timeout", error, reading) from None
    except anthropic.APIStatusError as error:
        raise _of_status(error, reading) from None
    except anthropic.APIConnectionError as error:
        raise _error("connection", error, reading) from None
    except anthropic.APIError as error:
        raise _error("malformed", error, reading) from None
    except Exception as error:
        raise _error(kind_of_exception(error), error, reading) from None


# What the error events of a stream are called; they come with status 200.
_ERROR_TYPES: dict[str, FailureKind] = {
    "overloaded_error": "overloaded",
    "rate_limit_error": "rate-limited",
    "api_error": "server",
    "timeout_error": "timeout",
    "authentication_error": "authentication",
    "permission_error": "authentication",
    "billing_error": "authentication",
    "not_found_error": "not-found",
    "request_too_large": "too-long",
    "invalid_request_error": "bad-request",
}


def _of_status(error: anthropic.APIStatusError, reading: _Reading) -> ProviderError:
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error") if isinstance(body.get("error"), dict) else body
    named = inner.get("type") if isinstance(inner, dict) else None
    kind = kind_of_status(error.status_code)
    # An error event of a stream comes with the status of the stream, which had begun well.
    if error.status_code < 400:
        kind = _ERROR_TYPES.get(named, "server") if isinstance(named, str) else "server"
    if kind == "bad-request" and "prompt is too long" in str(error):
        kind = "too-long"
    after = read_retry_after(error.response.headers.get("retry-after"))
    return _error(kind, error, reading, after)


def _error(
    kind: FailureKind, error: Exception, reading: _Reading, retry_after: float | None = None
) -> ProviderError:
    text = without_keys(str(error) or type(error).__name__)[:2000]
    return ProviderError(kind, text, retry_after=retry_after, usage=reading.usage_or_none)
