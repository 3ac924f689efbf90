"""Measures every row of the fast engine's table, prints it and rewrites docs/performance.md.

    make figures                                          # everything
    python -m bench.figures --only tiled attention  # some groups; the page stays as it is
    python -m bench.figures --modules all           # all example problems, which takes longer

Each ratio is the median over alternating pairs, with its quartiles. A goal that is not met is no
failure of the command; a row that raises is, and the others are still measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import traceback
import warnings
from pathlib import Path

import torch
from bench.figures.rows import ALL_MODULES, MODULES, Figure, groups

PAGE = Path(__file__).resolve().parents[2] / "docs/performance.md"
BEGIN = "<!-- The next lines are written by `make figures`. -->"
END = "<!-- Up to here. -->"


def processor() -> str:
    """Its name, as the system has it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def machine(load: float) -> str:
    """What a reader has to know of where the figures come from."""
    cores = len(os.sched_getaffinity(0))
    busy = f", busy with other work (load average {load:.1f}): (shared)" if load > cores / 2 else ""
    return (
        f"{cores} cores of {processor()}, Python {platform.python_version()},"
        f" torch {torch.__version__}{busy}. No figure is of Apple hardware."
    )


def table(figures: list[Figure], load: float) -> str:
    """The Markdown between the marks."""
    lines = [machine(load), "", "| work | goal | measured | |", "|---|---|---|---|"]
    return "\n".join([*lines, *(figure.markdown() for figure in figures)])


def write(page: Path, content: str) -> None:
    """Replaces what stands between the marks."""
    before, mark, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{page}: the lines {BEGIN!r} and {END!r} are missing")
    page.write_text(f"{before}{BEGIN}\n{content}\n{END}{after}", "utf-8")


def main() -> int:
    """The command of the module's docstring."""
    names = list(groups(""))
    parser = argparse.ArgumentParser(
        prog="python -m bench.figures",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=names, default=names, metavar="GROUP", help=", ".join(names))
    modules = f"of the Inductor rows: {len(MODULES)} of the example problems, or all"
    add("--modules", choices=["demo", ALL_MODULES], default=ALL_MODULES, help=modules)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="torch")
    load, start = os.getloadavg()[0], time.perf_counter()
    figures: list[Figure] = []
    failed = []
    for name, group in groups(options.modules).items():
        if name not in options.only:
            continue
        try:
            for figure in group():
                figures.append(figure)
                print(figure.markdown(), flush=True)
        except Exception:
            traceback.print_exc()
            failed.append(name)
    content = table(figures, load)
    print(f"\n{content}\n\n{time.perf_counter() - start:.0f} s")
    if failed:
        print(f"failed: {', '.join(failed)}; {PAGE.name} stays as it is", file=sys.stderr)
        return 1
    if options.only == names:
        write(PAGE, content)
        print(f"written to {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
