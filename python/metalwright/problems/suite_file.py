"""Suite files: TOML that says which problems belong together, and with what constants.

Every mistake in one is reported with the file, the line and the key.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import tomli
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from metalwright.errors import Error, user_error
from metalwright.problems.problem import read_text
from metalwright.problems.selection import parse_numbers
from metalwright.problems.source import parse_override

Constant = bool | int | float | str


def _check_literals(value: dict[str, Constant]) -> dict[str, Constant]:
    for name, item in value.items():
        try:
            parse_override(f"{name}={constant_text(item)}")
        except Error as error:
            raise ValueError(error.message.partition(": ")[2]) from None
    return value


Constants = Annotated[dict[str, Constant], AfterValidator(_check_literals)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourcePart(_Part):
    """``[[source]]``: where problems come from. Paths are relative to the suite file."""

    path: str | None = None
    """A problem file, a folder of them, a KernelBench checkout."""
    dataset: str | None = None
    """A data set of KernelBench's columns: its name, or a folder."""
    levels: tuple[int, ...] = ()
    numbers: tuple[int | str, ...] = ()
    only: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Given to all problems of this source."""

    @model_validator(mode="after")
    def _one_place(self) -> SourcePart:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("give either path or dataset")
        return self

    @field_validator("numbers")
    @classmethod
    def _are_numbers(cls, value: tuple[int | str, ...]) -> tuple[int | str, ...]:
        for item in value:
            parse_numbers(str(item))
        return value


class ProblemPart(_Part):
    """``[problems.NAME]``: what is special about one problem."""

    constants: Constants = {}
    tags: tuple[str, ...] = ()
    level: int | None = Field(default=None, ge=1)


class ExcludePart(_Part):
    """``[[exclude]]``: a problem that is left out, and why."""

    name: str
    reason: str = Field(min_length=1)


class SuiteFile(_Part):
    """A whole suite file."""

    name: str = Field(min_length=1)
    source: tuple[SourcePart, ...] = Field(min_length=1)
    constants: Constants = {}
    """For all problems that have a constant of that name."""
    problems: dict[str, ProblemPart] = {}
    exclude: tuple[ExcludePart, ...] = ()


def read_suite_file(path: Path) -> SuiteFile:
    """Reads a suite file.

    Raises:
        Error: ``no-such-path``, ``unreadable-file``, ``bad-suite-file``.
    """
    text = read_text(path)
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise user_error("bad-suite-file", where=path, reason=error) from None
    try:
        return SuiteFile.model_validate(data)
    except ValidationError as error:
        # A misspelt key is unknown, and the right one missing: the misspelt one is the news.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        location = tuple(first["loc"])
        key = ".".join(str(part) for part in location)
        unknown = first["type"] == "extra_forbidden"
        reason = "there is no such key" if unknown else first["msg"].removeprefix("Value error, ")
        line = line_of(text, location)
        where = f"{path}:{line}" if line else str(path)
        raise user_error(
            "bad-suite-file", where=where, reason=f"{key}: {reason}" if key else reason
        ) from None


def constant_text(value: Constant) -> str:
    """A constant as Python source: numbers as they are, a string is source text itself."""
    return value if isinstance(value, str) else repr(value)


def line_of(text: str, location: tuple[int | str, ...]) -> int | None:
    """The line in which a key (or the table that lacks it) stands; None if it is not found.

    TOML parsers give no places for what is valid TOML, so the headers are looked for in the text.
    """
    keys = [part for part in location if isinstance(part, str)]
    index = next((part for part in location if isinstance(part, int)), 0)
    header: list[str] = []
    seen: dict[str, int] = {}
    table_line = None
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line)
        if found:
            header = [part.strip().strip("\"'") for part in _dotted(found.group(2))]
            if found.group(1) == "[[":
                name = ".".join(header)
                seen[name] = seen.get(name, -1) + 1
            if keys[: len(header)] == header and seen.get(".".join(header), index) == index:
                table_line = number
            continue
        if keys[: len(header)] != header or seen.get(".".join(header), index) != index:
            continue
        rest = keys[len(header) :]
        key = re.match(r"\s*(\"[^\"]*\"|'[^']*'|[\w-]+)\s*=", line)
        if rest and key and key.group(1).strip("\"'") == rest[0]:
            return number
    return table_line


def _dotted(text: str) -> list[str]:
    return re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", text)
