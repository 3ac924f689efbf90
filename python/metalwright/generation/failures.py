"""How a call of a model can fail, as plain data that the retries and the store understand."""

from __future__ import annotations

from typing import Literal, get_args

from metalwright.generation.messages import Usage

FailureKind = Literal[
    "overloaded",
    "rate-limited",
    "server",
    "connection",
    "timeout",
    "malformed",
    "authentication",
    "not-found",
    "bad-request",
    "too-long",
    "refused",
    "program",
]
FAILURE_KINDS: tuple[str, ...] = get_args(FailureKind)

_PASSING = {"overloaded", "rate-limited", "server", "connection", "timeout", "malformed"}


class ProviderError(Exception):
    """One try of a call has failed."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        retry_after: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        """Seconds that the server asks to wait."""
        self.usage = usage
        """Tokens that were counted before it happened; they are paid for."""

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind in _PASSING


def kind_of_status(status: int) -> FailureKind:
    """What an HTTP status means for a call."""
    known: dict[int, FailureKind] = {
        401: "authentication",
        403: "authentication",
        404: "not-found",
        408: "timeout",
        413: "too-long",
        429: "rate-limited",
        503: "overloaded",
        504: "timeout",
        529: "overloaded",
    }
    return known.get(status, "server" if status >= 500 else "bad-request")


def kind_of_exception(error: Exception) -> FailureKind:
    """What an exception from below a vendor's SDK means for a call.

    While a stream is read, the HTTP library's and the JSON reader's own errors come through.
    """
    if "Timeout" in type(error).__name__:
        return "timeout"
    if type(error).__module__.split(".")[0].startswith("http"):
        return "connection"
    return "malformed"


def read_retry_after(value: str | None) -> float | None:
    """The header ``retry-after`` in seconds; a date in it is not used by the providers here."""
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < 3600 else None
