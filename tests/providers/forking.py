"""Works on a run in child processes that a test may kill: `python -m tests.providers.forking RUN`.

Imports take seconds and a hundred children are needed, so this process imports everything once and
forks. Each line on standard input starts a child, whose number is printed; another line is printed
when it has ended.
"""

import os
import sys
from pathlib import Path

from tests.providers.scenario import MadeUpEvaluator, search

import metalwright.generation.anthropic_provider  # noqa: F401  (slow, and else done by each child)
from metalwright.runs import RunStore


def main():
    folder = Path(sys.argv[1])
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                search(RunStore.open(folder), MadeUpEvaluator(seconds=0.005))
                status = 0
            finally:
                os._exit(status)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(status, flush=True)


if __name__ == "__main__":
    main()
