"""The run folder: written whole, read back the same, resumed where it stopped."""

import json

import pytest

from metalwright.errors import Error
from metalwright.evaluation.model import (
    DeviceReport,
    Evaluation,
    Interval,
    Settings,
    Timing,
    Verdict,
)
from metalwright.generation.candidate import Candidate
from metalwright.problems import Problem
from metalwright.runs import RunConfig, RunStore, describe_machine

DEVICE = DeviceReport(kind="cpu", name="Some CPU")


def evaluation_of(problem, verdict=Verdict.CORRECT, ratio=None, **more):
    timing = None
    if ratio is not None:
        second = Interval(median=1e-3, low=1e-3, high=1e-3)
        timing = Timing(
            baseline="eager",
            baseline_seconds=second,
            candidate_seconds=Interval(median=1e-3 / ratio, low=1e-3 / ratio, high=1e-3 / ratio),
            ratio=Interval(median=ratio, low=0.9 * ratio, high=1.1 * ratio),
            device_seconds=5e-4,
            dispatches=2,
            worker_seconds=1e-3,
            overhead_seconds=1e-4,
            pairs=9,
            baseline_calls=3,
            candidate_calls=4,
        )
    return Evaluation(
        problem=problem,
        verdict=verdict,
        summary=f"{verdict.value} for a test",
        device=DEVICE,
        settings=Settings(),
        timing=timing,
        **more,
    )


def store_of(tmp_path, names=("one", "two")):
    problems = [Problem(name=name, source=f"# {name}\n") for name in names]
    config = RunConfig(
        name="a test",
        created="2026-01-01T00:00:00+00:00",
        generator="inductor",
        settings=Settings(seeds=3),
        problems=tuple(names),
        device=DEVICE,
        machine=describe_machine(),
        versions={"torch": "2"},
    )
    return RunStore.create(tmp_path / "runs", config, problems)


CANDIDATE = Candidate(
    source="class ModelNew: ...\n",
    kernels={"a": "kernel void a() {}\n", "../b c": "kernel void b() {}\n"},
    origin="a test",
    notes=("note",),
)


def test_what_is_stored_is_read_back_the_same(tmp_path):
    store = store_of(tmp_path)
    first = store.add_attempt("one", CANDIDATE, evaluation_of("one", ratio=2.0))
    store.add_attempt("one", None, evaluation_of("one", Verdict.GENERATOR_ERROR))
    again = RunStore.open(store.folder)
    assert again.config == store.config
    assert again.problem("two") == Problem(name="two", source="# two\n")
    stored, failed = again.attempts("one")
    assert stored == first
    assert failed.candidate is None
    assert again.attempts("two") == []


def test_files_are_where_people_look_for_them(tmp_path):
    store = store_of(tmp_path)
    folder = store.add_attempt("one", CANDIDATE, evaluation_of("one")).folder
    assert folder == store.folder / "problems" / "one" / "attempts" / "001"
    assert (folder / "candidate.py").read_text() == CANDIDATE.source
    assert sorted(file.name for file in (folder / "kernels").iterdir()) == ["_b_c.metal", "a.metal"]
    assert json.loads((folder / "evaluation.json").read_text())["verdict"] == "correct"
    assert json.loads((store.folder / "run.json").read_text())["schema_version"] == 1


def test_the_best_attempt_is_the_fastest_correct_one(tmp_path):
    store = store_of(tmp_path)
    for verdict, ratio in [
        (Verdict.CORRECT, 1.5),
        (Verdict.CORRECT, 2.5),
        (Verdict.WRONG_VALUES, None),
    ]:
        store.add_attempt("one", CANDIDATE, evaluation_of("one", verdict, ratio))
    store.add_attempt("two", CANDIDATE, evaluation_of("two", Verdict.CRASH))
    assert [(a.problem, a.number) for a in store.finished()] == [("one", 2), ("two", 1)]


def test_an_attempt_that_was_not_finished_is_not_there(tmp_path, monkeypatch):
    store = store_of(tmp_path)

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Evaluation, "model_dump_json", fail)
        with pytest.raises(KeyboardInterrupt):
            store.add_attempt("one", CANDIDATE, evaluation_of("one"))
    assert store.attempts("one") == []
    assert list((store.folder / "problems" / "one" / "attempts").iterdir()) == []


def test_two_runs_in_one_second_have_two_folders(tmp_path):
    assert store_of(tmp_path).folder != store_of(tmp_path).folder


@pytest.mark.parametrize("content", [None, "", "{}", "[1]"])
def test_a_folder_that_is_no_run_is_a_user_error(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(Error) as caught:
        RunStore.open(tmp_path)
    assert caught.value.code == "not-a-run"
    assert str(tmp_path) in caught.value.message


def test_a_damaged_attempt_is_a_user_error(tmp_path):
    store = store_of(tmp_path)
    folder = store.add_attempt("one", CANDIDATE, evaluation_of("one")).folder
    (folder / "evaluation.json").write_text("{")
    with pytest.raises(Error) as caught:
        store.attempts("one")
    assert caught.value.code == "not-a-run"
    assert "one, attempt 1" in caught.value.message


def test_a_run_that_cannot_be_written_is_a_user_error(tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    with pytest.raises(Error) as caught:
        store_of(tmp_path)
    assert caught.value.code == "unwritable-run"
