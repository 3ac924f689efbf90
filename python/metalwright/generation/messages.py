"""What is asked of a model and what it answers: our own plain data, the same for all providers."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def clean(value: Any) -> Any:
    """The value without halves of surrogate pairs, which JSON can escape and UTF-8 cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(clean(item) for item in value)
    return value


Words = Annotated[str, AfterValidator(clean)]
Values = Annotated[dict[str, Any], AfterValidator(clean)]

StopReason = Literal["end", "length", "tool-use", "refusal"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Data):
    """Words of the user or of the model."""

    type: Literal["text"] = "text"
    text: Words


class ToolCall(_Data):
    """The model wants a tool to be run."""

    type: Literal["tool-call"] = "tool-call"
    id: str
    name: str
    arguments: Values


class ToolResult(_Data):
    """What a tool gave."""

    type: Literal["tool-result"] = "tool-result"
    id: str
    text: Words
    is_error: bool = False


class Opaque(_Data):
    """Something of a provider's own (signed thinking) that has to be sent back unchanged."""

    type: Literal["opaque"] = "opaque"
    provider: str
    data: Values


Part = Annotated[Text | ToolCall | ToolResult | Opaque, Field(discriminator="type")]


class Message(_Data):
    """One turn."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The words in it."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))


class Tool(_Data):
    """A tool that the model may call; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Request(_Data):
    """One call of a model. Two requests with the same hash ask for the same thing."""

    model: str
    """``provider:model``."""
    system: Words
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    max_tokens: int = Field(gt=0)
    """Tokens of the answer, thinking included."""
    effort: str | None = None
    """How hard to think, in the provider's words; None: the model's default."""
    temperature: float | None = None

    @property
    def hash(self) -> str:
        """SHA-256 over everything that is sent."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def characters(self) -> int:
        """The size of the prompt, for estimates."""
        return (
            len(self.system)
            + sum(
                len(part.model_dump_json()) for message in self.messages for part in message.parts
            )
            + sum(len(tool.model_dump_json()) for tool in self.tools)
        )


class Usage(_Data):
    """Tokens by how they are paid. The four are disjoint but for ``thinking``."""

    input: int = 0
    """Neither read from nor written to a cache."""
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    """Thinking included."""
    thinking: int | None = None
    """Those of ``output`` spent on thinking, where the provider says so."""

    @property
    def total(self) -> int:
        """All tokens."""
        return self.input + self.cache_read + self.cache_write + self.output

    def __add__(self, other: Usage) -> Usage:
        known = [n for n in (self.thinking, other.thinking) if n is not None]
        return Usage(
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            output=self.output + other.output,
            thinking=sum(known) if known else None,
        )


class Answer(_Data):
    """What a model answered, whole."""

    parts: tuple[Part, ...]
    stop: StopReason
    usage: Usage
    model: str = ""
    """The model that answered, in the provider's words."""
    thinking: Words = ""
    """What the provider shows of the model's thinking."""
    stop_detail: Words = ""
    """Why it refused, in the provider's words."""
    usage_estimated: bool = False
    """The provider counted no tokens; these are from the number of characters."""

    @property
    def text(self) -> str:
        """The words in it."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools it wants."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


class TokenCount(_Data):
    """How long a prompt is."""

    tokens: int
    exact: bool
    method: str


def user_message(text: str) -> Message:
    """A turn of the user's with nothing but words."""
    return Message(role="user", parts=(Text(text=text),))


# Code in English and Metal has 3 to 4 characters per token with the tokenisers of 2025 and 2026.
# An estimate that a budget relies on has to err upwards.
_CHARACTERS_PER_TOKEN = 2.8


def estimate_tokens(request: Request) -> TokenCount:
    """How long a prompt is at most, from its characters."""
    tokens = int(request.characters / _CHARACTERS_PER_TOKEN) + 1
    return TokenCount(tokens=tokens, exact=False, method=f"characters / {_CHARACTERS_PER_TOKEN:g}")
