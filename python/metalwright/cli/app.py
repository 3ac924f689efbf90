"""The commands, put together. Each is in a file of its own; heavy imports wait until they run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from metalwright.cli.audit import audit_run
from metalwright.cli.bench import bench
from metalwright.cli.check import check_kernels
from metalwright.cli.compare import compare_runs
from metalwright.cli.compile import compile_file
from metalwright.cli.devices import list_devices
from metalwright.cli.evaluate import evaluate_candidate
from metalwright.cli.inspect import inspect_file
from metalwright.cli.mcp import serve_mcp
from metalwright.cli.optimize import optimize
from metalwright.cli.prompt import show_prompt
from metalwright.cli.report import make_report
from metalwright.cli.resume import resume
from metalwright.cli.runs import export, list_all, show
from metalwright.cli.selftest import selftest

_EPILOG = (
    "Exit codes: 0 all is well; 1 a problem has no correct candidate, or a check failed; "
    "2 wrong usage; "
    "3 Metal source does not compile; 70 a mistake in metalwright; 130 interrupted."
)

app = typer.Typer(
    name="metalwright",
    help="Turns PyTorch modules into fast Apple GPU kernels, and runs Metal kernels without a Mac.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("optimize", epilog=_EPILOG)(optimize)
app.command("bench", epilog=_EPILOG)(bench)
app.command("resume", epilog=_EPILOG)(resume)
app.command("evaluate", epilog=_EPILOG)(evaluate_candidate)
app.command("audit", epilog=_EPILOG)(audit_run)
app.command("compile", epilog=_EPILOG)(compile_file)
app.command("check", epilog=_EPILOG)(check_kernels)
app.command("inspect", epilog=_EPILOG)(inspect_file)
app.command("devices", epilog=_EPILOG)(list_devices)
app.command("selftest", epilog=_EPILOG)(selftest)
app.command("report", epilog=_EPILOG)(make_report)
app.command("compare", epilog=_EPILOG)(compare_runs)
app.command("runs", epilog=_EPILOG)(list_all)
app.command("show", epilog=_EPILOG)(show)
app.command("export", epilog=_EPILOG)(export)
app.command("prompt", epilog=_EPILOG)(show_prompt)
app.command("mcp", epilog=_EPILOG)(serve_mcp)


def _print_version(wanted: bool) -> None:
    if wanted:
        from metalwright import __version__

        print(f"metalwright {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """What all commands share."""


def main() -> None:
    """The entry point of the `metalwright` command."""
    try:
        app()
    except KeyboardInterrupt:
        # Before a command has started, or while it was being left.
        sys.exit(130)
