"""What is known of models and endpoints, and the price of a call. The data is in models.toml."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import tomli
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metalwright.errors import user_error
from metalwright.generation.messages import Usage

Protocol = Literal["anthropic", "openai"]
Thinking = Literal["adaptive", "budget", "effort", "none"]
# Sources of candidates that need no entry in the data file.
PROGRAMS = ("command", "replay", "inductor")


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Data):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)
    """None: as dear as other input."""
    cache_write: float | None = Field(default=None, ge=0)

    def of(self, usage: Usage) -> float:
        """Dollars for these tokens."""
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        return (
            usage.input * self.input
            + usage.cache_read * read
            + usage.cache_write * write
            + usage.output * self.output
        ) / 1e6


class LongPrompt(Price):
    """The price of a call whose whole prompt has more than ``above`` tokens."""

    above: int = Field(gt=0)


class ModelFacts(_Data):
    """What is known of a model."""

    context: int | None = None
    max_output: int = 32000
    thinking: Thinking = "none"
    price: Price | None = None
    long_prompt: LongPrompt | None = None

    def cost(self, usage: Usage) -> float | None:
        """Dollars for a call that used this; None: there is no price."""
        prompt = usage.input + usage.cache_read + usage.cache_write
        if self.long_prompt is not None and prompt > self.long_prompt.above:
            return self.long_prompt.of(usage)
        return None if self.price is None else self.price.of(usage)

    def most(self, prompt_tokens: int, max_tokens: int) -> float | None:
        """Dollars that a call can cost at most: nothing of the prompt is cheap, the answer long."""
        asked = self.price
        if self.long_prompt is not None and prompt_tokens > self.long_prompt.above:
            asked = self.long_prompt
        if asked is None:
            return None
        dearest = max(asked.input, asked.cache_write or 0.0)
        return (prompt_tokens * dearest + max_tokens * asked.output) / 1e6


class Endpoint(_Data):
    """Where models are called."""

    protocol: Protocol
    base_url: str | None = None
    key: tuple[str, ...] = ()
    """Environment variables that may hold the key; none: it needs no key."""
    concurrency: int = Field(default=4, ge=1)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    free: bool = False
    """Calls cost nothing: the machine is the user's own."""


class _File(_Data):
    endpoints: dict[str, Endpoint] = {}
    defaults: dict[str, ModelFacts] = {}
    models: dict[str, ModelFacts] = {}


class ModelName(_Data):
    """``provider:model``, taken apart."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}" if self.model else self.provider


class Catalogue:
    """Everything in models.toml with the user's file laid over it."""

    def __init__(self, data: _File) -> None:
        self._data = data

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """By name."""
        return self._data.endpoints

    def parse(self, text: str) -> ModelName:
        """Reads ``provider:model``; without a provider it is Anthropic.

        Raises:
            Error: ``no-such-provider``, ``bad-option``.
        """
        provider, colon, model = text.strip().partition(":")
        if not colon and provider != "inductor":
            provider, model = "anthropic", provider
        if provider not in self._data.endpoints and provider not in PROGRAMS:
            names = ", ".join([*self._data.endpoints, *PROGRAMS])
            raise user_error("no-such-provider", name=provider, names=names)
        if not model and provider != "inductor":
            raise user_error("bad-option", option="--model", reason=f"{text!r} names no model")
        return ModelName(provider=provider, model=model)

    def endpoint(self, name: ModelName) -> Endpoint | None:
        """Where the model is called; None for programs and the offline generator."""
        return self._data.endpoints.get(name.provider)

    def facts(self, name: ModelName) -> ModelFacts:
        """What is known of a model, or what is assumed of one that is not listed."""
        endpoint = self.endpoint(name)
        if endpoint is None:
            return ModelFacts(price=_NOTHING if name.provider != "command" else None)
        known = self._data.models.get(str(name))
        if known is None:
            known = self._data.defaults.get(endpoint.protocol, ModelFacts())
        if endpoint.free and known.price is None:
            known = known.model_copy(update={"price": _NOTHING})
        return known


_NOTHING = Price(input=0, output=0)


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Reads models.toml, and the user's file over it.

    The user's file is `path`, or METALWRIGHT_MODELS, or ~/.config/metalwright/models.toml if it
    is there.

    Raises:
        Error: ``bad-models-file``.
    """
    text = resources.files("metalwright.generation").joinpath("models.toml").read_text("utf-8")
    data = tomli.loads(text)
    own = path or _own_file()
    if own is not None:
        try:
            _lay_over(data, tomli.loads(own.read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise user_error("bad-models-file", path=own, reason=error) from None
    try:
        return Catalogue(_File.model_validate(data))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise user_error(
            "bad-models-file", path=own or "models.toml", reason=f"{place}: {first['msg']}"
        ) from None


def _own_file() -> Path | None:
    named = os.environ.get("METALWRIGHT_MODELS")
    if named:
        return Path(named)
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = folder / "metalwright" / "models.toml"
    return path if path.is_file() else None


def _lay_over(below: dict[str, Any], above: dict[str, Any]) -> None:
    for name, value in above.items():
        # A price is one thing: half of a new one over half of an old one would be neither.
        if isinstance(value, dict) and isinstance(below.get(name), dict) and name != "price":
            _lay_over(below[name], value)
        else:
            below[name] = value
