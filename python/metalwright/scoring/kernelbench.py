"""KernelBench's result files, read and written.

The shapes are those of its repository (ScalingIntelligence/KernelBench): ``eval_results.json`` and
``pass_at_k_results.json`` as scripts/eval_from_generations.py writes them, the baseline file as
scripts/benchmark_eval_analysis.py reads it. One eval_results.json holds one level. Times are in
milliseconds; -1.0 stands for what was not measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from metalwright.errors import user_error
from metalwright.evaluation.model import SAME_SPEED
from metalwright.problems.selection import problem_number
from metalwright.scoring.data import AttemptScore, ProblemScores, RunScores
from metalwright.scoring.scores import pass_at_k

EVAL_RESULTS = "eval_results.json"
PASS_AT_K = "pass_at_k_results.json"
_NOT_MEASURED = -1.0


class Sample(BaseModel):
    """One entry of eval_results.json: KernelExecResult with its sample's number."""

    # Newer versions of KernelBench add fields; what is not read here is no mistake.
    model_config = ConfigDict(extra="ignore", frozen=True)

    sample_id: int
    compiled: bool
    correctness: bool
    metadata: dict[str, Any] = {}
    runtime: float = _NOT_MEASURED
    """Mean milliseconds of a call."""
    runtime_stats: dict[str, Any] = {}
    """mean, std, min, max, num_trials, hardware, device."""
    ref_runtime: float = _NOT_MEASURED
    """Of the reference, measured beside it (newer versions)."""
    speedup: float = _NOT_MEASURED
    """ref_runtime over runtime (newer versions)."""


