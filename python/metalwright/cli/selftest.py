"""`metalwright selftest`: checks of a device, as a report to paste into an issue."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalwright.cli import exits, options
from metalwright.errors import user_error

if TYPE_CHECKING:
    from metalwright.runtime.selftest import CheckResult, SelfTest

_MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def markdown(test: SelfTest) -> str:
    """The report: what was checked, where, what was found, and what was not checked and why."""
    counts = {
        status: sum(result.status == status for result in test.results)
        for status in ("passed", "failed", "skipped")
    }
    conditions = test.conditions
    lines = [
        f"## metalwright selftest: device {test.device}",
        "",
        f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped.",
        "",
        f"- device: {conditions.name} ({conditions.kind}, {conditions.architecture})",
        f"- clock: {conditions.clock}",
        f"- thermal state: {conditions.thermal_state}; low-power mode: "
        f"{ {True: 'on', False: 'off', None: 'unknown'}[conditions.low_power_mode] }",
        *(f"- {name}: {value}" for name, value in conditions.details.items()),
        *(f"- {name}: {value}" for name, value in test.machine.items()),
        "",
        "| check | result | |",
        "|---|---|---|",
    ]
    lines += [
        f"| {result.name} | {_MARKS[result.status]} | {_one_line(result.detail)} |"
        for result in test.results
    ]
    figures = {result.name: result.figures for result in test.results if result.figures}
    lines += ["", "```json", json.dumps(figures, indent=1, default=str), "```"]
    return "\n".join(lines)


@exits.reporting
def selftest(
    device: options.Device = None,
    xctrace: Annotated[
        bool, typer.Option("--xctrace", help="Also compare with Instruments (needs Xcode).")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the results to this file as well."),
    ] = None,
) -> None:
    """Check a device on this machine and print a report to paste into an issue.

    The report is Markdown on stdout; progress goes to stderr. Exits with 1 if a check failed.
    """
    from metalwright.runtime import default_device
    from metalwright.runtime.selftest import self_test_device

    def show(result: CheckResult) -> None:
        sys.stderr.write(f"{result.name}: {_MARKS[result.status]}\n")

    test = self_test_device(device or default_device(), with_xctrace=xctrace, progress=show)
    if output is not None:
        try:
            output.write_text(json.dumps(test.as_dict(), indent=1, default=str), encoding="utf-8")
        except OSError as error:
            reason = error.strerror or str(error)
            raise user_error("bad-option", option="--json", reason=f"{output}: {reason}") from None
    print(markdown(test))
    if test.has_failed:
        raise typer.Exit(exits.NOT_CORRECT)
