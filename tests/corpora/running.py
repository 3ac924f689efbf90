"""Rendering a corpus in a process of its own, once per test session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
# Several times what the rendering takes on two cores.
DEADLINE = 300


def render(module: str, output: Path) -> Path:
    """Run ``python -m MODULE OUTPUT`` and return `output`; its log becomes the failure's text."""
    paths = [str(TESTS), *(path for path in sys.path if path)]
    done = subprocess.run(
        [sys.executable, "-m", module, str(output)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, f"{module} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return output
