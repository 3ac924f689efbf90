"""How steady the judge is: `python -m tests.judge_stability --count 200 [--loaded]`.

The same correct candidate is judged again and again. Its verdict must never change; the ratio's
95 % interval should hold the long-run ratio (the median of all medians) in at least 90 % of the
evaluations; and with `--loaded`, while another process uses a core, an evaluation must either hold
it or say noisy-timing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cheats.catalogue import PROBLEMS, honest_path

from metalwright.evaluation import Evaluation, Flag, Judge, Settings
from metalwright.problems import Problem

_SPIN = "while True: pass"


def judge_often(count: int, seconds: float) -> list[Evaluation]:
    """So many evaluations of one candidate."""
    settings = Settings(
        device="cpu", seeds=1, timing_seconds=seconds, adversarial=False, held_out=False
    )
    source = honest_path("online_softmax").read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder, Judge(settings) as judge:
        path = Path(folder) / "softmax.py"
        path.write_text(PROBLEMS["softmax"].replace("ROWS = 32", "ROWS = 2048"), "utf-8")
        with judge.open(Problem.from_file(path)) as session:
            return [judge.evaluate(session, source) for _ in range(count)]


def covered(evaluations: list[Evaluation], truth: float) -> tuple[int, int, int]:
    """How many intervals hold the truth, do not, or are called noise."""
    noisy = [e for e in evaluations if Flag.NOISY_TIMING in e.flags]
    steady = [e.timing.ratio for e in evaluations if e not in noisy and e.timing]
    hits = sum(ratio.low <= truth <= ratio.high for ratio in steady)
    return hits, len(steady) - hits, len(noisy)


def main() -> int:
    """Prints the figures; returns 1 if they are not what they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--loaded", action="store_true")
    options = parser.parse_args()
    quiet = judge_often(options.count, options.seconds)
    verdicts = {evaluation.verdict.value for evaluation in quiet}
    ratios = [e.timing.ratio.median for e in quiet if e.timing]
    truth = statistics.median(ratios)
    hits, misses, noisy = covered(quiet, truth)
    load = statistics.median(e.timing.other_load or 0.0 for e in quiet if e.timing)
    print(
        f"{options.count} evaluations: verdicts {sorted(verdicts)}; long-run ratio {truth:.3f}, "
        f"medians {min(ratios):.3f} to {max(ratios):.3f}; interval holds it {hits} times, "
        f"misses {misses}, noisy-timing {noisy}; others used {100 * load:.0f} % of the machine"
    )
    good = verdicts == {"correct"} and hits >= 0.9 * max(1, hits + misses)
    if options.loaded:
        with subprocess.Popen([sys.executable, "-c", _SPIN]) as spinner:
            try:
                loaded = judge_often(max(3, options.count // 5), options.seconds)
            finally:
                spinner.kill()
        hits, misses, noisy = covered(loaded, truth)
        print(f"loaded: interval holds it {hits} times, misses {misses}, noisy-timing {noisy}")
        good = good and not misses and {e.verdict.value for e in loaded} == {"correct"}
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
