"""KernelBench's result files: read from their documented fields, written, read again.

The shapes are written out here as scripts/eval_from_generations.py (eval_results.json,
pass_at_k_results.json) and results/timing/HARDWARE/baseline_time_torch.json of its repository have
them; `analysis` computes what scripts/benchmark_eval_analysis.py computes, in its way.
"""

import json

import numpy as np
import pytest

from metalwright.errors import Error
from metalwright.scoring import scores
from metalwright.scoring.data import AttemptScore, ProblemScores, RunScores
from metalwright.scoring.kernelbench import read_results, read_run, write_run
from metalwright.scoring.outcomes import Outcomes
from metalwright.scoring.table import score_group

STATS = {
    "mean": 1.33,
    "std": 0.002,
    "min": 1.32,
    "max": 1.35,
    "num_trials": 100,
    "hardware": "NVIDIA H100 80GB HBM3",
    "device": "cuda:0",
}
BASELINE = {
    "level1": {
        "1_Square_matrix_multiplication_.py": {**STATS, "mean": 2.66},
        "2_Standard_matrix_multiplication_.py": {**STATS, "mean": 2.64},
        "3_Batched_matrix_multiplication.py": {**STATS, "mean": 5.34},
        "4_Matrix_vector_multiplication_.py": {**STATS, "mean": 2.78},
    }
}


def sample(number, compiled=True, correct=True, runtime=1.33, **more):
    return {
        "sample_id": number,
        "compiled": compiled,
        "correctness": correct,
        "metadata": {
            "hardware": "NVIDIA H100 80GB HBM3",
            "device": "cuda:0",
            "correctness_trials": "(5 / 5)",
        },
        "runtime": runtime if correct else -1.0,
        "runtime_stats": STATS if correct else {},
        **more,
    }


RESULTS = {
    "1": [sample(0), sample(1, correct=False)],
    "2": [sample(0, compiled=False, correct=False), sample(1, runtime=5.28)],
    "3": [sample(0, correct=False), sample(1, correct=False)],
}


@pytest.fixture
def theirs(tmp_path):
    folder = tmp_path / "runs" / "their-run"
    folder.mkdir(parents=True)
    (folder / "eval_results.json").write_text(json.dumps(RESULTS, indent=4))
    (folder / "level_1_problem_1_sample_0_kernel.py").write_text("class ModelNew: pass\n")
    baseline = tmp_path / "baseline_time_torch.json"
    baseline.write_text(json.dumps(BASELINE, indent=4))
    return folder, baseline


def analysis(folder, baseline, level):
    """KernelBench's figures, computed as its script does: sample 0, pairs by order."""
    results = json.loads((folder / "eval_results.json").read_text())
    times = json.loads(baseline.read_text())[f"level{level}"]
    first = {key: next(s for s in items if s["sample_id"] == 0) for key, items in results.items()}
    assert len(first) == len(times)
    correct = np.array([s["correctness"] for s in first.values()])
    speed = np.array([t["mean"] for t in times.values()])
    actual = np.array([s["runtime"] for s in first.values()])
    ratios = (speed / actual)[correct]
    return {
        "correct": correct.sum() / len(first),
        "fast_1": (ratios > 1).sum() / len(first),
        "mean": np.prod(ratios) ** (1 / len(ratios)),
    }


def test_their_run_is_read(theirs):
    run = read_run(*theirs)
    assert [(p.number, p.name, p.level) for p in run.problems] == [
        (1, "1_Square_matrix_multiplication_", 1),
        (2, "2_Standard_matrix_multiplication_", 1),
        (3, "3_Batched_matrix_multiplication", 1),
        (4, "4_Matrix_vector_multiplication_", 1),
    ]
    assert run.device_name == "NVIDIA H100 80GB HBM3"
    assert [a.verdict for p in run.problems for a in p.attempts] == [
        *("correct", "failed", "compile-error", "correct", "failed", "failed")
    ]
    one, two = run.problems[0].best(), run.problems[1].best()
    assert one.ratio == pytest.approx(2.0)
    assert one.candidate_seconds == pytest.approx(1.33e-3)
    assert two.ratio == pytest.approx(0.5)
    group = score_group(run.scored, "")
    # Problem 4 has a baseline and no result: it counts as failed, as theirs does.
    assert (group.problems, group.solved) == (4, 2)
    first = Outcomes.of(p.attempts[0].outcome for p in run.problems[:3])
    assert scores.fast_p(first, 1) == pytest.approx(1 / 3)


def test_samples_that_carry_their_own_speedup_need_no_baseline(tmp_path):
    results = {"5": [sample(0, ref_runtime=4.0, ref_runtime_stats=STATS, speedup=3.0)]}
    (tmp_path / "eval_results.json").write_text(json.dumps(results))
    run = read_run(tmp_path, level=2)
    assert run.problems[0].best().ratio == 3.0
    assert run.problems[0].level == 2


def test_the_oldest_shape_has_one_sample_without_a_list(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"7": sample(0), "3": sample(0)}))
    assert [(key, len(items)) for key, items in read_results(tmp_path / "r.json").items()] == [
        (3, 1),
        (7, 1),
    ]


def attempt(number, ratio=None, verdict="wrong-values", **more):
    timed = (
        {
            "baseline_seconds": 4e-3,
            "candidate_seconds": 4e-3 / ratio,
            "ratio_to_eager": ratio,
            "low": ratio,
            "high": ratio,
        }
        if ratio
        else {}
    )
    verdict = "correct" if ratio else verdict
    return AttemptScore(number, "m", "proposal", verdict, ratio=ratio, **timed, **more)


