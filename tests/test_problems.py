"""Problems: the form of a file, constants overridden in the text, suites of files, live modules."""

import ast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from metalwright.errors import Error
from metalwright.problems import BrokenProblem, Problem, load_suite, parse_override
from metalwright.problems.source import override_constants, parse_problem

SOURCE = '''"""A problem."""

import torch
from torch import nn

N = 8  # rows
SHAPE = (N, 2 * N)
WIDTH: int = 4
A, B = 1, 2
LONG = (
    3,
    4,
)
NAME = "x"
DTYPE = torch.float32
TABLE = torch.zeros(2)


class Model(nn.Module):
    def forward(self, x):
        return x * A


def get_inputs():
    return [torch.randn(N, WIDTH)]
'''


def test_constants_are_found_with_their_source_text():
    constants = parse_problem(SOURCE, "p.py").constants
    assert constants == {
        "N": "8",
        "SHAPE": "(N, 2 * N)",
        "WIDTH": "4",
        "A": "1",
        "B": "2",
        "LONG": "( 3, 4, )",
        "NAME": '"x"',
        "DTYPE": "torch.float32",
    }


def test_an_override_changes_the_value_and_nothing_else():
    text = override_constants(SOURCE, {"N": "16", "B": "7", "WIDTH": "5"}, "p.py")
    before, after = SOURCE.splitlines(), text.splitlines()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [
        ("N = 8  # rows", "N = 16  # rows"),
        ("WIDTH: int = 4", "WIDTH: int = 5"),
        ("A, B = 1, 2", "A, B = 1, 7"),
    ]


def test_an_override_keeps_line_numbers_when_the_old_value_had_several_lines():
    text = override_constants(SOURCE, {"LONG": "(1, 2)"}, "p.py")
    assert text.count("\n") == SOURCE.count("\n")
    assert text.splitlines().index("class Model(nn.Module):") == SOURCE.splitlines().index(
        "class Model(nn.Module):"
    )
    assert parse_problem(text, "p.py").constants["LONG"].replace(" ", "") == "(1,2)"


@settings(deadline=None)
@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()))
def test_an_override_gives_the_file_that_value(value):
    text = override_constants(SOURCE, {"N": repr(value)}, "p.py")
    assignment = ast.parse(text).body[3]
    assert isinstance(assignment, ast.Assign)
    assert ast.literal_eval(assignment.value) == value


def test_text_outside_ascii_before_a_constant_does_not_shift_the_override():
    text = SOURCE.replace("N = 8  # rows", 'S = "größe"; N = 8').replace("A problem", "Größe")
    assert 'S = "größe"; N = 9' in override_constants(text, {"N": "9"}, "p.py")


def test_an_unknown_constant_is_an_error_that_lists_the_known_ones():
    with pytest.raises(Error) as caught:
        override_constants(SOURCE, {"M": "1"}, "p.py")
    assert caught.value.code == "unknown-constant"
    assert "N, SHAPE, WIDTH, A, B, LONG, NAME, DTYPE" in caught.value.hint


@pytest.mark.parametrize("text", ["N", "=3", "N=", "N=open('x')", "N=M", "N=1;M=2", "a b=1"])
def test_an_override_that_is_no_literal_is_refused(text):
    with pytest.raises(Error) as caught:
        parse_override(text)
    assert caught.value.code == "bad-override"


def test_an_override_may_be_arithmetic():
    assert parse_override("N = 2**12 - 1") == ("N", "2**12 - 1")


def test_a_syntax_error_says_where():
    with pytest.raises(Error) as caught:
        parse_problem("class Model(:\n", "p.py")
    assert caught.value.code == "problem-syntax"
    assert str(caught.value).startswith("p.py:1:13: ")


