"""Judges every candidate; `python -m tests.cheats --table` prints docs/evaluation.md's table."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.cheats.catalogue import CHEATS, HONEST, PROBLEMS, Cheat, honest_path

from metalwright.evaluation import Evaluation, Judge, Settings, Verdict
from metalwright.evaluation.launcher import Launcher
from metalwright.problems import Problem

Job = tuple[str, str, Path]


def settings_for(device: str) -> Settings:
    """Short: five draws, a moment of timing."""
    return Settings(device=device, deadline=20.0, memory_limit=4 << 30, timing_seconds=0.2)


def judge_all(
    jobs: list[Job], settings: Settings, launcher: Launcher | None = None
) -> Iterator[tuple[str, Evaluation]]:
    """Evaluations of (name, problem, path), problem by problem; one judge for all."""
    with tempfile.TemporaryDirectory() as folder, Judge(settings, launcher) as judge:
        for problem in dict.fromkeys(problem for _, problem, _ in jobs):
            path = Path(folder) / f"{problem}.py"
            path.write_text(PROBLEMS[problem], "utf-8")
            waiting = [job for job in jobs if job[1] == problem]
            while waiting:
                with judge.open(Problem.from_file(path)) as session:
                    while waiting:
                        name, _, file = waiting.pop(0)
                        evaluation = judge.evaluate(session, file.read_text("utf-8"))
                        yield name, evaluation
                        if evaluation.verdict is Verdict.CRASH:
                            # Where nobody can be confined it may have taken the reference along.
                            break


def cheat_jobs(chosen: Callable[[Cheat], bool] = lambda _: True) -> list[Job]:
    """The cheats as jobs."""
    return [(cheat.file, cheat.problem, cheat.path) for cheat in CHEATS if chosen(cheat)]


def honest_jobs() -> list[Job]:
    """The honest candidates as jobs."""
    return [(name, problem, honest_path(name)) for name, problem in HONEST.items()]


def is_caught(cheat: Cheat, evaluation: Evaluation) -> bool:
    """Whether the evaluation is what the catalogue asks for."""
    flags = {flag.value for flag in evaluation.flags}
    return evaluation.verdict.value in cheat.verdicts and flags >= set(cheat.flags)


def _launcher(device: str, stack: contextlib.ExitStack) -> Launcher | None:
    """The launcher of the stand-in, where it plays the device."""
    if device != "metal":
        return None
    from tests.device.conftest import has_metal, playing
    from tests.device.judged import MacLauncher

    if has_metal():
        return None
    stack.enter_context(playing("metal"))
    launcher = MacLauncher()
    stack.callback(launcher.close)
    return launcher


def main() -> int:
    """Prints tables; returns 1 if an expectation is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="as Markdown")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="names that contain this")
    options = parser.parse_args()
    jobs = [job for job in cheat_jobs() + honest_jobs() if options.only in job[0]]
    found = {}
    with contextlib.ExitStack() as stack:
        judged = judge_all(jobs, settings_for(options.device), _launcher(options.device, stack))
        for name, evaluation in judged:
            found[name] = evaluation
            flags = " ".join(flag.value for flag in evaluation.flags)
            text = f"{name}: {evaluation.verdict.value} [{flags}] {evaluation.summary}"
            print(text[:220], file=sys.stderr, flush=True)
    cheats = [cheat for cheat in CHEATS if cheat.file in found]
    missed = [cheat.file for cheat in cheats if not is_caught(cheat, found[cheat.file])]
    wronged = [name for name in HONEST if name in found and not found[name].correct]
    if options.table:
        print(f"| # | cheat | on {options.device} | how it was found |\n|---|---|---|---|")
        for cheat in cheats:
            evaluation = found[cheat.file]
            marks = [evaluation.verdict.value]
            marks += [flag.value for flag in evaluation.flags if flag.value in cheat.flags]
            marks = [mark for mark in marks if mark != "correct" or not cheat.flags]
            how = evaluation.evidence[0].check if evaluation.evidence else "flag"
            inputs = evaluation.evidence[0].inputs if evaluation.evidence else ""
            how += f" ({inputs})" if inputs else ""
            print(f"| {cheat.number} | {cheat.name} | `{'`, `'.join(marks)}` | {how} |")
        print("\n| honest candidate | problem | verdict |\n|---|---|---|")
        for name in HONEST:
            if name in found:
                verdict = found[name].verdict.value
                print(f"| {name.replace('_', ' ')} | {HONEST[name]} | `{verdict}` |")
    for name in missed:
        print(f"not caught: {name}: {found[name].summary}", file=sys.stderr)
    for name in wronged:
        print(f"honest, but: {name}: {found[name].summary}", file=sys.stderr)
    return bool(missed or wronged)


if __name__ == "__main__":
    sys.exit(main())
