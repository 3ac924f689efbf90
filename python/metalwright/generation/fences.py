"""Fenced blocks of an answer, as CommonMark has them, with what models make of that."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)$")


@dataclass(frozen=True)
class Block:
    """One way to read a block: from an opening fence to one of the closing fences behind it."""

    info: str
    """The first word behind the opening fence, in lower case."""
    text: str
    first_line: int
    closed: bool


def split_lines(text: str) -> list[str]:
    """Lines by any line end; nothing else that Python takes for one (form feeds) divides code."""
    return re.split(r"\r\n|\n|\r", text)


def blocks(text: str) -> Iterator[Block]:
    """All blocks by the rules, in order."""
    lines = split_lines(text)
    at = 0
    while at < len(lines):
        opening = _opening(lines[at])
        if opening is None:
            at += 1
            continue
        end = next(_closings(lines, at, opening), len(lines))
        yield _block(lines, at, end, opening)
        at = end + 1


def longer_readings(text: str, block: Block, limit: int = 20) -> Iterator[Block]:
    """The block with each later closing fence as its end.

    Code that holds fences itself (Markdown in a docstring) ends too early by the rules.
    """
    lines = split_lines(text)
    opening = _opening(lines[block.first_line])
    assert opening is not None
    for count, end in enumerate(_closings(lines, block.first_line, opening)):
        if count > limit:
            return
        if count > 0:
            yield _block(lines, block.first_line, end, opening)


def _opening(line: str) -> re.Match[str] | None:
    match = _FENCE.match(line)
    # A backtick fence with backticks behind it is code within a line.
    if match is None or (match["mark"][0] == "`" and "`" in match["info"]):
        return None
    return match


def _closings(lines: list[str], start: int, opening: re.Match[str]) -> Iterator[int]:
    mark = opening["mark"]
    for index in range(start + 1, len(lines)):
        stripped = lines[index].strip()
        if len(stripped) >= len(mark) and set(stripped) == {mark[0]}:
            yield index


def _block(lines: list[str], start: int, end: int, opening: re.Match[str]) -> Block:
    words = opening["info"].strip().lower().lstrip("{.").split()
    info = re.split(r"[^\w+-]", words[0])[0] if words else ""
    text = "\n".join(lines[start + 1 : end]) + "\n"
    # A fence within a list item is indented, and its content with it.
    if opening["indent"]:
        text = textwrap.dedent(text)
    return Block(info, text, start, end < len(lines))
