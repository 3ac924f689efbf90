"""The table of docs/performance.md by one command: `make figures`."""

import sys
from pathlib import Path

# The benchmarks' own modules, and the tests' corpora.
_BENCH = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_BENCH), str(_BENCH.parent / "tests")]
