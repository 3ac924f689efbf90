"""`metalwright check`: what it prints and how it ends."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

SHIFT = """
kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = x[i + 1];
}
"""
PROBLEM = """
import torch

N = 64


class Model(torch.nn.Module):
    def forward(self, x):
        return x * 2


def get_inputs():
    return [torch.rand(N)]
"""
CANDIDATE = '''
import torch
import metalwright

library = metalwright.compile("""
kernel void twice(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = x[i] * 2;
}
""")


class ModelNew(torch.nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        library.twice(x, out, threads=x.numel())
        return out
'''


def run(*arguments):
    from metalwright.cli.app import app

    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_a_metal_file(tmp_path):
    file = tmp_path / "shift.metal"
    file.write_text(SHIFT)
    call = ["--arg", "x=float32[100]", "--arg", "out=zeros:float32[100]", "--threads"]
    wrong = run(file, *call, 100)
    assert wrong.exit_code == 1, wrong.output
    assert f"{file}:3:12: error: read of 4 bytes at index 100 of 'x'" in wrong.stdout
    right = run(file, *call, 99, "--json")
    assert right.exit_code == 0
    assert json.loads(right.stdout)["findings"] == []


def test_wrong_usage_and_a_file_that_does_not_compile(tmp_path):
    file = tmp_path / "shift.metal"
    file.write_text(SHIFT)
    assert run(file, "--arg", "x=float33[1]", "--threads", "1").exit_code == 2
    assert run(file, "--threads", "many").exit_code == 2
    file.write_text("kernel void k() { nothing; }")
    broken = run(file, "--threads", "1")
    assert broken.exit_code == 3
    assert "undeclared identifier" in broken.output


@pytest.mark.torch
def test_a_candidate_on_its_problem(tmp_path):
    problem, candidate = tmp_path / "problem.py", tmp_path / "candidate.py"
    problem.write_text(PROBLEM)
    candidate.write_text(CANDIDATE.replace("x[i] * 2", "x[i + 1] * 2"))
    done = subprocess.run(
        [sys.executable, "-m", "metalwright", "check", str(problem), str(candidate), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["kernels"] == ["twice"]
    assert report["findings"][0]["code"] == "out-of-bounds"
