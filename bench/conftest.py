"""Collects the ratios that the benchmarks find and prints them below pytest-benchmark's table."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]  # for `paired` and for the tests' corpora

Report = Callable[[str, str], None]
_lines = pytest.StashKey[list[tuple[str, str]]]()


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """Adds a line (what, figure) to the summary."""
    lines = request.config.stash.setdefault(_lines, [])
    return lambda what, figure: lines.append((what, figure))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = terminalreporter.config.stash.get(_lines, [])
    if lines:
        terminalreporter.section("figures for docs/performance.md")
        width = max(len(what) for what, _ in lines)
        for what, figure in lines:
            terminalreporter.write_line(f"{what:<{width}}  {figure}")
