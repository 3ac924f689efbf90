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

from metalwright.problems import Problem, load_suite  # noqa: E402

pytestmark = pytest.mark.torch

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples" / "problems"
FILES = sorted(FOLDER.glob("*/*.py"))
RECORDED = ROOT / "tests" / "providers" / "recorded_other"
OTHER = sorted(entry for entry in RECORDED.iterdir() if entry.is_dir())


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


@pytest.mark.native
@pytest.mark.parametrize("folder", OTHER, ids=lambda folder: folder.name)
def test_the_last_recorded_answer_is_right_and_earlier_ones_are_not(folder):
    (path,) = FOLDER.glob(f"*/{folder.name}.py")
    loaded = Problem.from_file(path).load()
    arguments = loaded.init_inputs(0)
    reference = loaded.build(arguments, 0)
    inputs = loaded.inputs(1)
    expected = loaded.call(reference, inputs, 1)
    verdicts = []
    for file in sorted(folder.glob("*.md")):
        source = re.search(r"```python\n(.*?)```", file.read_text("utf-8"), re.S)[1]
        namespace = {"__name__": "candidate"}
        exec(compile(source, file.name, "exec"), namespace)
        made = namespace["ModelNew"](*arguments)
        made.load_state_dict(reference.state_dict())
        with torch.no_grad():
            found = made(*inputs)
        try:
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        except AssertionError:
            verdicts.append(False)
        else:
            verdicts.append(True)
    assert verdicts == [False] * (len(verdicts) - 1) + [True]
