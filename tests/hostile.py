"""Candidates that break things, by the thousand: `python -m tests.hostile --count 1000 [--jobs 2]`.

Each crashes, hangs, allocates or forks without end, writes wherever it can, kills what it can reach
or floods its output; which of these, when, and with which numbers is drawn. Afterwards nothing may
be left: no file outside the judge's folder, no process, no shared memory.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.cheats.catalogue import PROBLEMS

from metalwright.evaluation import Evaluation, Judge, Settings, Verdict
from metalwright.problems import Problem

# A limit that makes a hang cost seconds, and memory that is soon used up.
SETTINGS = Settings(
    device="cpu",
    seeds=1,
    deadline=2.0,
    memory_limit=900 << 20,
    timing=False,
    adversarial=False,
    held_out=False,
)

_DEEDS = {
    "exit": "os._exit({n} % 256)",
    "signal": "os.kill(os.getpid(), [6, 9, 11, 15][{n} % 4])",
    "segfault": "ctypes.string_at({n} % 4096)",
    "abort": "os.abort()",
    "recursion": "f = lambda: f(); sys.setrecursionlimit(10**9); f()",
    "hang": "[None for _ in iter(int, 1)]",
    "sleep": "time.sleep(3600)",
    "stop": "os.kill(os.getpid(), 19)",
    "tensors": "held = []\n{i}while True: held.append(torch.ones({n} % 4000000 + 1000000))",
    "bytes": "held = []\n{i}while True: held.append(b'x' * ({n} % 10000000 + 1000000))",
    "shared": "held = []\n{i}while True:\n{i}    held.append(mmap.mmap(-1, 1 << 26)); "
    "held[-1].write(b'x' * (1 << 26))",
    "fork bomb": "while True: os.fork()",
    "daemon": "import subprocess; subprocess.Popen(['sleep', '{mark}'], start_new_session=True)",
    "double fork": "pid = os.fork()\n{i}if pid == 0:\n{i}    os.setsid()\n"
    "{i}    os.execvp('sleep', ['sleep', '{mark}'])",
    "write": "for place in {places!r}:\n{i}    try: open(place, 'w').write('hostile')\n"
    "{i}    except OSError: pass",
    "remove": "for place in {places!r}:\n{i}    try: os.remove(place)\n{i}    except OSError: pass",
    "walk": "import shutil; shutil.rmtree({tree!r}, ignore_errors=True)",
    "fill": "f = open('filler', 'wb')\n{i}while True: f.write(b'x' * (1 << 24)); f.flush()",
    "parent": "os.kill(os.getppid(), 9)",
    "everyone": "for pid in range(1, 1 << 16):\n{i}    try: os.kill(pid, 9)\n"
    "{i}    except OSError: pass",
    "flood": "while True: os.write(1, b'x' * (1 << 16))",
    "descriptors": "for fd in range(3, 1024):\n{i}    try: os.write(fd, b'{{}}\\n' * 100)\n"
    "{i}    except OSError: pass",
    "close": "os.closerange(0, 1024)",
    "threads": "import threading\n{i}while True: threading.Thread(target=time.sleep, "
    "args=(60,), daemon=True).start()",
    "segment": "from multiprocessing import shared_memory as s\n{i}"
    "s.SharedMemory(None, True, 1 << 20)",
    "mount": "ctypes.CDLL(None).umount2(b'/dev', 2); ctypes.CDLL(None).unshare(0x10000000)",
    "raise": "raise [SystemExit, KeyboardInterrupt, MemoryError, BaseException]"
    "[{n} % 4]('hostile')",
}
_PLACES = ("import", "construct", "call")
_PARTS = ("at_import", "at_construct", "at_call")
# Without these the candidates would do to this machine what they try to.
_NEEDED = ("processes", "file-system", "privileges")
_CANDIDATE = """
import ctypes, mmap, os, sys, time
import torch
from torch import nn

{at_import}

