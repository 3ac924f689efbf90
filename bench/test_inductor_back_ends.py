"""TorchInductor's Metal kernels on the CPU device against its own C++ back end, module by module.

Both sides are whole calls of the same module with the same weights: library calls that Inductor
leaves alone (matrix products, convolutions) are torch's own in both. Needs a C++ compiler.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from metalwright.problems import Problem
from paired import Ratio, paired_ratio


def has_compiler() -> bool:
    """Whether Inductor's C++ back end can work here."""
    return shutil.which("g++") is not None


pytestmark = [
    pytest.mark.benchmark(group="inductor", warmup=True),
    pytest.mark.skipif(not has_compiler(), reason="Inductor's C++ back end needs g++"),
    # What torch's own modules do when they are imported.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

PROBLEMS = sorted((Path(__file__).resolve().parent.parent / "examples/problems").glob("*/*.py"))
PAIRS = 15
SEED = 0


@pytest.fixture(scope="module")
def speeds(report) -> Iterator[dict[str, float]]:
    """By problem: how many times as fast the Metal kernels are. The mean is reported at the end."""
    found: dict[str, float] = {}
    yield found
    if found:
        mean = math.exp(sum(map(math.log, found.values())) / len(found))
        report(f"Inductor's modules, {len(found)} of them: geometric mean of the speeds (goal 1)",
               f"{mean:.2f}")  # fmt: skip


def candidate(problem: Problem, folder: Path) -> Any:
    """The class of the rendered module. The generator changes global state of its process."""
    problem.write(folder)
    command = [sys.executable, "-m", "metalwright.generation.inductor_worker", str(folder)]
    subprocess.run(command, check=True)
    result = json.loads((folder / "result.json").read_text("utf-8"))
    names: dict[str, Any] = {"__name__": "candidate"}
    exec(compile(result["candidate"]["source"], "candidate.py", "exec"), names)
    return names["ModelNew"]


def prepare(path: Path, folder: Path) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The module with Inductor's Metal kernels and with its C++ back end's; both agree."""
    problem = Problem.from_file(path)
    loaded = problem.load()
    arguments = loaded.init_inputs(SEED)
    reference = loaded.build(arguments, SEED)
    inputs = loaded.inputs(SEED)
    module = candidate(problem, folder)(*arguments)
    module.load_state_dict(reference.state_dict())
    module.train(reference.training)
    compiled = torch.compile(reference, dynamic=False)
    with torch.no_grad():
        torch.testing.assert_close(module(*inputs), compiled(*inputs), rtol=1e-3, atol=1e-3)
    return lambda: module(*inputs), lambda: compiled(*inputs)


def compare(path: Path, folder: Path) -> Ratio:
    """Time over the C++ back end's."""
    ours, theirs = prepare(path, folder)
    with torch.no_grad():
        return paired_ratio(ours, theirs, PAIRS)


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_modules(benchmark, report, speeds, tmp_path, path):
    ours, theirs = prepare(path, tmp_path)
    with torch.no_grad():
        benchmark.pedantic(ours, rounds=3)
        ratio = paired_ratio(ours, theirs, PAIRS)
    speeds[path.stem] = 1 / ratio.median
    report(f"Inductor's {path.stem}: time / its C++ back end's (goal 1.43)", str(ratio))
