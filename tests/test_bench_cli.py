"""`bench`, `report --format` and `compare`, as commands."""

import contextlib
import csv
import io
import json
import os
import sqlite3
import subprocess
import sys

import pytest
from rich.console import Console
from tests.providers.scenario import PROBLEM, answer, models_file, new_run, search
from tests.providers.server import ModelServer, Reply
from typer.testing import CliRunner

from metalwright.cli.app import app
from metalwright.reports.scores import print_scores
from metalwright.runs import RunStore
from metalwright.scoring.collect import collect_run

CANDIDATE = '''import metalwright
import torch
from torch import nn

SOURCE = """
kernel void add(device float* out, constant float* x, uint i [[thread_position_in_grid]]) {
  out[i] = x[i] + 1;
}
"""


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        out = torch.empty_like(x)
        metalwright.compile(SOURCE).add(out, x)
        return out
'''

SUITE = """
name = "small"
[[source]]
path = "problems"
[problems.1_Add]
tags = ["easy"]
[[exclude]]
name = "3_Left_out"
reason = "its inputs are secret"
"""


def command(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "metalwright", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160"},
    )


def quick(*arguments):
    """In this process: for commands that start no worker."""
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "160"})


@pytest.fixture
def suite(tmp_path):
    """Three problems: one that a model solves, one too large to run, one left out."""
    folder = tmp_path / "problems" / "level1"
    folder.mkdir(parents=True)
    sized = PROBLEM.replace("\nimport torch\n", "\nimport torch\n\nN = 4\n").replace("(4)", "(N)")
    (folder / "1_Add.py").write_text(sized)
    (folder / "2_Large.py").write_text(sized.replace("N = 4", "N = 1 << 40"))
    (folder / "3_Left_out.py").write_text(sized)
    answers = tmp_path / "answers" / "1_Add"
    answers.mkdir(parents=True)
    (answers / "1.md").write_text(f"```python\n{CANDIDATE}```\n")
    path = tmp_path / "suite.toml"
    path.write_text(SUITE)
    return path


@pytest.mark.native
@pytest.mark.slow
def test_a_suite_is_benched_scored_and_repeated(suite, tmp_path):
    model = f"replay:{tmp_path / 'answers'}"
    result = command(
        *("bench", suite, "--model", model, "--attempts", 1, "--no-tune", "--no-profile"),
        *("--seeds", 1, "--timing-seconds", 0, "--memory-limit", "2G"),
        *("--output", tmp_path / "runs"),
    )
    assert result.returncode == 1, result.stdout + result.stderr
    for words in (
        "1 of 2 problems cannot run on cpu",
        "2_Large: ",
        "over the memory limit",
        "1 problem is scored of 3: 1 cannot run on cpu, 1 is excluded by the suite",
        "excluded by the suite: 3_Left_out: its inputs are secret",
        "which is not an Apple GPU",
        "1/1",
    ):
        assert words in result.stdout, result.stdout
    (folder,) = [p for p in (tmp_path / "runs").iterdir() if p.is_dir()]
    run = collect_run(folder)
    assert run.problems[0].tags == ("easy",)
    assert (run.problems[0].number, run.problems[0].level) == (1, 1)
    assert run.problems[0].best().correct

    again = command("bench", "--repeat", folder, "--output", tmp_path / "more")
    assert again.returncode == 1, again.stdout + again.stderr
    assert f"It repeats {folder.name}" in again.stdout
    (second,) = [p for p in (tmp_path / "more").iterdir() if p.is_dir()]
    repeated = collect_run(second)
    assert repeated.repeats == folder.name
    assert repeated.settings == run.settings
    assert [p.source_hash for p in repeated.problems] == [p.source_hash for p in run.problems]
    assert repeated.problems[0].best().correct
    compared = quick("compare", folder, second)
    assert compared.exit_code == 0, compared.output
    assert "not paired: 2_Large: it cannot run" in compared.output


