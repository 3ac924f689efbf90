"""Calling a model until it answers: retries, concurrency, rate limits. No budget, no store."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import anyio

from metalwright.generation.catalogue import Endpoint, ModelFacts, ModelName
from metalwright.generation.failures import ProviderError
from metalwright.generation.messages import Answer, Request, TokenCount, Usage, estimate_tokens
from metalwright.generation.provider import Provider

# A call that goes on for longer is given up: models write at least some 20 tokens a second.
CALL_SECONDS = 3600.0


@dataclass(frozen=True)
class Try:
    """One try of a call, as the store keeps it."""

    number: int
    seconds: float
    error: str | None = None
    message: str = ""
    usage: Usage = field(default_factory=Usage)


class TryObserver(Protocol):
    """Is told of a call's tries as they happen."""

    async def before(self) -> None:
        """It is this call's turn, and a try is about to be made; may wait, or raise instead."""

    def after(self, attempt: Try) -> None:
        """A try has ended."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after how long a call is tried again."""

    tries: int = 8
    first_wait: float = 1.0
    longest_wait: float = 60.0

    def wait(self, number: int, error: ProviderError) -> float:
        """Seconds before the try after `number` (from 1).

        The server's own wish is a lower bound; the rest is exponential with half of it random, so
        that many calls that were refused together do not come back together.
        """
        backoff: float = min(self.first_wait * 2 ** (number - 1), self.longest_wait)
        backoff *= 0.5 + random.random() / 2
        return max(backoff, error.retry_after or 0.0)


class Limiter:
    """At most so many calls at a time, and so many calls and tokens a minute, at one endpoint."""

    def __init__(self, endpoint: Endpoint | None, concurrency: int | None = None) -> None:
        at_once = concurrency or (endpoint.concurrency if endpoint else 4)
        self._slots = anyio.Semaphore(at_once)
        self._requests = _Bucket(endpoint.requests_per_minute if endpoint else None)
        self._tokens = _Bucket(endpoint.tokens_per_minute if endpoint else None)
        self._paused_until = 0.0

    async def run(self, tokens: int, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Waits for its turn, then calls."""
        async with self._slots:
            await self._requests.take(1)
            await self._tokens.take(tokens)
            while (wait := self._paused_until - time.monotonic()) > 0:
                await anyio.sleep(wait)
            return await call()

    def pause(self, seconds: float) -> None:
        """The server wants to be left alone: by all calls, not only by the one it told."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)


class _Bucket:
    """Lets so much through per minute; what was not used in a minute is lost."""

    def __init__(self, per_minute: float | None) -> None:
        self._per_minute = per_minute
        self._level = per_minute or 0.0
        self._then = time.monotonic()

    async def take(self, amount: float) -> None:
        if self._per_minute is None:
            return
        now = time.monotonic()
        self._level = min(
            self._per_minute, self._level + (now - self._then) / 60 * self._per_minute
        )
        self._then = now
        # A request larger than a minute's worth passes once the bucket is full; the level goes
        # below zero, and those behind it wait the longer.
        self._level -= min(amount, self._per_minute)
        if self._level < 0:
            await anyio.sleep(-self._level / self._per_minute * 60)


class ModelClient:
    """One model, called as often as it takes."""

    def __init__(
        self,
        name: ModelName,
        facts: ModelFacts,
        provider: Provider,
        limiter: Limiter,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.name = name
        self.facts = facts
        self._provider = provider
        self._limiter = limiter
        self._policy = policy or RetryPolicy()

    async def count_tokens(self, request: Request) -> TokenCount:
        """How long the prompt is; an estimate where counting is not possible or has failed."""
        try:
            return await self._provider.count_tokens(request)
        except ProviderError:
            return estimate_tokens(request)

    async def complete(self, request: Request, observer: TryObserver) -> Answer:
        """Asks until there is an answer, or asking again is of no use.

        Raises:
            ProviderError: the last try's.
        """
        number = 0
        while True:
            number += 1
            try:
                call = partial(self._try, request, observer, number)
                return await self._limiter.run(estimate_tokens(request).tokens, call)
            except ProviderError as error:
                if not error.passing or number >= self._policy.tries:
                    raise
                wait = self._policy.wait(number, error)
                if error.kind == "rate-limited" and error.retry_after:
                    self._limiter.pause(error.retry_after)
                await anyio.sleep(wait)

    async def _try(self, request: Request, observer: TryObserver, number: int) -> Answer:
        await observer.before()
        start = time.monotonic()
        try:
            with anyio.fail_after(CALL_SECONDS):
                answer = await self._provider.complete(request)
        except TimeoutError:
            error = ProviderError("timeout", f"no whole answer within {CALL_SECONDS:g} s")
            observer.after(_failed(number, start, error))
            raise error from None
        except ProviderError as error:
            observer.after(_failed(number, start, error))
            raise
        observer.after(Try(number, time.monotonic() - start, usage=answer.usage))
        return answer

    async def close(self) -> None:
        """Closes the provider's connections."""
        await self._provider.close()


def _failed(number: int, start: float, error: ProviderError) -> Try:
    return Try(
        number,
        time.monotonic() - start,
        error.kind,
        error.message,
        error.usage or Usage(),
    )
