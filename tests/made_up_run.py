"""Makes a run of any size without a model or a judge: the report site is tested and timed with it.

    python -m tests.made_up_run FOLDER --problems 250 --attempts 5

Problems are the examples, answers and figures are drawn from a seeded generator, texts are as long
as real ones. Every figure is made up, and the device's name says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
from pathlib import Path

from metalwright.evaluation.model import (
    Check,
    Coverage,
    DeviceReport,
    Diagnostic,
    Evaluation,
    Evidence,
    Flag,
    Interval,
    KernelUse,
    Mismatch,
    OutputErrors,
    Raised,
    Roofline,
    Settings,
    Timing,
    Verdict,
)
from metalwright.generation.candidate import Candidate
from metalwright.generation.client import Try
from metalwright.generation.messages import Answer, Request, Text, Usage, user_message
from metalwright.problems import Problem
from metalwright.runs import RunConfig, RunStore, describe_machine
from metalwright.runs.journal import Journal
from metalwright.search.drive import write_folder

ROOT = Path(__file__).resolve().parent.parent
DEVICE = DeviceReport(kind="cpu", name="a made-up device", architecture="none", compute_units=2)
MODELS = ("vendor:alpha", "vendor:beta")
VERDICTS = (
    *(Verdict.COMPILE_ERROR, Verdict.WRONG_VALUES, Verdict.LAUNCH_ERROR),
    *[Verdict.CORRECT] * 5,
)
CHECKS = (
    *("load", "construct", "draw 1", "draw 2", "draw 3", "draw 4", "draw 5", "poison", "ghost run"),
    *("re-drawn weights", "large inputs", "small inputs", "not contiguous", "held-out sizes"),
    *("fresh inputs", "clock agreement", "roofline"),
)


def make_run(root: Path, problems: int = 8, attempts: int = 5, seed: int = 0) -> Path:
    """Writes a run folder with its store below `root` and returns the folder."""
    rng = random.Random(seed)
    files = sorted((ROOT / "examples" / "problems").glob("*/*.py"))
    suite = []
    for number in range(problems):
        plain = Problem.from_file(files[number % len(files)])
        name = f"{number + 1}_{plain.name}"
        suite.append(dataclasses.replace(plain, name=name, level=1 + number % 3))
    config = RunConfig(
        name="made-up",
        created="2026-01-01T00:00:00+00:00",
        generator=", ".join(MODELS),
        settings=Settings(),
        problems=tuple(problem.name for problem in suite),
        device=DEVICE,
        machine=describe_machine(),
        versions={"metalwright": "0", "torch": "0"},
        search={"models": list(MODELS), "strategy": "refine", "attempts": attempts},
    )
    store = RunStore.create(root, config, suite)
    journal = Journal.create(
        store.folder, config.name, config.created, config.model_dump_json(), list(config.problems)
    )
    with journal.session():
        for problem in suite:
            _attempts(store, journal, problem, attempts, rng)
    return store.folder


def _attempts(
    store: RunStore, journal: Journal, problem: Problem, count: int, rng: random.Random
) -> None:
    system = (ROOT / "prompts" / "system.md.j2").read_text() + (
        ROOT / "prompts" / "msl.md.j2"
    ).read_text()
    skill, eager, reach = rng.uniform(0.5, 3), 10 ** rng.uniform(-4, -2), rng.uniform(0.02, 0.15)
    flops = 0 if problem.level == 1 else int(eager * reach * 10 ** rng.uniform(10, 11))
    work = Roofline(
        bytes=int(eager * reach * 1e10),
        flops=flops,
        bandwidth=1e10,
        flop_rate=1e11,
        floor_seconds=eager * reach,
    )
    previous, best = None, None
    for number in range(1, count + 1):
        model = MODELS[number % len(MODELS)]
        source = _source(rng)
        evaluation = _evaluation(problem, rng, skill, number, eager, work)
        task = f"Attempt: {number}\n\n# The module\n\n```python\n{problem.source}\n```\n"
        if previous is not None:
            task += f"\nYour last candidate:\n\n```python\n{previous}\n```\n\n" + _findings(rng)
        request = Request(model=model, system=system, messages=(user_message(task),), max_tokens=99)
        text = f"This one keeps the tile in threadgroup memory.\n\n```python\n{source}\n```\n"
        call = journal.begin_call(problem.name, f"{number}/call", "attempt", request, "", 1.0, 99)
        usage = Usage(input=len(system + task) // 4, output=len(text) // 4)
        journal.add_try(call, Try(1, rng.uniform(5, 60), usage=usage), rng.uniform(0.01, 0.1))
        journal.finish_call(call, Answer(parts=(Text(text=text),), stop="end", usage=usage))
        kernels = {"made_up": source.split('"""')[1]}
        stored = journal.add_attempt(
            problem.name,
            str(number),
            Candidate(source, kernels, f"{model}, made up"),
            evaluation,
            model=model,
            kind="proposal",
            parents=(number - 1,) if number > 1 else (),
            call_id=call,
        )
        write_folder(store, journal, stored)
        previous = source
        if best is None or stored.rank > best.rank:
            best = stored
    winner = best.number if best is not None and best.ratio > 1.15 else None
    journal.set_state(problem.name, "finished", "all attempts were made", winner)