class BaselineTime(BaseModel):
    """One problem of a baseline file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    mean: float
    """Milliseconds."""
    hardware: str = ""


# Early versions wrote one sample where later ones write a list.
_Results = TypeAdapter(dict[str, list[Sample] | Sample])
_Baseline = TypeAdapter(dict[str, dict[str, BaselineTime]])


def read_results(path: Path) -> dict[int, list[Sample]]:
    """The samples of an eval_results.json by problem id, in order.

    Raises:
        Error: ``no-such-path``, ``bad-results``: with the place in the file.
    """
    found = _read(path, _Results)
    results: dict[int, list[Sample]] = {}
    for key, samples in found.items():
        if not key.isdigit():
            raise user_error("bad-results", where=f"{path}, key {key!r}", reason="is no problem id")
        items = [samples] if isinstance(samples, Sample) else samples
        numbers = [sample.sample_id for sample in items]
        if len(set(numbers)) < len(numbers):
            raise user_error(
                "bad-results", where=f"{path}, key {key!r}", reason="a sample_id is there twice"
            )
        results[int(key)] = sorted(items, key=lambda sample: sample.sample_id)
    return dict(sorted(results.items()))


def read_baseline(path: Path) -> dict[str, dict[str, BaselineTime]]:
    """A baseline file: ``level1`` to the problem's file name to its time.

    Raises:
        Error: ``no-such-path``, ``bad-results``.
    """
    found: dict[str, dict[str, BaselineTime]] = _read(path, _Baseline)
    return found


def read_run(folder: Path, baseline: Path | None = None, level: int | None = None) -> RunScores:
    """A KernelBench run as data for scoring.

    With a baseline file all its problems of the level are the denominator, as in KernelBench's
    analysis; without one, those that have a result, and only samples that carry their own speedup
    have a ratio. `level` is read off the kernels' names, or the baseline file, if it is None.

    Raises:
        Error: ``no-such-path``, ``bad-results``, ``bad-option``.
    """
    results = read_results(folder / EVAL_RESULTS)
    times = read_baseline(baseline) if baseline is not None else {}
    level = level if level is not None else _find_level(folder, times)
    mine = times.get(f"level{level}", {}) if times else {}
    if times and not mine:
        raise user_error(
            "bad-results", where=baseline, reason=f"has no level{level}, only {', '.join(times)}"
        )
    names = {number: name for name in mine if (number := problem_number(name)) is not None}
    problems = []
    for number in sorted({*results, *names}):
        name = names.get(number, f"{number}_")
        time = mine[name].mean if name in mine else _NOT_MEASURED
        attempts = tuple(_attempt(i, s, time) for i, s in enumerate(results.get(number, []), 1))
        best = max(attempts, key=lambda a: a.outcome.rank, default=None)
        problems.append(
            ProblemScores(
                name=name.removesuffix(".py"),
                attempts=attempts,
                level=level,
                number=number,
                winner=best.number if best and best.correct else None,
            )
        )
    samples = [sample for items in results.values() for sample in items]
    hardware = {str(s.metadata.get("hardware", "")) for s in samples} - {""}
    return RunScores(
        label=folder.resolve().name,
        folder=str(folder),
        created="",
        device="unknown",
        device_name=", ".join(sorted(hardware)) or "not said",
        problems=tuple(problems),
        suite="KernelBench",
        suite_total=len(problems),
        strategy="KernelBench",
        models=("",),
        environment={"device": {"name": ", ".join(sorted(hardware))}},
    )


def write_run(
    run: RunScores,
    folder: Path,
    sources: Sequence[tuple[str, int, str]] = (),
    *,
    best: bool = False,
) -> list[Path]:
    """Writes a run so that KernelBench's analysis reads it; returns the files.

    ``level_L/eval_results.json`` (with `best` the best attempt of each problem as sample 0, the
    only sample that the analysis looks at; else all attempts in order), beside it
    ``pass_at_k_results.json`` and the kernels; ``timing/HARDWARE/baseline_time_torch.json``.
    All problems are in all files in one order, since the analysis pairs them by it. Where a
    KernelBench mean stands, there is our median, and ``statistic`` says so. `sources` are problem,
    attempt and text of the candidates.

    Raises:
        Error: ``bad-results``: a problem has no level, or a correct attempt was not timed.
    """
    written = []
    texts = {(problem, number): text for problem, number, text in sources}
    baseline: dict[str, dict[str, Any]] = {}
    for level in run.levels_of_all:
        if level is None:
            names = ", ".join(p.name for p in run.problems if p.level is None)
            raise user_error("bad-results", where=run.label, reason=f"{names} have no level")
        problems = [p for p in run.problems if p.level == level]
        place = folder / f"level_{level}"
        place.mkdir(parents=True, exist_ok=True)
        results: dict[str, list[dict[str, Any]]] = {}
        times: dict[str, Any] = {}
        for number, problem in _numbered(problems):
            chosen = [problem.best()] if best else list(problem.attempts)
            attempts = [attempt for attempt in chosen if attempt is not None]
            results[str(number)] = [
                _sample(i, a, problem, run) for i, a in enumerate(attempts)
            ] or [_no_sample(problem, run)]
            name = problem.name if problem_number(problem.name) else f"{number}_{problem.name}"
            times[f"{re.sub(r'^level[0-9]+-', '', name)}.py"] = _baseline_time(problem, run)
            for i, attempt in enumerate(attempts):
                text = texts.get((problem.name, attempt.number))
                if text is not None:
                    kernel = place / f"level_{level}_problem_{number}_sample_{i}_kernel.py"
                    kernel.write_text(text, "utf-8")
                    written.append(kernel)
        written.append(_write(place / EVAL_RESULTS, results))
        written.append(_write(place / PASS_AT_K, pass_at_k_results(results)))
        baseline[f"level{level}"] = times
    hardware = re.sub(r"[^\w.+-]+", "_", run.device_name) or "unknown"
    place = folder / "timing" / hardware
    place.mkdir(parents=True, exist_ok=True)
    written.append(_write(place / "baseline_time_torch.json", baseline))
    return written


def pass_at_k_results(results: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What pass_at_k_results.json holds: averages, metadata, and the figures of each problem."""
    counts = {
        key: (len(items), sum(i["compiled"] and i["correctness"] for i in items))
        for key, items in results.items()
    }
    most = min((n for n, _ in counts.values()), default=0)
    ks = range(1, most + 1)
    problems = {
        key: {
            "total_samples": n,
            "correct_samples": c,
            **{f"pass@{k}": pass_at_k(n, c, k) for k in ks},
        }
        for key, (n, c) in counts.items()
    }
    total = len(problems)
    return {
        "averages": {
            f"avg_pass@{k}": sum(p[f"pass@{k}"] for p in problems.values()) / total for k in ks
        },
        "metadata": {
            "total_problems": total,
            "problems_with_samples": sum(n > 0 for n, _ in counts.values()),
            "total_evaluated_samples": sum(n for n, _ in counts.values()),
            "total_correct_samples": sum(c for _, c in counts.values()),
            **{f"pass@{k}_count": total for k in ks},
        },
        "problems": problems,
    }


# ---------------------------------------------------------------------------------- reading


