"""Applying what a model gives as changes: unified diffs and search/replace blocks.

Models miscount: line numbers of hunks are ignored, and a hunk goes where its old lines stand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metalwright.generation.fences import split_lines

_REPLACEMENT = re.compile(
    r"^<{5,9} ?SEARCH[^\n]*\n(?P<old>.*?)^={5,9}[^\n]*\n(?P<new>.*?)^>{5,9} ?REPLACE[^\n]*$",
    re.M | re.S,
)


class PatchError(Exception):
    """The change does not fit; the message is for the model."""


@dataclass(frozen=True)
class _Hunk:
    old: list[str]
    new: list[str]


def is_patch(text: str) -> bool:
    """Whether a text consists of changes to another."""
    return _REPLACEMENT.search(text) is not None or bool(
        re.search(r"^@@", text, re.M) and re.search(r"^[+-](?![+-]{2} )", text, re.M)
    )


def apply_patch(text: str, patch: str) -> str:
    """The text with the changes made.

    Raises:
        PatchError: nothing in it is a change, or one does not fit, or fits in several places.
    """
    lines = split_lines(text)
    hunks = _hunks(patch)
    if not hunks:
        raise PatchError("there is no change in the patch")
    at = 0
    for number, hunk in enumerate(hunks, 1):
        place = _find(lines, hunk.old, at, number)
        lines[place : place + len(hunk.old)] = hunk.new
        at = place + len(hunk.new)
    return "\n".join(lines)


def _hunks(patch: str) -> list[_Hunk]:
    patch = "\n".join(split_lines(patch)).rstrip("\n") + "\n"
    replacements = list(_REPLACEMENT.finditer(patch))
    if replacements:
        return [
            _Hunk(match["old"].split("\n")[:-1], match["new"].split("\n")[:-1])
            for match in replacements
        ]
    hunks: list[_Hunk] = []
    inside = False
    for line in patch.split("\n")[:-1]:
        if line.startswith("@@"):
            hunks.append(_Hunk([], []))
            inside = True
        elif line.startswith(("diff ", "index ", "--- ", "+++ ")):
            inside = False
        elif inside and not line.startswith("\\"):
            # An empty line of context often loses its blank.
            kind, rest = (line[0], line[1:]) if line else (" ", "")
            if kind not in " +-":
                kind, rest = " ", line
            if kind in " -":
                hunks[-1].old.append(rest)
            if kind in " +":
                hunks[-1].new.append(rest)
    return [hunk for hunk in hunks if hunk.old != hunk.new]


def _find(lines: list[str], old: list[str], at: int, number: int) -> int:
    if not any(line.strip() for line in old):
        raise PatchError(f"change {number} has no line to find its place by")
    for same in (_equal, _equal_but_blanks):
        places = [
            start
            for start in range(len(lines) - len(old) + 1)
            if all(same(a, b) for a, b in zip(lines[start : start + len(old)], old, strict=True))
        ]
        behind = [place for place in places if place >= at]
        if len(places) == 1:
            return places[0]
        # Changes come in the order of the file: the next place is meant, if there is one.
        if behind and at > 0:
            return behind[0]
        if places:
            raise PatchError(
                f"change {number} fits in {len(places)} places; give more lines around it"
            )
    first = next(line for line in old if line.strip())
    raise PatchError(f"change {number} does not fit: there is no such place as {first.strip()!r}")


def _equal(left: str, right: str) -> bool:
    return left == right


def _equal_but_blanks(left: str, right: str) -> bool:
    return left.strip() == right.strip()
