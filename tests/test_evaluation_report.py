"""What comes out of an evaluation: the schema, the words, the audit; and held-out sizes."""

import json
import shutil
from pathlib import Path

import pytest
from tests.cheats.catalogue import PROBLEMS, honest_path

from metalwright.evaluation import Flag, Judge, Settings, Verdict, for_model, for_people
from metalwright.evaluation.audit import Stored, audit, changes
from metalwright.evaluation.model import Interval
from metalwright.evaluation.schema import schema_text
from metalwright.evaluation.sizes import free_sizes, other_sizes
from metalwright.problems import Problem

ROOT = Path(__file__).resolve().parent.parent
UNTIMED = Settings(seeds=2, deadline=20.0, memory_limit=2 << 30, timing=False)


def test_the_schema_in_the_docs_is_that_of_the_code():
    text = (ROOT / "docs" / "evaluation-schema.json").read_text("utf-8")
    assert text == schema_text(), "python -m metalwright.evaluation.schema > docs/..."


# ---------------------------------------------------------------------------------- sizes

SIZED = """
import torch
from torch import nn

BATCH, FEATURES = 16, 64
ROWS = 3
TWICE = ROWS * 2
SCALE = 2.5


class Model(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.linear = nn.Linear(features, 4)

    def forward(self, x):
        return self.linear(x)


def size():
    return BATCH


def get_inputs():
    return [torch.randn(size(), TWICE, FEATURES)]


def get_init_inputs():
    return [FEATURES]
"""


def test_sizes_that_only_feed_the_inputs_are_free_and_the_others_are_not():
    assert free_sizes(SIZED) == {"ROWS": 3}
    alone = SIZED.replace("BATCH, FEATURES = 16, 64", "BATCH = 16\nFEATURES = 64")
    assert free_sizes(alone) == {"BATCH": 16, "ROWS": 3}
    in_model = alone.replace("return self.linear(x)", "return self.linear(x) * BATCH")
    assert free_sizes(in_model) == {"ROWS": 3}
    at_top_level = alone + "\nprint(ROWS)\n"
    assert free_sizes(at_top_level) == {"BATCH": 16}


def test_other_sizes_are_larger_smaller_odd_and_one(tmp_path):
    path = tmp_path / "sized.py"
    path.write_text(SIZED)
    found = other_sizes(Problem.from_file(path))
    assert found == [{"ROWS": "4"}, {"ROWS": "2"}, {"ROWS": "1"}]


# ---------------------------------------------------------------------------------- words, audit


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A right and a wrong candidate with their evaluations, and the problem."""
    path = tmp_path_factory.mktemp("problem") / "scale_shift.py"
    path.write_text(PROBLEMS["scale_shift"])
    problem = Problem.from_file(path)
    right = honest_path("plain").read_text("utf-8")
    wrong = right.replace("metal::fma(factor, x[i], bias[i % n])", "factor * x[i]")
    assert wrong != right
    seeds = []
    with Judge(UNTIMED) as judge, judge.open(problem) as session:
        ask = session.plain._ask

        def watched(command, doing, **arguments):
            seeds.extend(v for k, v in arguments.items() if "seed" in k)
            return ask(command, doing, **arguments)

        session.plain._ask = watched
        return (
            problem,
            {
                "right": (right, judge.evaluate(session, right)),
                "wrong": (wrong, judge.evaluate(session, wrong)),
            },
            seeds,
        )


@pytest.mark.native
def test_a_wrong_kernel_is_described_to_its_author(evaluated):
    _, found, _ = evaluated
    text = for_model(found["wrong"][1])
    assert text.startswith("Verdict: wrong-values.")
    assert "100 % of the elements are wrong" in text
    assert "First at [0, 0]" in text


@pytest.mark.native
def test_a_right_one_is_told_how_its_kernels_are_launched(evaluated):
    _, found, _ = evaluated
    text = for_people(found["right"][1])
    assert "Kernel scale_shift: 1 dispatches, 4000 threads" in text
    assert "% of KernelBench's" in text
    assert "passed   ghost run" in text


@pytest.mark.native
def test_no_seed_and_no_more_than_two_expected_values_leave_the_judge(evaluated):
    _, found, seeds = evaluated
    assert len(seeds) > 4
    for _, evaluation in found.values():
        for text in (for_model(evaluation), for_people(evaluation), evaluation.model_dump_json()):
            assert not [seed for seed in seeds if len(str(seed)) > 5 and str(seed) in text]
            assert text.count("expected") <= 8
        values = [e for item in evaluation.evidence for e in (item.first, item.worst) if e]
        assert len(values) <= 2


@pytest.mark.native
def test_an_audit_confirms_what_is_true_and_reports_what_is_not(evaluated):
    problem, found, _ = evaluated
    forged = found["wrong"][1].model_copy(update={"verdict": Verdict.CORRECT})
    stored = [
        Stored("scale_shift", 1, found["right"][0], found["right"][1]),
        Stored("scale_shift", 2, found["wrong"][0], forged),
    ]
    first, second = audit(iter(stored), lambda name: problem, UNTIMED)
    assert first.changes == ()
    assert second.changes == ("verdict correct -> wrong-values",)


def test_a_ratio_has_changed_only_beyond_its_interval_and_what_identical_code_shows():
    class Timing:
        def __init__(self, low, median, high):
            self.ratio = Interval(low=low, median=median, high=high)

    class Evaluation:
        def __init__(self, timing, *flags):
            self.verdict, self.timing, self.flags = Verdict.CORRECT, timing, flags

    before = Evaluation(Timing(1.9, 2.0, 2.1))
    assert list(changes(before, Evaluation(Timing(1.75, 1.8, 1.85)))) == []
    assert list(changes(before, Evaluation(Timing(1.0, 1.1, 1.2)))) == ["ratio 2 -> 1.1"]
    assert list(changes(before, Evaluation(Timing(1.0, 1.1, 1.2), Flag.NOISY_TIMING))) == []
    flagged = Evaluation(Timing(1.9, 2.0, 2.1), Flag.LIBRARY_ONLY)
    assert list(changes(before, flagged)) == ["library-only new"]


@pytest.mark.native
def test_a_run_folder_that_was_copied_elsewhere_can_be_audited(evaluated, tmp_path):
    from typer.testing import CliRunner

    from metalwright.cli.app import app
    from metalwright.generation.candidate import Candidate
    from metalwright.runs import RunStore
    from metalwright.runs.store import RunConfig

    problem, found, _ = evaluated
    source, evaluation = found["right"]
    config = RunConfig(
        name="claim",
        created="",
        generator="replay",
        settings=UNTIMED,
        problems=(problem.name,),
        device=evaluation.device,
        machine={},
        versions={},
    )
    store = RunStore.create(tmp_path / "here", config, [problem])
    candidate = Candidate(source=source, kernels={}, origin="test")
    store.add_attempt(problem.name, candidate, evaluation)
    forged = evaluation.model_copy(update={"verdict": Verdict.TIMEOUT})
    store.add_attempt(problem.name, candidate, forged)
    folder = tmp_path / "there" / "copy"
    shutil.copytree(store.folder, folder)
    shutil.rmtree(store.folder)
    result = CliRunner().invoke(app, ["audit", str(folder), "--json"])
    assert result.exit_code == 1, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["changes"] for row in rows] == [[], ["verdict timeout -> correct"]]
