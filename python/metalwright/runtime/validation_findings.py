"""What Metal's validation layers print, as structured findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Printed once per process by the layer itself. Without it nothing was validated, whatever the rest
# of the output looks like.
SHADER_VALIDATION_BANNER = "Metal GPU Validation Enabled"

_ACCESS = re.compile(
    r"Invalid (?P<space>[a-z]+)(?: memory)? (?P<access>load|store|read|write|access|atomic\w*)"
)
_OFFSET = re.compile(r"\bat offset (?P<offset>\d+)")
_KERNEL = re.compile(r"executing (?:kernel )?function:? \"(?P<kernel>[^\"]+)\"")
_BUFFER = re.compile(r"^\s*buffer:\s*(?P<buffer>.*?),\s*length:\s*(?P<length>\d+)")
_PLACE = re.compile(r"(?P<file>[^\s:]+):(?P<line>\d+):(?P<column>\d+)")
_ASSERTION = re.compile(r"(?P<check>\w+):?\]?:\d+: failed assertion [`'](?P<text>.*?)'?\s*$")


@dataclass(frozen=True)
class Finding:
    """One thing that a validation layer objected to.

    ``kind`` is "invalid-access" (the shader layer: a kernel accessed memory outside of what is
    bound) or "assertion" (the debug layer: the API was misused). For an access, ``access`` is
    "load", "store" or "atomic", ``address_space`` is "device", "constant" or "threadgroup",
    ``offset`` counts in bytes from the start of the buffer, and ``buffer`` and ``length`` are its
    label and bytes. What a line does not say is None. ``line`` and ``column`` are in the Metal
    source. ``count`` is how often the same was said; `text` is it.
    """

    kind: str
    text: str
    access: str | None = None
    address_space: str | None = None
    offset: int | None = None
    kernel: str | None = None
    buffer: str | None = None
    length: int | None = None
    line: int | None = None
    column: int | None = None
    count: int = 1


def _access_kind(word: str) -> str:
    known = {"read": "load", "write": "store"}
    return "atomic" if word.startswith("atomic") else known.get(word, word)


def _number(match: re.Match[str] | None, group: str) -> int | None:
    return None if match is None else int(match[group])


def _findings(lines: list[str]) -> Iterator[Finding]:
    for number, line in enumerate(lines):
        assertion = _ASSERTION.search(line)
        if assertion is not None:
            yield Finding("assertion", f"{assertion['check']}: {assertion['text']}")
            continue
        # Anywhere in the line: the layer writes while others are in the middle of theirs.
        found = _ACCESS.search(line)
        if found is None:
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        buffer = _BUFFER.match(following)
        kernel = _KERNEL.search(line)
        place = _PLACE.search(line, found.end())
        yield Finding(
            "invalid-access",
            line[found.start() :].strip(),
            access=_access_kind(found["access"]),
            address_space=found["space"],
            offset=_number(_OFFSET.search(line), "offset"),
            kernel=None if kernel is None else kernel["kernel"],
            buffer=None if buffer is None else buffer["buffer"],
            length=_number(buffer, "length"),
            line=_number(place, "line"),
            column=_number(place, "column"),
        )


def parse_findings(stderr: str) -> tuple[Finding, ...]:
    """The findings in what a process under validation wrote to stderr, each distinct one once."""
    counted: dict[Finding, int] = {}
    for finding in _findings(stderr.splitlines()):
        counted[finding] = counted.get(finding, 0) + 1
    return tuple(Finding(**{**vars(finding), "count": count}) for finding, count in counted.items())
