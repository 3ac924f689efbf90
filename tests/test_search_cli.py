"""The commands over the store of runs, and the prompt command."""

import json
import os
import subprocess
import sys

import pytest
from tests.providers.scenario import PROBLEM, answer, models_file, new_run, search
from tests.providers.server import ModelServer, Reply


def run(*arguments, env=None, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "metalwright", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160", **(env or {})},
    )


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """Folders of two runs in one store; the second is paused."""
    root = tmp_path_factory.mktemp("cli")
    folders = []
    for replies in ([answer("crash"), answer("correct", 1.5)], [answer("correct", 1.2), None]):
        left = list(replies)

        def script(_, left=left):
            text = left.pop(0) if left else None
            return Reply(status=404) if text is None else Reply(text=text)

        with ModelServer(script) as server:
            file = models_file(root / "m.toml", server.url)
            store = new_run(root / "runs", models_file=file, attempts=2)
            search(store)
        folders.append(store.folder)
    return folders


def test_runs_are_listed(two_runs):
    result = run("runs", two_runs[0].parent)
    assert result.returncode == 0, result.stderr
    for words in (two_runs[0].name, two_runs[1].name, "1/1", "1 paused", "$0."):
        assert words in result.stdout


def test_a_run_a_problem_and_an_attempt_are_shown(two_runs):
    result = run("show", two_runs[0])
    assert "one: finished, attempt 2 wins. 2 attempts are made" in result.stdout
    assert "crash" in result.stdout
    assert "paused" in run("show", two_runs[1], "one").stdout
    result = run("show", two_runs[0], "one", 2)
    for words in ("==== system", "Attempt: 2", "made up: crash", "==== answer", '"verdict"'):
        assert words in result.stdout
    result = run("show", two_runs[0], "two")
    assert result.returncode == 2
    assert result.stderr.startswith("error[bad-option]: PROBLEM")


def test_a_run_is_exported(two_runs, tmp_path):
    result = run("export", two_runs[0], "--output", tmp_path / "x.jsonl")
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert sum(row["table"] == "attempts" for row in rows) == 2
    result = run("export", two_runs[0], "--parquet", "--output", tmp_path / "parquet")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "parquet" / "calls.parquet").exists()


def test_the_report_names_the_models(two_runs):
    result = run("report", two_runs[0])
    assert "test:m: 2 attempts, 1 of 1 solved, 1 faster" in result.stdout
    page = (two_runs[0] / "report" / "index.html").read_text()
    assert "test:m" in page
    assert "Correct by attempt" in page


@pytest.mark.parametrize("command", ["show", "export", "resume"])
def test_a_folder_that_is_no_run_is_a_user_error(tmp_path, command):
    result = run(command, tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error[not-a-run]: " if command != "export" else "error[no-run")
    assert "Traceback" not in result.stderr


@pytest.mark.native
def test_the_prompt_is_printed_with_its_tokens_and_price(tmp_path):
    (tmp_path / "add_one.py").write_text(PROBLEM)
    (tmp_path / "other.cu").write_text("__global__ void add_one();")
    with ModelServer(lambda _: Reply()) as server:
        result = run(
            *("prompt", tmp_path / "add_one.py", "--model", "claude-opus-5-5"),
            *("--context", f"add_one={tmp_path / 'other.cu'}"),
            env={"ANTHROPIC_API_KEY": "sk-none", "ANTHROPIC_BASE_URL": server.url},
        )
        assert server.received == [], "nothing is sent but the prompt for counting"
    assert result.returncode == 0, result.stderr
    for words in ("==== system", "Problem: add_one", "return x + 1", "add(f32[4]", "```cuda"):
        assert words in result.stdout
    assert "tokens (counted by Anthropic)" in result.stderr
    assert "anthropic:claude-opus-5-5: prompt $0.0" in result.stderr
    result = run("prompt", tmp_path / "add_one.py", "--model", "openrouter:some/model")
    assert "at most about" in result.stderr
    assert "the price of openrouter:some/model is not known" in result.stderr
