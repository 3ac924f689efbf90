"""Checks the arrows that import-linter cannot see: C++ includes, and who imports the extension.

    python scripts/check_arrows.py

Prints one line per violation and exits with 1 if there is any.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Which folders of csrc/ a folder may include from, beside its own and the headers in csrc/ itself.
ALLOWED = {
    "air": set[str](),
    "msl": {"air"},
    "simt": {"air"},
    "cpu": {"msl", "simt", "air"},
    "cuda": {"msl", "simt", "air"},
    "metal": set[str](),
    "python": {"cpu", "cuda", "metal"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def cpp_violations() -> Iterator[str]:
    """Includes of a folder that the including folder must not know."""
    for path in sorted((ROOT / "csrc").rglob("*")):
        if path.suffix not in {".h", ".cpp", ".mm", ".c"} or "stdlib" in path.parts:
            continue
        parts = path.relative_to(ROOT / "csrc").parts
        if len(parts) == 1:  # csrc/device.h and its like stand below all folders
            allowed: set[str] = set()
        elif parts[0] in ALLOWED:
            allowed = ALLOWED[parts[0]] | {parts[0]}
        else:
            yield f"{path.relative_to(ROOT)}: csrc/{parts[0]} has no arrows; add it to {__file__}"
            continue
        text = path.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            folder = match[1].split("/")[0]
            if "/" in match[1] and folder in ALLOWED and folder not in allowed:
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path.relative_to(ROOT)}:{line}: must not include {match[1]}"


def extension_violations() -> Iterator[str]:
    """Imports of metalwright._native outside of metalwright.runtime."""
    package = ROOT / "python" / "metalwright"
    for path in sorted(package.rglob("*.py")):
        if path.is_relative_to(package / "runtime"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                names.append(node.module or "")
            if any(name.startswith("metalwright._native") for name in names):
                line = getattr(node, "lineno", 0)
                yield f"{path.relative_to(ROOT)}:{line}: only metalwright.runtime imports _native"


def main() -> int:
    """Prints the violations; 1 if there are any."""
    violations = [*cpp_violations(), *extension_violations()]
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
