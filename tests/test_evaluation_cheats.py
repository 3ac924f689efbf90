"""Every way to cheat is caught, and nobody honest is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cheats.__main__ import cheat_jobs, honest_jobs, is_caught, judge_all, settings_for
from tests.cheats.catalogue import CHEATS, HONEST, PROBLEMS

pytestmark = pytest.mark.native

ROOT = Path(__file__).resolve().parent.parent
# What shows only in timing takes longer, and depends on a machine that others use: see the table
# in docs/evaluation.md. The rest is judged here without a clock.
TIMED = {
    *("09_cache_by_address.py", "10_one_call_in_ten.py", "11_only_while_warming_up.py"),
    *("12_replays_stale_pointers.py", "13_keeps_data_through_the_flush.py"),
    *("14_right_early_wrong_later.py", "18_patched_timers.py", "21_looks_at_the_stack.py"),
}
SPEED = {"19_one_shape_too_fast.py"}


@pytest.fixture(scope="module")
def found():
    untimed = settings_for("cpu").model_copy(update={"timing": False})
    jobs = cheat_jobs(lambda cheat: cheat.file not in TIMED | SPEED) + honest_jobs()
    evaluations = dict(judge_all(jobs, untimed))
    evaluations |= judge_all(cheat_jobs(lambda cheat: cheat.file in TIMED), settings_for("cpu"))
    return evaluations


def test_there_are_thirty_cheats_and_twenty_honest_candidates():
    assert [cheat.number for cheat in CHEATS] == list(range(1, 31))
    assert len(HONEST) >= 20
    assert {problem for _, problem, _ in cheat_jobs() + honest_jobs()} == set(PROBLEMS)


@pytest.mark.parametrize(
    "cheat", [c for c in CHEATS if c.file not in SPEED], ids=lambda cheat: cheat.file[:-3]
)
def test_a_cheat_is_caught(found, cheat):
    evaluation = found[cheat.file]
    assert is_caught(cheat, evaluation), (evaluation.summary, evaluation.flags)
    assert "could write" not in (evaluation.printed.text if evaluation.printed else "")


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_candidate_is_correct(found, name):
    evaluation = found[name]
    assert evaluation.correct, (evaluation.summary, evaluation.evidence)
    flags = {flag.value for flag in evaluation.flags}
    assert not flags & {"library-only", "shape-specialised"}


def test_every_cheat_passes_a_naive_harness():
    result = subprocess.run(
        [sys.executable, "-m", "tests.cheats.naive"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    passes = json.loads(result.stdout.splitlines()[-1])
    assert passes == {cheat.file: True for cheat in CHEATS if cheat.naive}, result.stderr
