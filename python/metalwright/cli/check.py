"""`metalwright check`: kernels under the sanitiser."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalwright.cli import exits, options
from metalwright.errors import Error, user_error

if TYPE_CHECKING:
    from metalwright.runtime import CheckReport

_ARRAY = re.compile(r"(?P<zeros>zeros:)?(?P<dtype>[a-z]+\d*)\[(?P<shape>\d+(?:,\d+)*)\]")


@exits.reporting
def check_kernels(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.metal|PROBLEM", help="Metal source, or a problem.", show_default=False
        ),
    ],
    candidate: Annotated[
        Path | None,
        typer.Argument(
            metavar="CANDIDATE",
            help="With a problem: a Python file that defines ModelNew. It runs in a process of its "
            "own, with your rights.",
            show_default=False,
        ),
    ] = None,
    kernel: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which kernel, if there are several.")
    ] = None,
    argument: Annotated[
        list[str] | None,
        typer.Option(
            "--arg",
            metavar="NAME=VALUE",
            help="An argument: float32[1000] or int32[8,8] (random), zeros:float32[1000], or a "
            "number or tuple. Can be repeated.",
        ),
    ] = None,
    threads: Annotated[
        str | None, typer.Option(metavar="X[,Y[,Z]]", help="Threads of the grid.")
    ] = None,
    group_size: Annotated[
        str | None, typer.Option(metavar="X[,Y[,Z]]", help="Threads per threadgroup.")
    ] = None,
    threadgroups: Annotated[
        str | None, typer.Option(metavar="X[,Y[,Z]]", help="Threadgroups, instead of threads.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random arguments.")] = 0,
    overrides: options.Overrides = None,
    deadline: options.Deadline = options.DEFAULT_DEADLINE,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run kernels under the sanitiser: wrong accesses, races, undefined values, barriers."""
    if candidate is not None:
        code = _check_candidate(target, candidate, overrides or [], seed, deadline, json)
        raise typer.Exit(code)
    from metalwright.problems.problem import read_text
    from metalwright.runtime import CompileError, check

    call: dict[str, Any] = _arguments(argument or [], seed)
    for name, text in (
        ("threads", threads),
        ("group_size", group_size),
        ("threadgroups", threadgroups),
    ):
        if text is not None:
            call[name] = _size(name, text)
    try:
        report = check(
            read_text(target),
            kernel=kernel,
            options={"file_name": str(target)},
            deadline=deadline,
            **call,
        )
    except CompileError as error:
        sys.stderr.write(str(error).rstrip() + "\n")
        raise typer.Exit(exits.COMPILE_ERROR) from None
    print_report(report, json)
    raise typer.Exit(exits.NOT_CORRECT if report.errors else exits.OK)


def print_report(report: CheckReport, as_json: bool) -> None:
    """Prints what was found."""
    print(report.to_json(indent=2) if as_json else report)


def _size(name: str, text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not 1 <= len(parts) <= 3 or not all(part.strip().isdigit() for part in parts):
        option = "--" + name.replace("_", "-")
        raise user_error("bad-option", option=f"{option} {text}", reason="write 1 to 3 integers")
    return tuple(int(part) for part in parts)


def _arguments(texts: list[str], seed: int) -> dict[str, Any]:
    import numpy as np

    generator = np.random.default_rng(seed)
    values: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        found = _ARRAY.fullmatch(value)
        try:
            if found is None:
                values[name] = ast.literal_eval(value)
                continue
            dtype = np.dtype(found["dtype"])
            shape = tuple(int(size) for size in found["shape"].split(","))
            if found["zeros"]:
                values[name] = np.zeros(shape, dtype)
            elif dtype.kind == "f":
                values[name] = generator.uniform(-1, 1, shape).astype(dtype)
            else:
                values[name] = generator.integers(0, 2 if dtype.kind == "b" else 10, shape).astype(
                    dtype
                )
        except (ValueError, SyntaxError, TypeError):
            raise user_error(
                "bad-option",
                option=f"--arg {text}",
                reason="write NAME=float32[1000], NAME=zeros:float32[1000] or NAME=NUMBER",
            ) from None
    return values


def _check_candidate(
    problem: Path, candidate: Path, overrides: list[str], seed: int, deadline: float, as_json: bool
) -> int:
    """Runs the candidate in a process of its own; returns the exit code."""
    options.read_overrides(overrides)  # refuses what is wrong with them here
    command = [sys.executable, "-m", "metalwright.cli.check_worker", str(problem), str(candidate)]
    command += [str(seed), "json" if as_json else "text", *overrides]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=deadline).returncode
    except subprocess.TimeoutExpired:
        raise Error(
            "check-timeout", f"the candidate did not end in {deadline:g} s", "Raise --deadline."
        ) from None
