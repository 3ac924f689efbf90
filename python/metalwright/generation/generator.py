"""The interface of everything that proposes candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from metalwright.generation.candidate import Candidate
    from metalwright.problems import Problem


@runtime_checkable
class Generator(Protocol):
    """Proposes a candidate for a problem. Never runs the problem's code in its own process."""

    @property
    def name(self) -> str:
        """How the command line calls it."""
        ...

    def generate(self, problem: Problem) -> Candidate:
        """Proposes a candidate.

        Raises:
            Error: with a stable code: the problem is one this generator cannot take, its code
                raised, or the generator itself failed (``generator-failed``).
        """
        ...

    def cancel(self) -> None:
        """Has a `generate` that runs on another thread end soon, with an `Error`."""
        ...
