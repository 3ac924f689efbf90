"""The budget of a run: reserved before a call, settled after it, never overshot together."""

from __future__ import annotations

import time
from dataclasses import dataclass

import anyio

from metalwright.runs.rows import Spent
from metalwright.search.settings import Limits


class BudgetSpent(Exception):
    """A call was not made because the budget does not allow it."""


@dataclass(frozen=True)
class Reservation:
    """The most that a call under way can use."""

    money: float
    tokens: int


class Budget:
    """What may still be used. All calls of a run go through one of these."""

    def __init__(self, limits: Limits, spent: Spent) -> None:
        self._limits = limits
        self._money = spent.money
        self._tokens = spent.tokens
        self._earlier_seconds = spent.seconds
        self._start = time.monotonic()
        self._reserved: list[Reservation] = []
        self._changed = anyio.Event()

    @property
    def money(self) -> float:
        """Dollars used, calls under way not counted."""
        return self._money

    @property
    def tokens(self) -> int:
        """Tokens used, calls under way not counted."""
        return self._tokens

    @property
    def seconds(self) -> float:
        """Wall time of all sessions."""
        return self._earlier_seconds + time.monotonic() - self._start

    async def reserve(self, most_money: float | None, most_tokens: int) -> Reservation:
        """Sets aside what a call can use at most; waits for calls under way if it must.

        Raises:
            BudgetSpent: even with nothing else under way it is too much.
        """
        reservation = Reservation(most_money or 0.0, most_tokens)
        while True:
            self.check()
            reason = self._too_much(reservation)
            if reason is None:
                self._reserved.append(reservation)
                return reservation
            if not self._reserved:
                raise BudgetSpent(reason)
            await self._changed.wait()

    def check(self) -> None:
        """Raises:
        BudgetSpent: nothing more may be begun.
        """
        seconds = self._limits.seconds
        if seconds is not None and self.seconds >= seconds:
            raise BudgetSpent(f"the budget of {seconds:g} s of wall time is spent")

    def use(self, money: float | None, tokens: int) -> None:
        """A try has ended and has used this."""
        self._money += money or 0.0
        self._tokens += tokens

    def release(self, reservation: Reservation) -> None:
        """The call has ended."""
        self._reserved.remove(reservation)
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def _too_much(self, wanted: Reservation) -> str | None:
        limits = self._limits
        money = self._money + sum(r.money for r in self._reserved)
        if limits.money is not None and money + wanted.money > limits.money:
            return (
                f"the budget of ${limits.money:.2f} does not allow another call: "
                f"${self._money:.4f} are used, and it could cost ${wanted.money:.4f}"
            )
        tokens = self._tokens + sum(r.tokens for r in self._reserved)
        if limits.tokens is not None and tokens + wanted.tokens > limits.tokens:
            return (
                f"the budget of {limits.tokens} tokens does not allow another call: "
                f"{self._tokens} are used, and it could take {wanted.tokens}"
            )
        return None