class ModelNew(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.bias = nn.Parameter(torch.randn(1000))
        {at_construct}

    def forward(self, x):
        {at_call}
        return self.factor * x
"""


class NotConfined(Exception):
    """This system does not let the judge confine anyone: nothing was run."""


def hostile(generator: random.Random, mark: str, victims: Path) -> tuple[str, str]:
    """A candidate, and what it does."""
    deed = generator.choice(sorted(_DEEDS))
    when = generator.choice(_PLACES)
    places = [str(victims / "victim"), str(victims / "new"), "/tmp/metalwright-hostile", "hostile"]
    places += ["/dev/shm/metalwright-hostile", "/etc/metalwright-hostile", "/metalwright-hostile"]
    parts = {}
    for place in _PLACES:
        indent = "" if place == "import" else " " * 8
        text = _DEEDS[deed].format(
            n=generator.randrange(1 << 30), i=indent, mark=mark, places=places, tree=str(victims)
        )
        parts[f"at_{place}"] = text if place == when else "pass"
    return _CANDIDATE.format(**parts), f"{deed} at {when}"


def leftovers(mark: str) -> list[str]:
    """Processes that were started under this mark and still run."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
            if mark.encode() in file.read().split(b"\0"):
                found.append(entry)
    return found


def run(count: int, seed: int, progress: bool = False) -> collections.Counter[tuple[str, str]]:
    """Judges so many hostile candidates; returns how often each deed got each verdict.

    Raises:
        AssertionError: something was left, was changed, or was called correct.
        NotConfined: nobody can be confined here.
    """
    generator = random.Random(seed)
    mark = f"3600.{os.getpid()}{time.time_ns() % 10**6:06}"
    verdicts: collections.Counter[tuple[str, str]] = collections.Counter()
    watched = [Path("/tmp"), Path("/dev/shm"), Path("/etc"), Path("/")]
    with tempfile.TemporaryDirectory() as folder:
        victims = Path(folder) / "victims"
        victims.mkdir()
        (victims / "victim").write_text("as it was")
        path = Path(folder) / "scale_shift.py"
        path.write_text(PROBLEMS["scale_shift"], "utf-8")
        problem = Problem.from_file(path)
        with Judge(SETTINGS) as judge, judge.open(problem) as session:
            confine = judge.evaluate(session, _CANDIDATE.format(**dict.fromkeys(_PARTS, "pass")))
            open_doors = [k for k in _NEEDED if confine.isolation.get(k) != "enforced"]
            if open_doors:
                raise NotConfined(", ".join(open_doors))
            for number in range(count):
                source, deed = hostile(generator, mark, victims)
                start = time.monotonic()
                evaluation: Evaluation = judge.evaluate(session, source)
                verdicts[deed.partition(" at ")[0], evaluation.verdict.value] += 1
                seconds = time.monotonic() - start
                if progress:
                    print(
                        f"{number}: {deed}: {evaluation.verdict.value}, {seconds:.1f} s", flush=True
                    )
                # What they return is wrong in any case.
                assert evaluation.verdict is not Verdict.CORRECT, deed
                assert evaluation.verdict is not Verdict.PROBLEM_ERROR, deed
                assert (victims / "victim").read_text() == "as it was", deed
                assert sorted(os.listdir(victims)) == ["victim"], deed
                for place in watched:
                    assert not (place / "metalwright-hostile").exists(), (deed, place)
                assert seconds < 60, deed
        own = f"metalwright-{os.getpid()}-"
        assert not [name for name in os.listdir("/dev/shm") if name.startswith(own)]
        end = time.monotonic() + 5
        while leftovers(mark) and time.monotonic() < end:
            time.sleep(0.05)
        assert not leftovers(mark)
    return verdicts


def table(verdicts: collections.Counter[tuple[str, str]]) -> str:
    """Deeds by verdicts, as Markdown."""
    columns = sorted({verdict for _, verdict in verdicts})
    lines = [f"| deed | {' | '.join(f'`{name}`' for name in columns)} |"]
    lines.append("|---" * (1 + len(columns)) + "|")
    for deed in sorted({deed for deed, _ in verdicts}):
        cells = [str(verdicts[deed, column] or "") for column in columns]
        lines.append(f"| {deed} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Runs as many as asked for, on several judges at once, and prints the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="judges at once")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    start = time.monotonic()
    jobs = max(1, min(options.jobs, options.count))
    shares = [options.count // jobs + (job < options.count % jobs) for job in range(jobs)]
    verdicts: collections.Counter[tuple[str, str]] = collections.Counter()
    # Processes of their own: a judge's descriptors and children are no other judge's.
    with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        seeds = [options.seed + job for job in range(jobs)]
        for found in pool.map(run, shares, seeds, [options.verbose] * jobs):
            verdicts += found
    names = collections.Counter[str]()
    for (_, verdict), number in verdicts.items():
        names[verdict] += number
    print(table(verdicts))
    text = ", ".join(f"{count} {name}" for name, count in names.most_common())
    minutes = (time.monotonic() - start) / 60
    print(
        f"{options.count} hostile candidates in {minutes:.1f} minutes: {text}; "
        "nothing was left behind"
    )


if __name__ == "__main__":
    sys.exit(main())
