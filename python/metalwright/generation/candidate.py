"""What a generator proposes for a problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Candidate:
    """One Python file that defines ``ModelNew`` in place of the problem's ``Model``.

    ``source`` is that file's text; it is untrusted and runs in a worker only. ``kernels`` maps each
    kernel's name to its complete MSL text, for people and reports; the file holds the same texts.
    ``origin`` names the generator, and what it was made with; ``notes`` are remarks for the reader,
    such as that the result is random.
    """

    source: str
    kernels: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    notes: tuple[str, ...] = ()
