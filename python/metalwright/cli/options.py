"""Options that several commands take, and how their texts are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.errors import user_error

if TYPE_CHECKING:
    from metalwright.evaluation import Settings

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MIN_MEMORY = 512 << 20

Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="KIND",
        help="cpu, metal or cuda; see `metalwright devices`. "
        "By default METALWRIGHT_DEVICE, or the best one there is.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a module-level constant of the problems, such as BATCH=4. Can be repeated.",
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="Draws of the inputs to compare.")]
Deadline = Annotated[
    float,
    typer.Option(
        "--deadline", metavar="SECONDS", help="For one step: loading, constructing, one call."
    ),
]
MemoryLimit = Annotated[
    str,
    typer.Option("--memory-limit", metavar="SIZE", help="Of one worker process, such as 4G."),
]
TimingSeconds = Annotated[
    float,
    typer.Option(
        "--timing-seconds", metavar="SECONDS", help="To spend on timing each candidate; 0: none."
    ),
]

DEFAULT_SEEDS = 5
DEFAULT_DEADLINE = 60.0
DEFAULT_MEMORY = "8G"
DEFAULT_TIMING = 2.0


def read_settings(
    device: str | None, seeds: int, deadline: float, memory_limit: str, timing_seconds: float
) -> Settings:
    """The judge's settings from the texts of the options.

    Raises:
        Error: ``bad-option``.
    """
    from metalwright.evaluation import Settings
    from metalwright.runtime import default_device

    if not deadline > 0:
        raise user_error("bad-option", option="--deadline", reason=f"{deadline:g} is not above 0")
    if timing_seconds < 0:
        raise user_error(
            "bad-option", option="--timing-seconds", reason=f"{timing_seconds:g} is below 0"
        )
    return Settings(
        device=device or default_device(),
        seeds=seeds,
        deadline=deadline,
        memory_limit=read_size(memory_limit, "--memory-limit"),
        timing=timing_seconds > 0,
        timing_seconds=timing_seconds or DEFAULT_TIMING,
    )


def read_size(text: str, option: str) -> int:
    """A number of bytes: ``4G``, ``512M``, ``1.5GiB``, ``2000000000``.

    Raises:
        Error: ``bad-option``.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise user_error("bad-option", option=option, reason=f"{text!r} is no size such as 4G")
    size = int(float(match.group(1)) * _UNITS[match.group(2).upper()])
    if size < _MIN_MEMORY:
        raise user_error(
            "bad-option", option=option, reason=f"{text} is too little; Python and torch need 512M"
        )
    return size


def read_overrides(texts: list[str] | None) -> dict[str, str]:
    """The ``--set`` options as name and Python source text.

    Raises:
        Error: ``bad-override``.
    """
    from metalwright.problems import parse_override

    return dict(parse_override(text) for text in texts or ())