def _source(rng: random.Random) -> str:
    lines = [
        f"    float v{i} = x[i * {rng.randint(1, 64)} + {rng.randint(0, 9)}] * {rng.random():.3f}f;"
        for i in range(rng.randint(25, 50))
    ]
    total = " + ".join(f"v{i}" for i in range(len(lines)))
    body = "\n".join(lines)
    kernel = (
        "#include <metal_stdlib>\nusing namespace metal;\n\n"
        "kernel void made_up(device float* out, device const float* x,\n"
        "                    uint i [[thread_position_in_grid]]) {\n"
        f"{body}\n    out[i] = {total};\n}}\n"
    )
    return (
        "import torch\nfrom torch import nn\n\nimport metalwright\n\n"
        f'SOURCE = """{kernel}"""\n\n\nclass ModelNew(nn.Module):\n'
        "    def __init__(self):\n        super().__init__()\n"
        "        self.library = metalwright.compile(SOURCE)\n\n"
        "    def forward(self, x):\n        out = torch.empty_like(x)\n"
        f"        size = {32 << rng.randint(0, 4)}\n"
        "        self.library.made_up(out, x, threads=out.numel(), group_size=size)\n"
        "        return out\n"
    )


def _findings(rng: random.Random) -> str:
    lines = [f"element {rng.randint(0, 9999)}: expected {rng.random():.6f}" for _ in range(2)]
    return "What the judge found:\n\n" + "\n".join(lines) + "\n" + "It was slow. " * 60


def _interval(value: float, width: float) -> Interval:
    return Interval(median=value, low=value * (1 - width), high=value * (1 + width))


def _evaluation(
    problem: Problem,
    rng: random.Random,
    skill: float,
    number: int,
    eager: float,
    work: Roofline,
) -> Evaluation:
    verdict = rng.choice(VERDICTS)
    timing = roofline = None
    flags: tuple[Flag, ...] = ()
    if verdict is Verdict.CORRECT:
        ratio = max(0.05, skill * rng.lognormvariate(0.08 * number, 0.3))
        noisy = rng.random() < 0.1
        width = 0.15 if noisy else 0.02
        flags = (Flag.NOISY_TIMING,) if noisy else ()
        pairs = rng.randint(7, 120)
        timing = Timing(
            baseline="eager",
            baseline_seconds=_interval(eager, 0.01),
            candidate_seconds=_interval(eager / ratio, width),
            ratio=_interval(ratio, width),
            pair_ratios=tuple(
                float(f"{ratio * rng.lognormvariate(0, width):.4g}") for _ in range(pairs)
            ),
            device_seconds=0.9 * eager / ratio,
            dispatches=rng.randint(1, 4),
            worker_seconds=eager / ratio,
            overhead_seconds=1e-4,
            other_load=rng.uniform(0, 0.1),
            pairs=pairs,
            baseline_calls=8,
            candidate_calls=12,
            speedup=_interval(ratio, width),
        )
        roofline = work
    return Evaluation(
        problem=problem.name,
        level=problem.level,
        verdict=verdict,
        flags=flags,
        summary=f"made up: {verdict.value}",
        evidence=() if timing else (_evidence(verdict, rng),),
        outputs=_outputs(rng) if verdict in (Verdict.CORRECT, Verdict.WRONG_VALUES) else (),
        oracle="float64",
        checks=tuple(Check(name=name, outcome="passed") for name in CHECKS),
        coverage=Coverage(
            kernels=(KernelUse(name="made_up", dispatches=1, threads=(4096,), group_size=(256,)),),
            operators={"empty_like": 1},
            kernel_share=rng.uniform(0.4, 1),
        ),
        roofline=roofline,
        timing=timing,
        isolation={"network": "enforced", "memory": "enforced"},
        device=DEVICE,
        settings=Settings(),
        seconds=rng.uniform(2, 20),
    )


def _outputs(rng: random.Random) -> tuple[OutputErrors, ...]:
    return (
        OutputErrors(
            output="output",
            dtype="float32",
            shape=(1024, 1024),
            tolerance=1e-4,
            max_absolute=10 ** rng.uniform(-8, -4),
            tolerance_share=rng.random(),
            derived_share=rng.random(),
            reference_oracle=1e-7,
            candidate_oracle=2e-7,
        ),
    )


def _evidence(verdict: Verdict, rng: random.Random) -> Evidence:
    if verdict is Verdict.COMPILE_ERROR:
        diagnostic = Diagnostic(
            severity="error",
            file="made_up.metal",
            line=7,
            column=11,
            message="use of undeclared identifier 'y'",
            source_line="    float v = y[i];",
            caret="              ^",
        )
        return Evidence(check="load", message="does not compile", diagnostics=(diagnostic,))
    if verdict is Verdict.LAUNCH_ERROR:
        raised = Raised(type="ValueError", message="made up", traceback=("candidate.py:20: out",))
        return Evidence(check="call", message="raised ValueError", raised=raised)
    mismatch = Mismatch(index=(1, rng.randint(0, 99)), expected="1", actual="2", error=1.0)
    return Evidence(check="values", message="1 % are wrong", first=mismatch, worst=mismatch)


def main() -> None:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--problems", type=int, default=250)
    parser.add_argument("--attempts", type=int, default=5)
    options = parser.parse_args()
    print(make_run(options.folder, options.problems, options.attempts))


if __name__ == "__main__":
    main()
