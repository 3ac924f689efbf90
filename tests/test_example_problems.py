"""The example problems: each loads, is what its level says, and gives the same output twice.

What the judge and the offline generator make of all of them takes minutes: docs/example-problems.md
has the commands and what came out.
"""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from metalwright.errors import Error  # noqa: E402
from metalwright.generation.extraction import Unparsable, extract  # noqa: E402
from metalwright.problems import Problem, load_suite  # noqa: E402
from metalwright.problems.benchmark import open_suite  # noqa: E402

pytestmark = pytest.mark.torch

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples" / "problems"
FILES = sorted(FOLDER.glob("*/*.py"))
SUITE = ROOT / "examples" / "suites" / "recorded.toml"
RECORDED = {name: ROOT / "tests" / "providers" / name for name in ("recorded", "recorded_other")}
# Which of a problem's recorded answers are right, of some of each kind. The judge looks at all of
# them, and at more than one call: the command is in docs/example-problems.md.
OUTCOMES = {
    "recorded": {
        "argmax_middle": "wrong, right",
        "embedding_layer_norm": "wrong, right",
        "instance_norm": "right",
        "selective_scan": "wrong, right",
        "top_k": "wrong, wrong",
        "transformer_block": "wrong, wrong",
    },
    "recorded_other": {
        "average_pool_1d": "wrong, right",
        "matmul_transposed": "wrong, right",
        "matrix_vector": "right, right",
        "mlp_mixer": "wrong, wrong",
        "neighbour_attention": "right",
        "row_quantise": "wrong, right",
        "top_k": "right",
        "transformer_block": "wrong, right",
    },
}


def tensors(value):
    return [value] if isinstance(value, torch.Tensor) else list(value)


def test_there_are_enough_of_each_level():
    problems = load_suite([FOLDER])
    counts = Counter(problem.level for problem in problems)
    assert len(problems) >= 42
    assert set(counts) == {1, 2, 3}
    assert min(counts.values()) >= 12
    assert len({problem.name for problem in problems}) == len(problems)


def test_what_make_demo_runs_is_there():
    said = subprocess.run(
        ["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    named = re.findall(r"examples/problems/\S+\.py", said)
    assert len(named) == 12
    assert all((ROOT / name).is_file() for name in named)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_problem_says_what_it_is_and_can_be_resized(path):
    problem = Problem.from_file(path)
    described = ast.get_docstring(ast.parse(problem.source))
    assert described
    assert described.rstrip()[-1] == "."
    sizes = [name for name, value in problem.constants.items() if value.isdigit()]
    assert sizes, "sizes are module-level constants"
    assert all(name.isupper() for name in sizes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_problem_gives_the_same_finite_output_twice(path):
    loaded = Problem.from_file(path).load()
    model = loaded.build(loaded.init_inputs(0), 0)
    first, second = (tensors(loaded.call(model, loaded.inputs(1), 2)) for _ in range(2))
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one, two)
        assert bool(torch.isfinite(one.float()).all())
        assert one.numel() > 0
    other = tensors(loaded.call(model, loaded.inputs(7), 2))
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))


def recorded_folders(name):
    return {entry.name: entry for entry in RECORDED[name].iterdir() if entry.is_dir()}


def test_two_stand_ins_for_models_have_answers_to_the_same_forty_problems():
    suite = open_suite(str(SUITE))
    names = {entry.name for entry in suite.entries}
    assert len(names) >= 40
    assert names | {one.name for one in suite.excluded} == {path.stem for path in FILES}
    assert all(set(recorded_folders(name)) == names for name in RECORDED)
    for problem in names:
        counts = []
        for name in RECORDED:
            files = recorded_folders(name)[problem].glob("[0-9].md")
            numbers = sorted(int(file.stem) for file in files)
            assert numbers == list(range(1, len(numbers) + 1))
            counts.append(len(numbers))
        # Where neither has a second answer, the run would stay paused in its second round.
        assert max(counts) >= 2, problem


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_answers_have_code_say_who_wrote_them_and_are_no_copies(name):
    sources = {}
    for file in sorted(RECORDED[name].glob("*/*.md")):
        text = file.read_text("utf-8")
        assert text.startswith("(Written by hand for metalwright's tests; no model has said this.)")
        if "-repair-" in file.name:
            continue
        try:
            source = extract(text).source
        except Unparsable:
            # On purpose: the next file of the conversation is what the repair brings.
            assert file.with_name(f"{file.stem}-repair-1.md").exists(), file
            continue
        assert sources.setdefault(source, file) is file
        ours = "metalwright.compile(SOURCE" in source
        assert ours or file.parent.name == "matmul_transposed", "that one leaves all to torch"


@pytest.mark.native
@pytest.mark.parametrize(
    ("name", "problem"),
    [(name, problem) for name, problems in OUTCOMES.items() for problem in problems],
)
def test_recorded_answers_are_right_where_they_are_said_to_be(name, problem):
    (entry,) = (entry for entry in open_suite(str(SUITE)).entries if entry.name == problem)
    loaded = entry.problem.load()
    arguments = loaded.init_inputs(0)
    reference = loaded.build(arguments, 0)
    inputs = loaded.inputs(1)
    expected = loaded.call(reference, inputs, 1)
    verdicts = []
    for file in sorted(recorded_folders(name)[problem].glob("*.md")):
        namespace = {"__name__": "candidate"}
        source = extract(file.read_text("utf-8")).source
        try:
            exec(compile(source, file.name, "exec"), namespace)
            made = namespace["ModelNew"](*arguments)
            made.load_state_dict(reference.state_dict())
            with torch.no_grad():
                found = made(*inputs)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        except (AssertionError, RuntimeError, Error):
            verdicts.append("wrong")
        else:
            verdicts.append("right")
    assert ", ".join(verdicts) == OUTCOMES[name][problem]