def test_a_file_without_model_says_what_a_problem_needs(tmp_path):
    path = tmp_path / "p.py"
    path.write_text("def get_inputs():\n    return []\n")
    with pytest.raises(Error) as caught:
        Problem.from_file(path)
    assert caught.value.code == "problem-without-model"
    assert str(path) in caught.value.message
    assert "class Model(torch.nn.Module)" in caught.value.hint


def test_making_a_problem_runs_none_of_its_code(tmp_path):
    path = tmp_path / "p.py"
    path.write_text("raise SystemExit(3)\n" + SOURCE)
    assert Problem.from_file(path).name == "p"


def test_a_problem_is_the_same_after_writing_and_reading(tmp_path):
    path = tmp_path / "level2" / "p.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    problem = Problem.from_file(path, {"N": "3"})
    assert problem.level == 2
    problem.write(tmp_path / "copy")
    assert Problem.read(tmp_path / "copy") == problem


def test_a_loaded_problem_uses_the_override(tmp_path):
    path = tmp_path / "p.py"
    path.write_text(SOURCE)
    loaded = Problem.from_file(path, {"N": "3", "A": "5"}).load()
    module = loaded.build(loaded.init_inputs(0), 0)
    (x,) = loaded.inputs(1)
    assert x.shape == (3, 4)
    assert torch.equal(loaded.call(module, [x], 0), 5 * x)


def test_the_same_seed_gives_the_same_inputs_and_another_seed_others(tmp_path):
    path = tmp_path / "p.py"
    path.write_text(SOURCE)
    loaded = Problem.from_file(path).load()
    assert torch.equal(loaded.inputs(7)[0], loaded.inputs(7)[0])
    assert not torch.equal(loaded.inputs(7)[0], loaded.inputs(8)[0])


@pytest.mark.parametrize(
    ("old", "new", "fault", "doing"),
    [
        ("import torch\n", "import torch\n1 / 0\n", "1 / 0", "the file is imported"),
        ("return x * A", "return x.nope", "x.nope", "Model.forward runs"),
        ("torch.randn(N, WIDTH)", "torch.randn(N, -1)", "N, -1", "get_inputs() runs"),
        (
            "    def forward",
            "    def __init__(self):\n        1 / 0\n\n    def forward",
            "1 / 0",
            "Model is constructed",
        ),
    ],
)
def test_what_a_problem_raises_is_reported_with_its_line(tmp_path, old, new, fault, doing):
    path = tmp_path / "p.py"
    text = SOURCE.replace(old, new, 1)
    path.write_text(text)
    line = text[: text.index(fault)].count("\n") + 1

    def run():
        loaded = Problem.from_file(path).load()
        module = loaded.build(loaded.init_inputs(0), 0)
        loaded.call(module, loaded.inputs(0), 0)

    with pytest.raises(Error) as caught:
        run()
    assert caught.value.code == "problem-raised"
    assert f"{path}:{line}: " in caught.value.message
    assert doing in caught.value.message


# ---------------------------------------------------------------------------------- suites


