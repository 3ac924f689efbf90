"""Suites: folders, KernelBench checkouts, data sets, suite files; what is wrong with them."""

import textwrap

import pytest

from metalwright.errors import Error
from metalwright.problems import BrokenProblem
from metalwright.problems.benchmark import open_suite
from metalwright.problems.selection import Selection, parse_numbers
from metalwright.problems.suite_file import line_of

SOURCE = """
import torch
from torch import nn

BATCH = 4
SHAPE = (8, 16)


class Model(nn.Module):
    def forward(self, x):
        return x + 1


def get_inputs():
    return [torch.randn(BATCH, *SHAPE)]
"""


def write(path, text=SOURCE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


@pytest.fixture
def checkout(tmp_path):
    """KernelBench's layout with its file names, ids not in the order of the alphabet."""
    root = tmp_path / "repo"
    for level, names in {
        1: ["10_Matmul_", "2_Softmax", "1_Square_matrix_multiplication_"],
        2: ["1_Conv2D_ReLU_BiasAdd", "2_Softmax"],
        3: ["1_MLP"],
    }.items():
        for name in names:
            write(root / "KernelBench" / f"level{level}" / f"{name}.py")
    write(root / "KernelBench" / "level1" / "helper.py", "x = 1")
    write(root / "scripts" / "run.py", "class Model: pass\n\ndef get_inputs(): pass\n")
    return root


def failing(source, *arguments):
    with pytest.raises(Error) as caught:
        open_suite(str(source), *arguments)
    return caught.value


def test_a_kernelbench_checkout(checkout):
    for place in (checkout, checkout / "KernelBench"):
        suite = open_suite(str(place))
        assert suite.kind == "kernelbench"
        assert [(e.name, e.level, e.number) for e in suite.entries] == [
            ("1_Square_matrix_multiplication_", 1, 1),
            ("level1-2_Softmax", 1, 2),
            ("10_Matmul_", 1, 10),
            ("1_Conv2D_ReLU_BiasAdd", 2, 1),
            ("level2-2_Softmax", 2, 2),
            ("1_MLP", 3, 1),
        ]
        assert suite.total == 6
        assert suite.entries[0].problem.level == 1


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(levels=(3,)), ["1_MLP"]),
        (
            Selection(levels=(1, 3), numbers=(parse_numbers("2-10"),)),
            ["level1-2_Softmax", "10_Matmul_"],
        ),
        (Selection(only=("Conv", "MLP")), ["1_Conv2D_ReLU_BiasAdd", "1_MLP"]),
    ],
)
def test_selection(checkout, selection, names):
    suite = open_suite(str(checkout), selection)
    assert [entry.name for entry in suite.entries] == names
    assert suite.total == 6
    assert suite.selection == str(selection) != ""


def test_selecting_nothing_names_what_there_is(checkout):
    error = failing(checkout, Selection(levels=(7,), numbers=(range(1, 4),), tags=("x",)))
    assert error.code == "no-problem-selected"
    assert "none of the 6 problems is selected by --level 7 --number 1-3 --tag x" in error.message
    assert "10_Matmul_" in error.hint


@pytest.mark.parametrize("text", ["", "x", "1-", "-3", "5-2", "1,2"])
def test_numbers_that_are_none(text):
    with pytest.raises(ValueError, match="range"):
        parse_numbers(text)


def test_a_folder_of_problems(tmp_path):
    write(tmp_path / "level_2" / "a.py")
    write(tmp_path / "b.py")
    write(tmp_path / "level1" / "broken.py", "def get_inputs(:")
    suite = open_suite(str(tmp_path), None, {"BATCH": "2"})
    assert suite.kind == "folder"
    entries = {entry.name: entry for entry in suite.entries}
    assert (entries["a"].level, entries["b"].level) == (2, None)
    assert isinstance(entries["broken"].problem, BrokenProblem)
    assert entries["broken"].level == 1
    assert entries["a"].problem.overrides == {"BATCH": "2"}
    assert failing(tmp_path, None, {"NO": "2"}).code == "unknown-constant"


def test_two_problems_of_one_name_are_a_mistake(tmp_path):
    write(tmp_path / "x" / "a.py")
    write(tmp_path / "y" / "a.py")
    error = failing(tmp_path)
    assert error.code == "duplicate-problem"
    for place in ("x/a.py", "y/a.py"):
        assert place in error.message


@pytest.mark.parametrize(
    ("name", "code"),
    [("nowhere", "no-such-path"), ("notes.txt", "not-a-suite"), ("empty", "no-problems")],
)
def test_what_is_no_suite(tmp_path, name, code):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    assert failing(tmp_path / name).code == code


# ------------------------------------------------------------------------------ data sets


