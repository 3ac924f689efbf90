"""How steady the judge is: `python -m tests.judge_stability --count 200 [--loaded] [--minutes M]`.

The same correct candidate is judged again and again. Its verdict must never change; the ratio's
95 % interval should hold the long-run ratio (the median of all ratios) in at least 90 % of the
evaluations that give a number; and with `--loaded`, while another process spins, an evaluation must
hold the long-run ratio of the quiet machine or say noisy-timing.

Every evaluation is a line of `--log`; with an existing log the command goes on where it ended, so a
run can be cut into pieces by `--minutes`. The exit code is 0 if everything held, 1 if something did
not, 2 if there are too few figures to tell.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cheats.catalogue import PROBLEMS, honest_path

from metalwright.evaluation import Evaluation, Flag, Judge, Settings
from metalwright.problems import Problem

_SPIN = "while True: pass"
# Fewer numbers than this say nothing about a share of 90 %.
_ENOUGH = 20
_SHARE = 0.9
_LOADED_SHARE = 5


def evaluations(seconds: float) -> Iterator[Evaluation]:
    """One candidate, judged again and again."""
    settings = Settings(
        device="cpu", seeds=1, timing_seconds=seconds, adversarial=False, held_out=False
    )
    source = honest_path("online_softmax").read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder, Judge(settings) as judge:
        path = Path(folder) / "softmax.py"
        path.write_text(PROBLEMS["softmax"].replace("ROWS = 32", "ROWS = 2048"), "utf-8")
        with judge.open(Problem.from_file(path)) as session:
            while True:
                yield judge.evaluate(session, source)


def line_of(phase: str, evaluation: Evaluation) -> dict[str, Any]:
    """What is kept of an evaluation."""
    timing = evaluation.timing
    ratio = timing.ratio if timing else None
    return {
        "phase": phase,
        "verdict": evaluation.verdict.value,
        "summary": evaluation.summary,
        "noisy": Flag.NOISY_TIMING in evaluation.flags,
        "ratio": [ratio.median, ratio.low, ratio.high] if ratio else None,
        "workers": timing.worker_ratios if timing else (),
        "load": timing.other_load if timing else None,
        "seconds": round(evaluation.seconds, 2),
    }


@contextlib.contextmanager
def spinning(on: bool) -> Iterator[None]:
    """Another process uses a core meanwhile."""
    if not on:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", _SPIN]) as spinner:
        try:
            yield
        finally:
            spinner.kill()


def collect(phase: str, count: int, seconds: float, log: Path, end: float) -> None:
    """Judges until the log has so many evaluations of a phase, or the time is over."""
    done = len([line for line in read(log) if line["phase"] == phase])
    if done >= count or time.monotonic() > end:
        return
    with spinning(phase == "loaded"), contextlib.closing(evaluations(seconds)) as judged:
        for evaluation in judged:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line_of(phase, evaluation)) + "\n")
            done += 1
            if done % 10 == 0 or done == count:
                print(f"{phase}: {done} of {count}", file=sys.stderr, flush=True)
            if done >= count or time.monotonic() > end:
                return


def read(log: Path) -> list[dict[str, Any]]:
    """What there is so far."""
    lines = log.read_text("utf-8").splitlines() if log.exists() else []
    return [json.loads(line) for line in lines]


def covered(lines: list[dict[str, Any]], truth: float) -> tuple[int, int, int]:
    """How many intervals hold the truth, do not, or are called noise."""
    steady = [line["ratio"] for line in lines if not line["noisy"] and line["ratio"]]
    hits = sum(low <= truth <= high for _, low, high in steady)
    return hits, len(steady) - hits, sum(line["noisy"] for line in lines)


def report(lines: list[dict[str, Any]], count: int, loaded: bool) -> Iterator[tuple[str, str]]:
    """Each claim with what came of it: holds, fails or unknown."""
    verdicts = sorted({line["verdict"] for line in lines})
    held = "holds" if verdicts == ["correct"] else "fails"
    yield held, f"the verdict never changes: {verdicts} in {len(lines)} evaluations"
    quiet = [line for line in lines if line["phase"] == "quiet"]
    steady = [line["ratio"][0] for line in quiet if not line["noisy"] and line["ratio"]]
    if len(quiet) < count:
        yield "unknown", f"only {len(quiet)} of {count} evaluations were made; go on with --log"
    if not steady:
        yield "unknown", f"no long-run ratio: all {len(quiet)} timings were called noise"
    truth = statistics.median(steady) if steady else None
    if truth is not None:
        hits, misses, noisy = covered(quiet, truth)
        text = f"the interval holds the long-run ratio {truth:.3f} in {hits} of {hits + misses} "
        text += f"(ratios {min(steady):.3f} to {max(steady):.3f}); {noisy} were called noise"
        held = "holds" if hits >= _SHARE * (hits + misses) else "fails"
        yield held if hits + misses >= _ENOUGH else "unknown", text
    widths = [
        (line["ratio"][2] / line["ratio"][1]) ** 0.5 - 1 for line in quiet if not line["noisy"]
    ]
    if widths:
        yield "note", f"half the interval: {100 * statistics.median(widths):.1f} % in the middle"
    spreads = [w for line in quiet if not line["noisy"] and (w := _spread(line["workers"]))]
    if spreads:
        middle = statistics.fmean(s * s for s in spreads) ** 0.5
        yield "note", f"one pair of workers differs from the next by {100 * middle:.1f} % (1 sigma)"
    if loaded:
        busy = [line for line in lines if line["phase"] == "loaded"]
        if truth is None:
            noisy = sum(line["noisy"] for line in busy)
            held = "holds" if busy and noisy == len(busy) else "unknown"
            yield held, f"with a process that spins: {noisy} of {len(busy)} were called noise"
        else:
            hits, misses, noisy = covered(busy, truth)
            held = "holds" if misses <= (1 - _SHARE) * (hits + misses) else "fails"
            text = f"with a process that spins: {noisy} of {len(busy)} were called noise, "
            text += f"{hits} hold the ratio, {misses} do not"
            yield held if busy else "unknown", text


def _spread(ratios: list[float]) -> float | None:
    """The standard deviation of pairs' ratios, as a share; unknown for fewer than three."""
    return statistics.stdev(ratios) / statistics.fmean(ratios) if len(ratios) > 2 else None


def main() -> int:
    """Prints what holds; the exit code says the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0, help="of timing per evaluation")
    parser.add_argument("--minutes", type=float, default=60.0, help="at most, all together")
    parser.add_argument("--loaded", action="store_true", help="a fifth of them under load besides")
    parser.add_argument("--only-loaded", action="store_true", help="no quiet ones before")
    parser.add_argument("--log", type=Path, help="go on with this file")
    options = parser.parse_args()
    loaded = options.loaded or options.only_loaded
    start = time.monotonic()
    end = start + 60 * options.minutes
    # Of the time, the loaded part gets what is left for it at the end.
    quiet_end = start + 60 * options.minutes * (0.7 if loaded else 1.0)
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder) / "stability.jsonl"
        count = 0 if options.only_loaded else options.count
        if count:
            collect("quiet", count, options.seconds, log, quiet_end)
        if loaded:
            collect("loaded", max(3, options.count // _LOADED_SHARE), options.seconds, log, end)
        results = list(report(read(log), count, loaded))
    for held, text in results:
        print(f"{held}: {text}")
    outcomes = {held for held, _ in results}
    return 1 if "fails" in outcomes else 2 if "unknown" in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