def _write(path, text=SOURCE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folder_is_read_in_natural_order_and_helpers_are_left_out(tmp_path):
    for name in ("level1/10_b.py", "level1/2_a.py", "level2/1_c.py"):
        _write(tmp_path / name)
    _write(tmp_path / "helper.py", "X = 1\n")
    _write(tmp_path / "_private.py")
    _write(tmp_path / ".hidden" / "p.py")
    names = [problem.name for problem in load_suite([tmp_path])]
    assert names == ["2_a", "10_b", "1_c"]


def test_filters_select_by_name_and_level(tmp_path):
    for name in ("level1/relu.py", "level1/gelu.py", "level2/gelu_mlp.py"):
        _write(tmp_path / name)
    assert [p.name for p in load_suite([tmp_path], only=["gelu"])] == ["gelu", "gelu_mlp"]
    assert [p.name for p in load_suite([tmp_path], levels=[2])] == ["gelu_mlp"]
    with pytest.raises(Error) as caught:
        load_suite([tmp_path], only=["conv"])
    assert caught.value.code == "no-problem-selected"
    assert "gelu_mlp" in caught.value.hint


def test_a_broken_file_does_not_stop_the_others(tmp_path):
    _write(tmp_path / "good.py")
    _write(tmp_path / "bad.py", "def get_inputs(:\n")
    bad, good = load_suite([tmp_path])
    assert isinstance(bad, BrokenProblem)
    assert bad.error.code == "problem-syntax"
    assert isinstance(good, Problem)


def test_an_override_applies_where_the_constant_is_and_must_be_somewhere(tmp_path):
    _write(tmp_path / "a.py")
    _write(tmp_path / "b.py", SOURCE.replace("N = 8", "N = 8\nEXTRA = 1"))
    a, b = load_suite([tmp_path], {"EXTRA": "2"})
    assert not a.overrides
    assert b.constants["EXTRA"] == "2"
    with pytest.raises(Error) as caught:
        load_suite([tmp_path], {"NOWHERE": "2"})
    assert caught.value.code == "unknown-constant"


def test_equal_names_are_told_apart_by_their_folder(tmp_path):
    _write(tmp_path / "level1" / "p.py")
    _write(tmp_path / "level2" / "p.py")
    assert [p.name for p in load_suite([tmp_path])] == ["level1-p", "level2-p"]


@pytest.mark.parametrize(
    ("name", "code"),
    [("missing.py", "no-such-path"), ("notes.txt", "not-a-problem-path"), ("empty", "no-problems")],
)
def test_a_path_that_holds_no_problem_is_an_error(tmp_path, name, code):
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Error) as caught:
        load_suite([tmp_path / name])
    assert caught.value.code == code


# ---------------------------------------------------------------------------------- modules


class Scaled(nn.Module):
    """At the top level of this file, so that it can be pickled."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), 2.0))

    def forward(self, x, index):
        return x[:, index] * self.weight


def test_a_live_module_becomes_a_problem_with_its_weights_and_mode(tmp_path):
    module = Scaled().eval()
    x, index = torch.full((4, 10), 3.0) + torch.randn(4, 10), torch.tensor([0, 5, 9])
    Problem.from_module(module, (x, index)).write(tmp_path)
    loaded = Problem.read(tmp_path).load()
    again = loaded.build([], 0)
    assert torch.equal(again.weight, module.weight)
    assert not again.training
    drawn_x, drawn_index = loaded.inputs(1)
    assert (drawn_x.shape, drawn_x.dtype) == (x.shape, x.dtype)
    assert abs(drawn_x.mean().item() - x.mean().item()) < 1.0
    assert not torch.equal(drawn_x, x)
    assert 0 <= int(drawn_index.min()) <= int(drawn_index.max()) <= 9
    assert loaded.call(again, [drawn_x, drawn_index], 0).shape == (4, 3)


def test_a_module_that_cannot_be_pickled_is_a_user_error():
    class Local(nn.Module):
        pass

    with pytest.raises(Error) as caught:
        Problem.from_module(Local(), torch.zeros(1))
    assert caught.value.code == "module-not-picklable"


def test_a_module_defined_in_the_users_script_can_be_loaded_elsewhere(tmp_path):
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "import torch\n"
        "from metalwright.problems import Problem\n"
        "class Twice(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    Problem.from_module(Twice(), torch.randn(3)).write(Path(sys.argv[1]))\n"
    )
    subprocess.run([sys.executable, str(script), str(tmp_path / "p")], check=True, timeout=120)
    load = (
        "import sys; from pathlib import Path; from metalwright.problems import Problem\n"
        "loaded = Problem.read(Path(sys.argv[1])).load()\n"
        "x = loaded.inputs(0)\n"
        "assert (loaded.call(loaded.build([], 0), x, 0) == 2 * x[0]).all()\n"
    )
    subprocess.run([sys.executable, "-c", load, str(tmp_path / "p")], check=True, timeout=120)
