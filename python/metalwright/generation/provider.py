"""The interface of everything that answers prompts, and which one a model's name means."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Protocol

from metalwright.errors import user_error
from metalwright.generation.catalogue import Catalogue, Endpoint, ModelName
from metalwright.generation.keys import find_key, require_key
from metalwright.generation.messages import Answer, Request, TokenCount


class Provider(Protocol):
    """Answers prompts. One try per call: whoever calls it retries."""

    async def complete(self, request: Request) -> Answer:
        """Asks and waits for the whole answer.

        Raises:
            ProviderError: this try has failed.
        """
        ...

    async def count_tokens(self, request: Request) -> TokenCount:
        """How long the prompt is, exactly where the provider can tell.

        Raises:
            ProviderError: counting has failed.
        """
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...


def needs_key(catalogue: Catalogue, name: ModelName) -> tuple[str, ...]:
    """The names of the keys one of which the model needs and none of which is there."""
    endpoint = catalogue.endpoint(name)
    if endpoint is None or not endpoint.key or find_key(endpoint.key) is not None:
        return ()
    return endpoint.key


def make_provider(catalogue: Catalogue, name: ModelName) -> Provider:
    """Makes what answers for the model.

    Raises:
        Error: ``no-key``, ``missing-package``, ``bad-option``, ``no-such-path``.
    """
    endpoint = catalogue.endpoint(name)
    if endpoint is not None:
        return _of_endpoint(catalogue, name, endpoint)
    if name.provider == "command":
        from metalwright.generation.command_provider import CommandProvider

        return CommandProvider(shlex.split(name.model))
    if name.provider == "replay":
        from metalwright.generation.replay_provider import ReplayProvider

        return ReplayProvider(Path(name.model))
    raise user_error("bad-option", option="--model", reason=f"{name} answers no prompts")


def _of_endpoint(catalogue: Catalogue, name: ModelName, endpoint: Endpoint) -> Provider:
    # A server of the user's own asks for no key, but the SDKs insist on one.
    key = require_key(name.provider, endpoint.key) if endpoint.key else "none"
    facts = catalogue.facts(name)
    try:
        if endpoint.protocol == "anthropic":
            from metalwright.generation.anthropic_provider import AnthropicProvider

            return AnthropicProvider(name.model, key, endpoint.base_url, facts)
        from metalwright.generation.openai_provider import OpenAIProvider

        return OpenAIProvider(name.model, key, endpoint.base_url, facts)
    except ModuleNotFoundError as error:
        raise user_error(
            "missing-package", what=f"models of {name.provider}", package=error.name or "?"
        ) from None
