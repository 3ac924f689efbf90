"""Choosing problems of a suite: by level, number, name and tag."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """Filters; a problem has to pass each that is given, by any of its values."""

    levels: tuple[int, ...] = ()
    numbers: tuple[range, ...] = ()
    only: tuple[str, ...] = ()
    """Parts of names."""
    tags: tuple[str, ...] = ()

    def accepts(
        self, name: str, level: int | None, number: int | None, tags: tuple[str, ...]
    ) -> bool:
        """Whether a problem is chosen."""
        return (
            (not self.levels or level in self.levels)
            and (not self.numbers or any(number in one for one in self.numbers))
            and (not self.only or any(part in name for part in self.only))
            and (not self.tags or not set(self.tags).isdisjoint(tags))
        )

    def __str__(self) -> str:
        """As options of the command line; empty if nothing is filtered."""
        words = [
            *(f"--level {level}" for level in self.levels),
            *(f"--number {_range_text(one)}" for one in self.numbers),
            *(f"--only {part}" for part in self.only),
            *(f"--tag {tag}" for tag in self.tags),
        ]
        return " ".join(words)


def parse_numbers(text: str) -> range:
    """``7`` or ``1-10``, the end included.

    Raises:
        ValueError: it is neither.
    """
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", text)
    if match is None:
        raise ValueError(f"{text!r} is neither a number nor a range such as 1-10")
    first = int(match.group(1))
    last = int(match.group(2) or first)
    if last < first:
        raise ValueError(f"the range {text!r} is empty")
    return range(first, last + 1)


def problem_number(name: str) -> int | None:
    """KernelBench's problem id, from a file's name: ``23`` of ``23_Softmax``."""
    match = re.match(r"(?:level[ _-]?\d+-)?(\d+)_", name)
    return int(match.group(1)) if match else None


def _range_text(one: range) -> str:
    return str(one.start) if len(one) == 1 else f"{one.start}-{one.stop - 1}"
