"""A process that runs one piece of work whenever it is told to, and says how long it took.

For what must not share a process: other numbers of cores, and PoCL, which brings its own LLVM.

    python -m bench.figures.workers work:ours tiled 0,1      # module:function, its argument, cores
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from paired import seconds_of

ROOT = Path(__file__).resolve().parents[2]


class Unavailable(Exception):
    """What a row needs is not on this machine; the message says what to do."""


class Worker:
    """Calls the function that `module:function` returns for `argument`, on some cores only."""

    def __init__(self, target: str, argument: str, cores: list[int]) -> None:
        command = [sys.executable, "-m", "bench.figures.workers", target, argument]
        command.append(",".join(map(str, cores)))
        self._process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        answer = self._answer()
        if answer != "ready":
            self.__exit__(None, None, None)
            raise Unavailable(answer)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended: {self._process.args!r}")
        return line.strip()

    def seconds(self) -> float:
        """Runs the work once."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer())


def main() -> NoReturn:
    """The process: an empty line in is one run, the seconds that it took come back."""
    target, argument, cores = sys.argv[1:]
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    module, function = target.split(":")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the work prints is not an answer
    # This module is __main__ here; the exception to catch is that of its importable self.
    unavailable = importlib.import_module("bench.figures.workers").Unavailable
    try:
        work = getattr(importlib.import_module(f"bench.figures.{module}"), function)(argument)
    except unavailable as reason:
        print(reason, file=answers, flush=True)
        sys.exit(0)
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        print(seconds_of(work), file=answers, flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