OURS = RunScores(
    label="ours",
    folder="nowhere",
    created="",
    device="cpu",
    device_name="some CPU",
    problems=(
        ProblemScores(
            "2_B",
            (attempt(1, verdict="compile-error"), attempt(2, 2.0), attempt(3, 4.0)),
            level=1,
            number=2,
            constants={"N": "8"},
            shrunk=True,
        ),
        ProblemScores("1_A", (attempt(1), attempt(2), attempt(3, 0.5)), level=1, number=1),
        ProblemScores("10_C", (), level=1, number=10, state="not-runnable", reason="too large"),
        ProblemScores("softmax", (attempt(1, 1.5),), level=2),
    ),
    scale="cpu",
    models=("m",),
)


def test_our_run_is_written_in_their_shapes(tmp_path):
    write_run(OURS, tmp_path, [("2_B", 2, "class ModelNew: ...\n")])
    results = json.loads((tmp_path / "level_1" / "eval_results.json").read_text())
    # In the order of ids in all files: their analysis pairs results and baseline by order.
    assert list(results) == ["1", "2", "10"]
    assert [s["sample_id"] for s in results["2"]] == [0, 1, 2]
    first, second, _ = results["2"]
    assert (first["compiled"], first["correctness"], first["runtime"]) == (False, False, -1.0)
    assert {*second} >= {
        *("sample_id", "compiled", "correctness", "metadata", "runtime", "runtime_stats")
    }
    assert second["runtime"] == pytest.approx(2.0)
    assert second["runtime_stats"]["mean"] == second["runtime"]
    assert second["metadata"]["constants"] == "N = 8"
    assert second["metadata"]["scale"] == "cpu"
    assert results["10"][0]["metadata"]["reason"] == "too large"
    times = json.loads((tmp_path / "timing" / "some_CPU" / "baseline_time_torch.json").read_text())
    assert list(times["level1"]) == ["1_A.py", "2_B.py", "10_C.py"]
    assert list(times["level2"]) == ["1_softmax.py"]
    assert times["level1"]["2_B.py"]["mean"] == pytest.approx(4.0)
    kernel = tmp_path / "level_1" / "level_1_problem_2_sample_1_kernel.py"
    assert kernel.read_text() == "class ModelNew: ...\n"
    passes = json.loads((tmp_path / "level_1" / "pass_at_k_results.json").read_text())
    assert passes["metadata"]["total_problems"] == 3
    assert passes["problems"]["2"]["correct_samples"] == 2
    assert passes["problems"]["2"]["pass@1"] == pytest.approx(2 / 3)
    assert passes["averages"]["avg_pass@1"] == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)


def test_their_analysis_finds_our_figures(tmp_path):
    write_run(OURS, tmp_path, best=True)
    baseline = tmp_path / "timing" / "some_CPU" / "baseline_time_torch.json"
    found = analysis(tmp_path / "level_1", baseline, 1)
    outcomes = Outcomes.of(p.outcome() for p in OURS.problems if p.level == 1)
    assert found["correct"] == pytest.approx(scores.share_correct(outcomes))
    assert found["fast_1"] == pytest.approx(scores.fast_p(outcomes, 1))
    assert found["mean"] == pytest.approx(scores.geometric_mean_of_correct(outcomes))


def test_what_we_wrote_is_read_as_it_was(tmp_path):
    write_run(OURS, tmp_path)
    baseline = tmp_path / "timing" / "some_CPU" / "baseline_time_torch.json"
    again = read_run(tmp_path / "level_1", baseline, level=1)
    wanted = {p.name: p for p in OURS.problems if p.level == 1}
    assert {p.name for p in again.problems} == set(wanted)
    for problem in again.problems:
        mine = wanted[problem.name].attempts
        theirs = problem.attempts if mine else problem.attempts[1:]
        assert [a.verdict for a in theirs] == [a.verdict for a in mine]
        assert [a.ratio for a in theirs] == [a.ratio for a in mine]
        assert [a.model for a in theirs] == [a.model for a in mine]


def test_what_has_no_place_in_their_format_is_refused(tmp_path):
    untimed = AttemptScore(1, "m", "proposal", "correct")
    for problem, words in (
        (ProblemScores("1_A", (untimed,), level=1, number=1), "was not timed"),
        (ProblemScores("1_A", (), number=1), "1_A have no level"),
    ):
        run = RunScores("r", "", "", "cpu", "x", (problem,))
        with pytest.raises(Error) as caught:
            write_run(run, tmp_path)
        assert caught.value.code == "bad-results"
        assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "eval_results.json:1:2: Expecting"),
        ("[]", "valid dictionary"),
        ('{"x": []}', "key 'x': is no problem id"),
        ('{"1": [{"sample_id": 0}]}', "1.0.compiled: Field required"),
        (json.dumps({"1": [sample(0), sample(0)]}), "key '1': a sample_id is there twice"),
        (json.dumps({"1": [sample(0) | {"runtime": "fast"}]}), "1.0.runtime: Input should be"),
    ],
)
def test_a_broken_result_file_is_shown_with_its_place(tmp_path, text, words):
    (tmp_path / "eval_results.json").write_text(text)
    with pytest.raises(Error) as caught:
        read_run(tmp_path, level=1)
    assert caught.value.code == "bad-results"
    assert words in caught.value.message


def test_a_run_that_does_not_say_its_level(theirs, tmp_path):
    (tmp_path / "eval_results.json").write_text(json.dumps(RESULTS))
    with pytest.raises(Error) as caught:
        read_run(tmp_path)
    assert caught.value.code == "bad-option"
    assert "--level" in caught.value.message
    with pytest.raises(Error) as caught:
        read_run(tmp_path, theirs[1], level=3)
    assert "has no level3, only level1" in caught.value.message