@pytest.fixture
def dataset(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {
        "code": [SOURCE, "not python (", SOURCE],
        "level": [1, 1, 1],
        "name": ["1_Add.py", "2_Broken", "3_Add_More"],
        "problem_id": [1, 2, 3],
    }
    whole = datasets.DatasetDict(
        {
            "level_1": datasets.Dataset.from_dict(rows),
            "level_2": datasets.Dataset.from_dict(
                {"code": [SOURCE], "level": [2], "name": ["1_Add"], "problem_id": [1]}
            ),
        }
    )
    whole.save_to_disk(tmp_path / "saved")
    for level, part in whole.items():
        (tmp_path / "parquet" / "data").mkdir(parents=True, exist_ok=True)
        part.to_parquet(tmp_path / "parquet" / "data" / f"{level}-00000-of-00001.parquet")
    return tmp_path


def test_a_data_set_with_kernelbenchs_columns(dataset):
    suite = open_suite(str(dataset / "saved"))
    assert (suite.kind, suite.total) == ("dataset", 4)
    assert [(e.name, e.level, e.number) for e in suite.entries] == [
        ("level1-1_Add", 1, 1),
        ("2_Broken", 1, 2),
        ("3_Add_More", 1, 3),
        ("level2-1_Add", 2, 1),
    ]
    assert suite.entries[0].problem.constants["SHAPE"] == "(8, 16)"
    assert isinstance(suite.entries[1].problem, BrokenProblem)
    assert "level_1[1]" in suite.entries[1].problem.error.message
    chosen = open_suite(f"hf:{dataset / 'saved'}", Selection(levels=(2,)), {"BATCH": "9"})
    assert "BATCH = 9" in chosen.entries[0].problem.source


def test_a_data_set_without_the_columns(dataset):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": ["x"]}).save_to_disk(dataset / "other")
    error = failing(dataset / "other")
    assert error.code == "bad-dataset"
    assert "has no column code, level, name, problem_id; there are text" in error.message


def test_a_suite_file_may_name_a_data_set(dataset):
    text = 'name = "x"\n[[source]]\ndataset = "saved"\nlevels = [2]\ntags = ["t"]\n'
    suite = open_suite(str(suite_file(dataset, text)))
    assert [(e.name, e.tags) for e in suite.entries] == [("1_Add", ("t",))]


# ------------------------------------------------------------------------------ suite files


def suite_file(folder, text):
    return write(folder / "suite.toml", text)


GOOD = """
    name = "mine"
    [constants]
    BATCH = 2

    [[source]]
    path = "repo"
    levels = [1]
    tags = ["one"]

    [[source]]
    path = "repo"
    levels = [2, 3]
    numbers = [1, "5-9"]

    [problems.10_Matmul_]
    constants = { SHAPE = "(3, 5)", BATCH = 1 }
    tags = ["matmul"]

    [problems.1_MLP]
    level = 4

    [[exclude]]
    name = "2_Softmax"
    reason = "its output is all zeros"
"""


def test_a_suite_file(checkout, tmp_path):
    suite = open_suite(str(suite_file(tmp_path, GOOD)))
    assert (suite.kind, suite.name, suite.total) == ("file", "mine", 5)
    assert [(e.name, e.level, e.tags) for e in suite.entries] == [
        ("1_Square_matrix_multiplication_", 1, ("one",)),
        ("10_Matmul_", 1, ("one", "matmul")),
        ("1_Conv2D_ReLU_BiasAdd", 2, ()),
        ("1_MLP", 4, ()),
    ]
    assert [(e.name, e.reason) for e in suite.excluded] == [
        ("2_Softmax", "its output is all zeros")
    ]
    matmul = suite.entries[1].problem
    assert matmul.overrides == {"BATCH": "1", "SHAPE": "(3, 5)"}
    assert suite.entries[3].problem.level == 4
    tagged = open_suite(str(tmp_path / "suite.toml"), Selection(tags=("matmul",)))
    assert [entry.name for entry in tagged.entries] == ["10_Matmul_"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('tags = ["one"]', 'tag = ["one"]', 9, "source.0.tag: there is no such key"),
        ("numbers = [1,", "numbers = [1, 'x',", 14, "neither a number nor a range"),
        ("levels = [2, 3]", 'levels = "2"', 13, "source.1.levels"),
        ('reason = "its', 'because = "its', 25, "exclude.0"),
        ("level = 4", "levle = 4", 21, "problems.1_MLP.levle: there is no such key"),
        ('"(3, 5)"', '"open(1)"', 17, "is no literal"),
        ('name = "mine"', 'nmae = "mine"', 2, "there is no such key"),
        ("BATCH = 2", "BATCH = [2]", 4, "constants.BATCH"),
        ('path = "repo"\n    levels = [1]', "levels = [1]", 6, "give either path or dataset"),
    ],
)
def test_a_mistake_in_a_suite_file_is_shown_with_its_line(
    checkout, tmp_path, old, new, line, words
):
    assert old in GOOD
    error = failing(suite_file(tmp_path, GOOD.replace(old, new, 1)))
    assert error.code == "bad-suite-file"
    assert words in error.message
    assert f"suite.toml:{line}: " in error.message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "2_Softmax"', 'name = "2_Sotfmax"', "exclude: no problem is called 2_Sotfmax"),
        ("[problems.1_MLP]", "[problems.1_MPL]", "problems: no problem is called 1_MPL"),
        ('SHAPE = "(3', 'SHOPE = "(3', "has no constant SHOPE; it has BATCH, SHAPE"),
        ("levels = [1]", "levels = [9]", "none of its 6 problems passes --level 9"),
        ("[constants]", "[constants", "line 3"),
    ],
)
def test_a_suite_file_that_names_what_is_not_there(checkout, tmp_path, old, new, words):
    error = failing(suite_file(tmp_path, GOOD.replace(old, new, 1)))
    assert error.code == "bad-suite-file"
    assert words in error.message


def test_a_source_that_is_not_there(tmp_path):
    text = 'name = "x"\n[[source]]\npath = "gone"\n'
    assert failing(suite_file(tmp_path, text)).code == "no-such-path"


def test_the_same_problem_from_two_sources(checkout, tmp_path):
    text = 'name = "x"\n' + '[[source]]\npath = "repo"\nlevels = [3]\n' * 2
    assert failing(suite_file(tmp_path, text)).code == "duplicate-problem"


def test_lines_of_keys_in_quotes():
    text = '[problems."a.b"]\n"x y" = 1\n[[exclude]]\n[[exclude]]\nname = 1\n'
    assert line_of(text, ("problems", "a.b", "x y")) == 2
    assert line_of(text, ("exclude", 1, "name")) == 5
    assert line_of(text, ("exclude", 0, "name")) == 3
    assert line_of(text, ("nothing",)) is None
