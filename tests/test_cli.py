"""The command: exit codes, what is printed where, runs that break, stop and go on."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.native

METALWRIGHT = [sys.executable, "-m", "metalwright"]

PROBLEM = """
import torch
from torch import nn

N = 64


class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x) + 1


def get_inputs():
    return [torch.randn(N, N)]
"""

KERNELS = """#include <metal_stdlib>
constant int N [[function_constant(0)]];
constant int M [[function_constant(1)]];
kernel void scale(device const float* x, device float* y, constant float& factor,
                  threadgroup float* room [[threadgroup(0)]],
                  uint i [[thread_position_in_grid]]) {
  y[i] = factor * x[i] * SIZE;
}
kernel void shift(device half* x, uint i [[thread_position_in_grid]]) { x[i] += N + M; }
"""


def run(*arguments, cwd=None, env=None, timeout=240):
    return subprocess.run(
        [*METALWRIGHT, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


def assert_user_error(result, code, *words):
    assert result.returncode == 2, result
    assert result.stderr.startswith(f"error[{code}]: "), result.stderr
    for word in words:
        assert str(word) in result.stderr
    assert len(result.stderr.splitlines()) <= 5
    assert "Traceback" not in result.stderr + result.stdout


# ---------------------------------------------------------------------------------- small commands


def test_version_and_help():
    import metalwright

    assert run("--version").stdout == f"metalwright {metalwright.__version__}\n"
    shown = run("--help")
    assert shown.returncode == 0
    for command in (
        "optimize",
        "resume",
        "evaluate",
        "compile",
        "devices",
        "report",
        "prompt",
        "mcp",
    ):
        assert command in shown.stdout
    assert "130" in shown.stdout


def test_help_does_not_load_torch_or_the_compiler():
    program = (
        "import sys\nfrom metalwright.cli.app import app\n"
        "try:\n    app(['optimize', '--help'])\nexcept SystemExit as stop:\n"
        "    assert stop.code in (0, None), stop.code\n"
        "assert not {'torch', 'metalwright._native'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("arguments", [["optimize", "--nope"], ["nope"], ["compile"]])
def test_wrong_usage_is_exit_code_2(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_devices_names_the_cpu():
    result = run("devices", env={"COLUMNS": "120"})
    assert result.returncode == 0
    assert "cpu" in result.stdout


# ---------------------------------------------------------------------------------- compile

EXPLAINED = """#include <metal_stdlib>
using namespace metal;
kernel void plain(device float* x, uint i [[thread_position_in_grid]]) { x[i] += 1; }
kernel void apart(device float* x, device const float* y, device const uint* at,
                  device atomic_uint* count, uint i [[thread_position_in_grid]]) {
  uint place = simd_sum(i) + at[i];
  float value = y[place];  // gather
  x[at[i]] = value;  // scatter
  atomic_fetch_add_explicit(count + place, 1u, memory_order_relaxed);  // atomic
}
kernel void walk(device float* x, device const float* y, constant uint& n,
                 uint i [[thread_position_in_grid]]) {
  float sum = 0;
  for (uint k = 0; k < n; k++)  // walk
    sum += y[i * n + k];
  x[i] = sum;
}
kernel void shared(device float* x, device const float* y, uint i [[thread_position_in_grid]],
                   uint t [[thread_position_in_threadgroup]]) {
  threadgroup float all[256];
  all[t] = y[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = 0;
  for (uint k = 0; k < 256; k++)  // shared
    sum = fma(sum, 0.5f, all[k]);
  x[i] = sum;
}
"""


@pytest.fixture
def metal(tmp_path):
    path = tmp_path / "k.metal"
    path.write_text(KERNELS)
    return path


def test_compile_prints_the_kernels_with_their_arguments(metal):
    result = run(
        "compile", metal, "-D", "SIZE=3", "--constant", "N=2", "--constant", "1=5",
        env={"COLUMNS": "120"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "scale: at most 1024 threads per threadgroup, simdgroups of 32" in result.stdout
    assert "shift: " in result.stdout
    for word in ("factor", "float &", "half *", "threadgroup", "read_write"):
        assert word in result.stdout, result.stdout
    assert "function constant 0: int N" in result.stdout


def test_compile_reports_errors_as_compilers_do(metal):
    result = run("compile", metal)
    assert result.returncode == 3
    assert f"{metal}:7:26: error: use of undeclared identifier 'SIZE'" in result.stderr
    assert "  y[i] = factor * x[i] * SIZE;" in result.stderr
    assert "1 error generated." in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("stage", "words"), [("air", "air.kernel"), ("llvm", "define"), ("asm", ".text")]
)
def test_compile_emits_code(metal, stage, words):
    result = run("compile", metal, "-DSIZE=3", "--kernel", "scale", "--emit", stage)
    assert result.returncode == 0, result.stderr
    assert words in result.stdout


def test_compile_explains_accesses_and_loops_by_source_line(tmp_path):
    """The lines of `explain()` name what is not plain vector code, and where."""
    path = tmp_path / "e.metal"
    path.write_text(EXPLAINED)
    result = run("compile", path, "--explain")
    assert result.returncode == 0, result.stderr
    said = result.stdout
    lines = {text: number for number, text in enumerate(EXPLAINED.splitlines(), 1)}

    def line_of(word: str) -> str:
        return f"{path}:{next(n for text, n in lines.items() if word in text)}: "

    assert line_of("// gather") + "a load that gathers: " in said, said
    assert line_of("// scatter") + "a store that scatters: " in said, said
    assert line_of("// atomic") + "an atomic operation: " in said, said
    assert line_of("// walk") + "a loop in which each thread walks" in said, said
    assert line_of("// shared") + "a loop in which all threads" in said, said
    assert "engine: vector-loop" in said
    assert said.count("// plain") == 0


def test_compile_names_the_kernels_when_one_is_missing(metal):
    result = run("compile", metal, "-DSIZE=3", "--kernel", "sale", "--constant", "N=1")
    assert_user_error(result, "no-such-kernel", "sale", "scale")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["missing.metal"], "no-such-path"),
        (["k.metal", "--constant", "N"], "bad-option"),
        (["k.metal", "--constant", "N=x"], "bad-option"),
        (["k.metal", "-D", "3=4"], "bad-option"),
        (["k.metal", "--std", "x"], "bad-option"),
    ],
)
def test_compile_refuses_what_makes_no_sense(metal, arguments, code):
    assert_user_error(run("compile", *arguments, cwd=metal.parent), code)


# ---------------------------------------------------------------------------------- optimize


def write(path, text=PROBLEM):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def optimize(tmp_path, *arguments, **more):
    quick = ["--seeds", "2", "--timing-seconds", "0.1", "--output", tmp_path / "runs"]
    return run("optimize", *arguments, *quick, **more)


def run_folder(tmp_path):
    (folder,) = (entry for entry in (tmp_path / "runs").iterdir() if entry.is_dir())
    return folder


def evaluations(folder):
    return {
        path.parts[-4]: json.loads(path.read_text())
        for path in folder.glob("problems/*/attempts/001/evaluation.json")
    }


def test_a_run_ends_with_table_folder_and_page(tmp_path):
    write(tmp_path / "p" / "level1" / "relu_shift.py")
    result = optimize(tmp_path, tmp_path / "p", "--set", "N=32")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    for word in ("relu_shift", "correct", "max error", "1 of 1 correct", "Measured on "):
        assert word in result.stdout
    folder = run_folder(tmp_path)
    assert f"Report: {folder / 'report.html'}" in result.stdout
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    attempt = folder / "problems" / "relu_shift" / "attempts" / "001"
    assert "class ModelNew" in (attempt / "candidate.py").read_text()
    assert list((attempt / "kernels").glob("*.metal"))
    (evaluation,) = evaluations(folder).values()
    assert evaluation["overrides"] == {"N": "32"}
    assert evaluation["outputs"][0]["shape"] == [32, 32]
    assert evaluation["timing"]["dispatches"] >= 1
    again = run("report", folder)
    assert again.returncode == 0
    assert "1 of 1 correct" in again.stdout


def test_bad_problems_are_reported_and_the_others_go_on(tmp_path):
    write(tmp_path / "p" / "a_syntax.py", "class Model(:\n\ndef get_inputs(): pass\n")
    write(tmp_path / "p" / "b_no_model.py", "def get_inputs():\n    return []\n")
    write(tmp_path / "p" / "c_raises.py", PROBLEM.replace("torch.relu(x) + 1", "x.nope"))
    write(tmp_path / "p" / "d_no_tensor.py", PROBLEM.replace("torch.relu(x) + 1", "None"))
    write(tmp_path / "p" / "e_dies.py", PROBLEM.replace("N = 64", "import os; os._exit(9)"))
    write(tmp_path / "p" / "f_good.py")
    result = optimize(tmp_path, tmp_path / "p")
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    found = evaluations(run_folder(tmp_path))
    assert {name: e["evidence"][0]["check"] for name, e in found.items() if e["evidence"]} == {
        "a_syntax": "problem-syntax",
        "b_no_model": "problem-without-model",
        "c_raises": "problem-raised",
        "d_no_tensor": "problem-output",
        "e_dies": "problem-crashed",
    }
    assert found["f_good"]["verdict"] == "correct"
    assert "1 of 6 correct" in result.stdout
    assert f"{tmp_path}/p/a_syntax.py:1:13: " in result.stdout
    assert "c_raises.py:10: AttributeError" in result.stdout


def test_narrow_output_keeps_problem_verdict_and_ratio(tmp_path):
    write(tmp_path / "p.py")
    result = optimize(tmp_path, tmp_path / "p.py", "--timing-seconds", "0", env={"COLUMNS": "44"})
    assert result.returncode == 0
    header = next(line for line in result.stdout.splitlines() if line.startswith(" problem"))
    assert header.split() == ["problem", "verdict", "ratio"]


def test_an_interrupt_saves_what_is_done_and_the_run_goes_on_later(tmp_path):
    write(tmp_path / "p" / "a.py")
    # Hangs until the file is there: the interrupt finds it at work, the resumed run does not.
    flag = tmp_path / "flag"
    hang = f"import os, time\nwhile not os.path.exists({str(flag)!r}):\n    time.sleep(0.01)\n"
    write(tmp_path / "p" / "b.py", hang + PROBLEM)
    process = subprocess.Popen(
        [
            *METALWRIGHT, "optimize", str(tmp_path / "p"), "--seeds", "1", "--timing-seconds", "0",
            "--output", str(tmp_path / "runs"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    done = tmp_path / "runs"
    while not list(done.glob("*/problems/a/attempts/001")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, output + errors
    assert "1 of 2 problems done." in output
    folder = run_folder(tmp_path)
    assert f"metalwright resume {folder}" in output
    assert "Traceback" not in output + errors
    assert (folder / "report.html").exists()
    before = (folder / "problems" / "a" / "attempts" / "001" / "evaluation.json").stat().st_mtime_ns

    flag.touch()
    result = run("resume", folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert sorted(evaluations(folder)) == ["a", "b"]
    after = (folder / "problems" / "a" / "attempts" / "001" / "evaluation.json").stat().st_mtime_ns
    assert before == after


def test_a_terminal_sees_what_is_going_on(tmp_path):
    write(tmp_path / "p.py")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            *METALWRIGHT, "optimize", str(tmp_path / "p.py"), "--seeds", "1",
            "--timing-seconds", "0", "--output", str(tmp_path / "runs"),
        ],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60"},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                data = os.read(ours, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data
    os.close(ours)
    assert process.wait(60) == 0
    assert b"p: generating" in seen
    assert b"0/1" in seen


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.py"], "no-such-path", ["missing.py"]),
        (["empty"], "no-problems", ["empty"]),
        (["p.py", "--set", "M=3"], "unknown-constant", ["M", "N"]),
        (["p.py", "--set", "N=f()"], "bad-override", ["N=f()"]),
        (["p.py", "--only", "x"], "no-problem-selected", ["--only x"]),
        (["p.py", "--level", "7"], "no-problem-selected", ["--level 7"]),
        (["p.py", "--model", "magic:x"], "no-such-provider", ["magic", "inductor"]),
        (["p.py", "--device", "tpu"], "no-such-device", ["tpu", "cpu"]),
        (["p.py", "--memory-limit", "lots"], "bad-option", ["lots"]),
        (["p.py", "--memory-limit", "1M"], "bad-option", ["512M"]),
        (["p.py", "--deadline", "0"], "bad-option", ["--deadline"]),
        (["p.py", "--strategy", "guess"], "bad-option", ["--strategy"]),
        (["p.py", "--model", "ollama:x", "--prompts", "none"], "no-such-path", ["none"]),
        (["p.py", "--model", "ollama:x", "--context", "none"], "no-such-path", ["none"]),
        (["p.py", "--output", "p.py"], "unwritable-run", ["p.py"]),
    ],
)
def test_optimize_refuses_what_makes_no_sense(tmp_path, arguments, code, words):
    write(tmp_path / "p.py")
    (tmp_path / "empty").mkdir()
    assert_user_error(run("optimize", *arguments, cwd=tmp_path), code, *words)
    assert not (tmp_path / "runs").exists()


def test_debugging_shows_the_traceback(tmp_path):
    result = run("optimize", "missing.py", cwd=tmp_path, env={"METALWRIGHT_DEBUG": "1"})
    assert result.returncode != 0
    assert "Traceback" in result.stderr


# ---------------------------------------------------------------------------------- evaluate


def test_evaluate_judges_a_candidate_file(tmp_path):
    problem = write(tmp_path / "p.py")
    right = write(tmp_path / "right.py", PROBLEM.replace("class Model(", "class ModelNew("))
    wrong = write(tmp_path / "wrong.py", right.read_text().replace("+ 1", "+ 1.5"))
    quick = ["--seeds", "1", "--timing-seconds", "0"]
    result = run("evaluate", problem, right, *quick)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "correct" in result.stdout
    result = run("evaluate", problem, wrong, *quick, "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["verdict"] == "wrong-values"


def test_evaluate_shows_the_metal_compilers_message(tmp_path):
    problem = write(tmp_path / "p.py")
    candidate = write(
        tmp_path / "c.py",
        "import metalwright, torch\n"
        "class ModelNew(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return metalwright.compile('kernel void f() { nope; }')\n",
    )
    result = run("evaluate", problem, candidate, "--seeds", "1", "--timing-seconds", "0")
    assert result.returncode == 1
    assert "compile-error" in result.stdout
    assert "program_source:1:19: error: use of undeclared identifier 'nope'" in result.stdout
    assert "c.py" not in result.stderr
