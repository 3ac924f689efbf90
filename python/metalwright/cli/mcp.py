"""`metalwright mcp`: a Model Context Protocol server, so that an assistant writes kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalwright.cli import exits, options
from metalwright.errors import user_error


@exits.reporting
def serve_mcp(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE_OR_FOLDER]...",
            help="Problems to offer; others are opened by path.",
            show_default=False,
        ),
    ] = None,
    overrides: options.Overrides = None,
    device: options.Device = None,
    seeds: options.Seeds = options.DEFAULT_SEEDS,
    deadline: options.Deadline = options.DEFAULT_DEADLINE,
    memory_limit: options.MemoryLimit = options.DEFAULT_MEMORY,
    timing_seconds: options.TimingSeconds = options.DEFAULT_TIMING,
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the run's folder is made.")
    ] = Path("runs"),
) -> None:
    """Serve the judge's tools over the Model Context Protocol, on standard input and output.

    An assistant can compile, run, evaluate and profile kernels for the problems, and submit them to
    the judge. Submissions are kept as attempts of a run.
    """
    settings = options.read_settings(device, seeds, deadline, memory_limit, timing_seconds)
    try:
        from metalwright.search.mcp_server import serve
    except ModuleNotFoundError as error:
        raise user_error(
            "missing-package", what="MCP servers", package=error.name or "mcp"
        ) from None
    serve(paths or [], options.read_overrides(overrides), settings, output)
