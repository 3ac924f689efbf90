"""Writes docs/numerics.md: what the specification promises of each function, and what was found.

python -m tests.simt.numerics_table
"""

from __future__ import annotations

import math
import platform
from pathlib import Path

from .accuracy import measure
from .metal_accuracy import Bound, promised
from .metal_functions import EVERY, FUNCTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "numerics.md"
# Column: type, math mode.
COLUMNS = [
    ("float", "safe"),
    ("float", "relaxed"),
    ("float", "fast"),
    ("half", "safe"),
    ("half", "fast"),
    ("bfloat", "safe"),
    ("bfloat", "fast"),
]
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def parts(name: str) -> list[str]:
    """The function itself and its second result, if it has one."""
    return [name, *(n for n in EVERY if n.startswith(name + " ") and n not in FUNCTIONS)]


def cell(type_name: str, name: str, mode: str) -> str:
    if name not in promised(type_name, mode != "safe"):
        return ""
    found = [measure(type_name, part, mode) for part in parts(name)]
    bound = found[0][1]
    if bound.exact:
        return "exact" if all(worst.excess == 0 for worst, _ in found) else "**wrong**"
    units = f"{max(worst.units for worst, _ in found):.3g}"
    if bound.absolute is None:
        return units
    error = f"2^{math.log2(max(worst.absolute for worst, _ in found)):.1f} absolute"
    return f"{error}, else {units}" if bound.units else error


def promise(bound: Bound) -> str:
    return bound.text.replace("|", "\\|")


def row(name: str) -> str:
    safe, fast, half = (
        promised(*key)[name] for key in (("float", False), ("float", True), ("half", False))
    )
    cells = [f"`{name}`", promise(safe), promise(fast), promise(half)]
    return "| " + " | ".join(cells + [cell(t, name, mode) for t, mode in COLUMNS]) + " |"


def table() -> str:
    heads = ["function", "float, table 8.1", "float, table 8.2 (fast)", "half, table 8.3"]
    heads += [f"{t}, {mode}" for t, mode in COLUMNS]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + [row(name) for name in FUNCTIONS])


def main() -> None:
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    machine = f"Found on {platform.machine()}, {platform.system()}."
    PAGE.write_text(f"{before}{BEGIN}\n{machine}\n\n{table()}\n{END}{after}", "utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