def _read(path: Path, adapter: TypeAdapter[Any]) -> Any:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise user_error("no-such-path", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise user_error("bad-results", where=path, reason=error) from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise user_error("bad-results", where=where, reason=error.msg) from None
    try:
        return adapter.validate_python(data, strict=False)
    except ValidationError as error:
        # Of a union the last branch is the list's element: the most exact place.
        last = max(error.errors(), key=lambda e: len(e["loc"]))
        place = ".".join(str(p) for p in last["loc"] if not str(p).startswith(("list[", "Sample")))
        raise user_error("bad-results", where=f"{path}, {place}", reason=last["msg"]) from None


def _find_level(folder: Path, times: dict[str, Any]) -> int:
    for file in sorted(folder.glob("level_*_problem_*_sample_*_kernel.py")):
        match = re.match(r"level_(\d+)_", file.name)
        if match:
            return int(match.group(1))
    levels = [key for key in times if re.fullmatch(r"level\d+", key)]
    if len(levels) == 1:
        return int(levels[0][5:])
    raise user_error(
        "bad-option",
        option="--level",
        reason=f"{folder} does not say which of KernelBench's levels it is of",
    )


def _attempt(number: int, sample: Sample, baseline: float) -> AttemptScore:
    correct = sample.correctness and sample.compiled
    reference = sample.ref_runtime if sample.ref_runtime > 0 else baseline
    ratio = None
    if correct and sample.speedup > 0:
        ratio = sample.speedup
    elif correct and sample.runtime > 0 and reference > 0:
        ratio = reference / sample.runtime
    failed = "failed" if sample.compiled else "compile-error"
    verdict = "correct" if correct else str(sample.metadata.get("verdict", failed))
    return AttemptScore(
        number=number,
        model=str(sample.metadata.get("model", "")),
        kind="proposal",
        verdict=verdict,
        ratio=ratio,
        ratio_to_eager=ratio,
        baseline_seconds=reference / 1e3 if reference > 0 else None,
        candidate_seconds=sample.runtime / 1e3 if sample.runtime > 0 else None,
        faster=ratio is not None and ratio > SAME_SPEED,
        independent=True,
    )


# ---------------------------------------------------------------------------------- writing


def _numbered(problems: Sequence[ProblemScores]) -> list[tuple[int, ProblemScores]]:
    """Problems with their ids; if not all of a level have one, their places in order."""
    numbers = [problem.number for problem in problems]
    if None not in numbers and len(set(numbers)) == len(numbers):
        return sorted(
            ((p.number, p) for p in problems if p.number is not None), key=lambda item: item[0]
        )
    return list(enumerate(problems, 1))


def _sample(
    number: int, attempt: AttemptScore, problem: ProblemScores, run: RunScores
) -> dict[str, Any]:
    runtime = _milliseconds(attempt.candidate_seconds)
    if attempt.correct and runtime <= 0:
        raise user_error(
            "bad-results",
            where=f"{run.label}, {problem.name}, attempt {attempt.number}",
            reason="it is correct and was not timed, for which KernelBench's format has no place",
        )
    if not attempt.correct:
        runtime = _NOT_MEASURED
    stats = {
        "mean": runtime,
        "statistic": "median",
        "hardware": run.device_name,
        "device": run.device,
    }
    ratio = attempt.ratio_to_eager
    return {
        "sample_id": number,
        "compiled": attempt.verdict not in ("compile-error", "generator-error"),
        "correctness": attempt.correct,
        "metadata": _metadata(problem, run)
        | {"verdict": attempt.verdict, "model": attempt.model, "flags": list(attempt.flags)},
        "runtime": runtime,
        "runtime_stats": stats if attempt.correct else {},
        "ref_runtime": _milliseconds(attempt.baseline_seconds),
        "speedup": _NOT_MEASURED if ratio is None else ratio,
    }


def _no_sample(problem: ProblemScores, run: RunScores) -> dict[str, Any]:
    return {
        "sample_id": 0,
        "compiled": False,
        "correctness": False,
        "metadata": _metadata(problem, run) | {"verdict": problem.state, "reason": problem.reason},
        "runtime": _NOT_MEASURED,
        "runtime_stats": {},
    }


def _metadata(problem: ProblemScores, run: RunScores) -> dict[str, Any]:
    sizes = ", ".join(f"{name} = {text}" for name, text in problem.constants.items())
    found = {"hardware": run.device_name, "device": run.device, "harness": "metalwright"}
    if sizes:
        found["constants"] = sizes
    if problem.shrunk:
        found["scale"] = run.scale
    return found


def _baseline_time(problem: ProblemScores, run: RunScores) -> dict[str, Any]:
    best = problem.best()
    timed = [a for a in problem.attempts if a.baseline_seconds is not None]
    source = best if best is not None and best.baseline_seconds is not None else None
    source = source or (timed[0] if timed else None)
    return {
        "mean": _milliseconds(source.baseline_seconds if source else None),
        "statistic": "median",
        "hardware": run.device_name,
        "device": run.device,
    }


def _milliseconds(seconds: float | None) -> float:
    return _NOT_MEASURED if seconds is None else seconds * 1e3


def _write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data, indent=4) + "\n", "utf-8")
    return path