@pytest.mark.native
def test_a_dry_run_shrinks_and_makes_no_run(suite, tmp_path):
    result = command(
        *("bench", tmp_path / "problems", "--scale", "cpu", "--dry-run", "--number", "1-2"),
        *("--output", tmp_path / "runs"),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "shrunk: 2_Large: was N = 1 << 40" in result.stdout
    assert "2 of 2 problems can run on cpu; the suite has 3, 0 of them excluded" in result.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give either a suite or --repeat RUN"),
        (("x", "--repeat", "y"), "give either a suite or --repeat RUN"),
        (("{suite}", "--scale", "phone"), "--scale: there is no phone; there is cpu"),
        (("{suite}", "--number", "9-1"), "--number: the range '9-1' is empty"),
        (("{suite}", "--tag", "hard"), "is selected by --tag hard"),
        (("--repeat", "nowhere"), "is not a run folder"),
        (("gone.toml",), "no such file"),
    ],
)
def test_wrong_usage(suite, arguments, words):
    result = quick("bench", *(text.format(suite=suite) for text in arguments))
    assert result.exit_code == 2
    assert words in result.output


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """Two runs of one model on two problems; the second is faster on one of them."""
    root = tmp_path_factory.mktemp("bench")
    folders = []
    for ratio in (1.0, 2.0):

        def script(_, ratio=ratio):
            return Reply(text=answer("correct", ratio))

        with ModelServer(script) as server:
            file = models_file(root / "m.toml", server.url)
            store = new_run(root / "runs", ("1_One", "2_Two"), models_file=file, attempts=1)
            search(store)
        folders.append(store.folder)
    return folders


def test_formats(two_runs, tmp_path):
    text = quick("report", *two_runs, "--format", "terminal").output
    assert "2 problems are scored" in text
    assert "2.00x" in text
    # Alike, so that they are also shown as one: the best of both runs.
    assert f"{two_runs[0].name} + {two_runs[1].name}: 2 problems are scored" in text
    text = quick("report", two_runs[1], "--format", "markdown").output
    assert "| test:m | all | 2/2 | 2/2 | 100% | 0% | 2.00x" in text
    assert "| 1\\_One |" in text
    rows = list(csv.DictReader(io.StringIO(quick("report", *two_runs, "--format", "csv").output)))
    assert [(row["problem"], row["best_ratio"]) for row in rows] == [
        *(("1_One", "1.0"), ("2_Two", "1.0"), ("1_One", "2.0"), ("2_Two", "2.0"))
    ]
    result = quick("report", *two_runs, "--format", "parquet", "--output", tmp_path / "tables")
    assert result.exit_code == 0, result.output
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(tmp_path / "tables" / "attempts.parquet")
    assert table.num_rows == 4
    environment = json.loads(table.schema.metadata[b"metalwright.environment"])
    assert environment[two_runs[0].name]["device"]["kind"] == "cpu"
    scores = parquet.read_table(tmp_path / "tables" / "scores.parquet").to_pylist()
    assert [row["mean_of_all"] for row in scores] == pytest.approx([1.0, 2.0])
    quick("report", two_runs[0], "--format", "csv", "--output", tmp_path / "csv")
    assert {p.name for p in (tmp_path / "csv").iterdir()} == {
        *("problems.csv", "attempts.csv", "scores.csv")
    }


