"""Finding problems: files, and folders of files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metalwright.errors import Error, user_error
from metalwright.problems.problem import Problem, read_text
from metalwright.problems.source import looks_like_problem


@dataclass(frozen=True)
class BrokenProblem:
    """A file that was meant as a problem and cannot be one; the rest of a suite goes on."""

    name: str
    path: str
    error: Error


def load_suite(
    paths: Sequence[Path | str],
    overrides: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    levels: Sequence[int] = (),
) -> list[Problem | BrokenProblem]:
    """Reads all problems of files and folders, in natural order, without running any.

    `only` keeps the names that contain one of its strings, `levels` the KernelBench levels
    (from a folder `level1`, `level_2`, ...). An override has to name a constant of at least one of
    the selected problems; a problem without that constant stays as it is. Two problems of one name
    are told apart by their folder's name.

    Raises:
        Error: ``no-such-path``, ``not-a-problem-path``, ``no-problems``, ``no-problem-selected``,
            ``unknown-constant``. What is wrong with one file is a `BrokenProblem` instead.
    """
    files = _unique_names([file for path in paths for file in problem_files(Path(path))])
    overrides = overrides or {}
    problems: list[Problem | BrokenProblem] = []
    for name, file in files:
        if only and not any(part in name for part in only):
            continue
        problem = _read(name, file, overrides)
        if levels and (isinstance(problem, BrokenProblem) or problem.level not in levels):
            continue
        problems.append(problem)
    if not problems:
        filters = [f"--only {part}" for part in only] + [f"--level {level}" for level in levels]
        raise user_error(
            "no-problem-selected",
            count=len(files),
            filters=" ".join(filters),
            names=", ".join(name for name, _ in files),
        )
    _check_overrides(problems, overrides)
    return problems


def _read(name: str, file: Path, overrides: Mapping[str, str]) -> Problem | BrokenProblem:
    try:
        plain = Problem.from_file(file)
        mine = {key: value for key, value in overrides.items() if key in plain.constants}
        problem = Problem.from_file(file, mine) if mine else plain
    except Error as error:
        return BrokenProblem(name, str(file), error)
    return Problem(**{**vars(problem), "name": name})


def _check_overrides(
    problems: Iterable[Problem | BrokenProblem], overrides: Mapping[str, str]
) -> None:
    sound = [problem for problem in problems if isinstance(problem, Problem)]
    known = {name for problem in sound for name in problem.constants}
    for name in overrides:
        if sound and name not in known:
            raise user_error(
                "unknown-constant",
                where=", ".join(problem.where for problem in sound),
                name=name,
                constants=", ".join(sorted(known)) or "none",
            )


def problem_files(path: Path) -> list[Path]:
    """The problem files of a file or folder, in natural order.

    Raises:
        Error: ``no-such-path``, ``not-a-problem-path``, ``no-problems``, ``unreadable-file``.
    """
    if path.is_dir():
        found = [
            file
            for file in path.rglob("*.py")
            if not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
            and looks_like_problem(read_text(file))
        ]
        if not found:
            raise user_error("no-problems", path=path)
        return sorted(found, key=_natural)
    if not path.exists():
        raise user_error("no-such-path", path=path)
    if path.suffix != ".py":
        raise user_error("not-a-problem-path", path=path)
    return [path]


def _natural(path: Path) -> list[tuple[int, int, str]]:
    # Digits sort as numbers: KernelBench's files are 1_..., 2_..., 10_...
    parts = re.split(r"(\d+)", str(path))
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def _unique_names(files: Sequence[Path]) -> list[tuple[str, Path]]:
    unique = list(dict.fromkeys(files))
    names = [file.stem for file in unique]
    result: list[tuple[str, Path]] = []
    for name, file in zip(names, unique, strict=True):
        if names.count(name) > 1:
            name = f"{file.resolve().parent.name}-{name}"
        while name in (taken for taken, _ in result):
            name += "-2"
        result.append((name, file))
    return result
