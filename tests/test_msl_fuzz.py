"""A short run of the front end's fuzzer; docs/fuzzing.md has the long one."""

import pytest

import fuzz

pytest.importorskip("metalwright.runtime")

pytestmark = [pytest.mark.native, pytest.mark.slow]

# As many of one sequence every time: what is new is for the long run to find.
PROGRAMS = 1_500


def test_mutated_programs_give_diagnostics_and_nothing_else():
    programs = iter(fuzz.Mutator(2026, fuzz.corpus()))
    findings = fuzz.run_batch([next(programs) for _ in range(PROGRAMS)])
    assert not findings, "\n".join(f"{reason}\n{source[:2000]}" for reason, source in findings)


def test_a_child_that_dies_is_a_finding(tmp_path, monkeypatch):
    script = tmp_path / "child.py"
    script.write_text("import os\nprint(1, flush=True)\nos.abort()\n")
    monkeypatch.setattr(fuzz, "__file__", str(script))
    ((reason, source),) = fuzz.run_batch(["first", "second"])
    assert (source, "exit status -6" in reason) == ("second", True)


def test_a_child_that_hangs_is_a_finding(tmp_path, monkeypatch):
    script = tmp_path / "child.py"
    script.write_text("import time\nprint(0, flush=True)\ntime.sleep(60)\n")
    monkeypatch.setattr(fuzz, "__file__", str(script))
    ((reason, source),) = fuzz.run_batch(["first"], deadline=0.5)
    assert (source, reason) == ("first", "no end within 0.5 s")


def test_the_same_seed_gives_the_same_programs():
    corpus = fuzz.corpus()
    one, other = iter(fuzz.Mutator(5, corpus)), iter(fuzz.Mutator(5, corpus))
    assert [next(one) for _ in range(50)] == [next(other) for _ in range(50)]