def test_shrunk_sizes_are_said_in_every_format(two_runs, tmp_path):
    import shutil

    from metalwright.runs.suite_record import SuiteProblem, SuiteRecord

    folder = tmp_path / "shrunk"
    shutil.copytree(two_runs[0], folder)
    record = SuiteRecord(
        source="KernelBench",
        kind="kernelbench",
        total=250,
        problems=(SuiteProblem(name="1_One", original={"N": "4096"}), SuiteProblem(name="2_Two")),
        scale="cpu",
        not_shrunk={"2_Two": "it has no constant that is a size"},
    )
    config = RunStore.open(folder).config.model_copy(update={"suite": record})
    (folder / "run.json").write_text(config.model_dump_json())
    for name in ("terminal", "markdown"):
        text = quick("report", folder, "--format", name).output
        assert "SIZES WERE SHRUNK (--scale cpu): 1 of 2" in text
        assert "of 250: 248 are not selected" in text
        assert "it has no constant that is a size" in text.replace("\\", "")
    (tmp_path / "runs").mkdir()
    # Not the file alone: what it holds may still be in the log beside it.
    with (
        contextlib.closing(sqlite3.connect(two_runs[0].parent / "store.sqlite")) as store,
        contextlib.closing(sqlite3.connect(tmp_path / "runs" / "store.sqlite")) as copy,
    ):
        store.backup(copy)
    shutil.copytree(folder, tmp_path / "runs" / two_runs[0].name)
    copied = tmp_path / "runs" / two_runs[0].name
    text = quick("report", copied).output
    assert "SIZES WERE SHRUNK (--scale cpu): 1 of 2" in text
    assert "1_One (shrunk)" in text
    assert "2_Two (shrunk)" not in text
    page = (copied / "report" / "index.html").read_text()
    assert "Sizes were shrunk" in page
    text = quick("show", copied).output
    assert text.count("at a size shrunk by --scale cpu") == 1
    rows = list(csv.DictReader(io.StringIO(quick("report", folder, "--format", "csv").output)))
    assert [(row["scale"], row["shrunk"]) for row in rows] == [("cpu", "True"), ("cpu", "False")]
    refused = quick("compare", two_runs[0], folder)
    assert refused.exit_code == 2
    assert "sizes: --scale: as given and cpu" in refused.output
    both = quick("report", two_runs[0], folder, "--format", "terminal").output
    assert "are not put together: sizes: --scale" in both
    text = quick("compare", two_runs[0], folder, "--despite", "sizes").output
    assert "NOT ALIKE: sizes: --scale" in text


@pytest.mark.parametrize("width", [50, 60, 80, 100, 120])
def test_figures_are_not_folded_on_a_narrow_terminal(two_runs, width):
    found = collect_run(two_runs[0])
    console = Console(file=io.StringIO(), width=width)
    print_scores(console, [found])
    text = console.file.getvalue()
    for words in ("solved", "faster", "mean, all", "2/2"):
        assert words in text
    table = [line for line in text.splitlines() if "/2" in line]
    assert max(map(len, table)) <= width
    assert ("cost per solved" in text) == (width >= 100)


def test_two_runs_are_compared(two_runs):
    result = quick("compare", *two_runs)
    assert result.exit_code == 0, result.output
    assert "2.00x" in result.output
    assert "2 problems are faster and 0 slower beyond noise" in result.output
    assert "same text" not in result.output
    itself = quick("compare", two_runs[0], two_runs[0]).output
    assert "noise, the same text" in itself
    assert "no difference beyond noise" in itself
    assert quick("compare", *two_runs, "--despite", "weather").exit_code == 2


def test_kernelbench_and_back(two_runs, tmp_path):
    # These problems have no level, which KernelBench's files need.
    refused = quick("report", two_runs[0], "--format", "kernelbench", "--output", tmp_path / "kb")
    assert refused.exit_code == 2
    assert "1_One, 2_Two have no level" in refused.output
    results = {"1": [{"sample_id": 0, "compiled": True, "correctness": True, "runtime": 2.0}]}
    (tmp_path / "eval_results.json").write_text(json.dumps(results))
    times = tmp_path / "baseline_time_torch.json"
    times.write_text(json.dumps({"level1": {"1_A.py": {"mean": 3.0}, "2_B.py": {"mean": 1.0}}}))
    result = quick("report", tmp_path, "--format", "markdown", "--baseline", times)
    assert result.exit_code == 0, result.output
    assert "| 1/2 | 1/2 | 50% | 0% |" in result.output
    plain = quick("report", tmp_path, "--baseline", times)
    assert plain.exit_code == 0, plain.output
    assert "1/2" in plain.output
    assert "No site is written" in plain.output
    refused = quick("report", tmp_path, "--baseline", times, "--output", tmp_path / "site")
    assert refused.exit_code == 2
    assert "there is no site about KernelBench's results" in " ".join(refused.output.split())


def test_formats_that_there_are_not(two_runs):
    result = quick("report", two_runs[0], "--format", "pdf")
    assert result.exit_code == 2
    assert "there is no pdf; there is terminal, markdown" in result.output
    result = quick("report", two_runs[0], "--format", "parquet")
    assert "--output: parquet goes to a folder" in result.output
