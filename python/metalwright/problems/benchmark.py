"""Suites: many problems from a folder, a KernelBench checkout, a data set or a suite file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from metalwright.errors import Error, user_error
from metalwright.problems.problem import Problem
from metalwright.problems.selection import Selection, parse_numbers, problem_number
from metalwright.problems.source import override_constants, parse_problem
from metalwright.problems.suite import BrokenProblem, problem_files
from metalwright.problems.suite_file import ProblemPart, constant_text, read_suite_file

DATASET_PREFIX = "hf:"
_COLUMNS = ("code", "level", "name", "problem_id")
Kind = Literal["folder", "kernelbench", "dataset", "file"]


@dataclass(frozen=True)
class SuiteEntry:
    """One problem of a suite."""

    problem: Problem | BrokenProblem
    level: int | None
    number: int | None
    tags: tuple[str, ...] = ()
    where: str = ""
    """The file, or the place in the data set."""

    @property
    def name(self) -> str:
        """The problem's name, unique in its suite."""
        return self.problem.name


@dataclass(frozen=True)
class Excluded:
    """A problem that the suite file leaves out."""

    name: str
    level: int | None
    reason: str


@dataclass(frozen=True)
class Suite:
    """What was found, and what of it is to be worked on."""

    source: str
    kind: Kind
    name: str
    entries: tuple[SuiteEntry, ...]
    """Selected, in order."""
    excluded: tuple[Excluded, ...]
    """Of those selected, left out by the suite file."""
    total: int
    """Problems before anything was selected or excluded."""
    selection: str


def open_suite(
    source: str, selection: Selection | None = None, constants: Mapping[str, str] | None = None
) -> Suite:
    """Finds the problems of a suite without running any.

    `source` is a folder, a KernelBench checkout, ``hf:NAME`` or the folder of a data set, or a
    ``.toml`` file. `constants` are laid over all problems that have them.

    Raises:
        Error: ``no-such-path``, ``not-a-suite``, ``no-problems``, ``no-problem-selected``,
            ``duplicate-problem``, ``bad-suite-file``, ``bad-dataset``, ``missing-package``,
            ``unknown-constant``. What is wrong with one problem is a `BrokenProblem` instead.
    """
    selection = selection or Selection()
    path = Path(source)
    if not source.startswith(DATASET_PREFIX) and path.suffix == ".toml":
        name, found, reasons = _from_file(path)
        kind: Kind = "file"
    else:
        kind, found = _from_place(source)
        name, reasons = _place_name(source), {}
    entries = _unique(found)
    chosen = [e for e in entries if selection.accepts(e.name, e.level, e.number, e.tags)]
    if not chosen:
        raise user_error(
            "no-problem-selected",
            count=len(entries),
            filters=selection,
            names=", ".join(entry.name for entry in entries),
        )
    kept = [_with_constants(e, constants or {}) for e in chosen if e.name not in reasons]
    _check_constants(kept, constants or {})
    return Suite(
        source,
        kind,
        name,
        tuple(kept),
        tuple(Excluded(e.name, e.level, reasons[e.name]) for e in chosen if e.name in reasons),
        len(entries),
        str(selection),
    )


def _place_name(source: str) -> str:
    if source.startswith(DATASET_PREFIX):
        return source.removeprefix(DATASET_PREFIX).rpartition("/")[2]
    return Path(source).resolve().name


def _from_place(source: str) -> tuple[Kind, list[SuiteEntry]]:
    if source.startswith(DATASET_PREFIX):
        return "dataset", list(_dataset_entries(source.removeprefix(DATASET_PREFIX)))
    path = Path(source)
    if not path.exists():
        raise user_error("no-such-path", path=path)
    if path.is_dir():
        checkout = _checkout(path)
        if checkout is not None:
            return "kernelbench", list(_kernelbench_entries(checkout))
        if _is_dataset(path):
            return "dataset", list(_dataset_entries(source))
    elif path.suffix != ".py":
        raise user_error("not-a-suite", path=path)
    return "folder", [_file_entry(file) for file in problem_files(path)]


def _file_entry(file: Path) -> SuiteEntry:
    problem: Problem | BrokenProblem
    try:
        problem = Problem.from_file(file)
        level = problem.level
    except Error as error:
        problem, level = BrokenProblem(file.stem, str(file), error), _level_of(file)
    return SuiteEntry(problem, level, problem_number(file.stem), (), str(file))


def _level_of(file: Path) -> int | None:
    match = re.fullmatch(r"level[ _-]?(\d+)", file.resolve().parent.name, re.IGNORECASE)
    return int(match.group(1)) if match else None


# ------------------------------------------------------------------------------ KernelBench


def _checkout(path: Path) -> Path | None:
    """The folder with level1, level2, ... of a KernelBench checkout; None: it is none."""
    for folder in (path / "KernelBench", path):
        levels = [p for p in folder.glob("level[0-9]*") if p.is_dir()]
        if levels and (folder.name == "KernelBench" or any(_numbered(level) for level in levels)):
            return folder
    return None


def _numbered(folder: Path) -> bool:
    files = list(folder.glob("*.py"))
    return bool(files) and all(re.match(r"\d+_", file.name) for file in files)


def _kernelbench_entries(folder: Path) -> Iterator[SuiteEntry]:
    """KernelBench's own rule: files ``N_name.py`` in ``levelL``; others are not problems."""
    levels = [p for p in folder.iterdir() if p.is_dir() and re.fullmatch(r"level\d+", p.name)]
    for level in sorted(levels, key=lambda p: int(p.name[5:])):
        files = [file for file in level.glob("*.py") if re.match(r"\d+_", file.name)]
        for file in sorted(files, key=lambda f: (int(f.name.partition("_")[0]), f.name)):
            yield _file_entry(file)


def _is_dataset(path: Path) -> bool:
    known = ("dataset_dict.json", "dataset_info.json", "state.json")
    return any((path / name).exists() for name in known) or any(path.rglob("*.parquet"))


def _dataset_entries(name: str) -> Iterator[SuiteEntry]:
    """Rows of a data set with KernelBench's columns: code, level, name, problem_id.

    Raises:
        Error: ``missing-package``, ``bad-dataset``.
    """
    try:
        import datasets  # type: ignore[import-untyped]
    except ImportError:
        raise user_error("missing-package", what="Data sets", package="datasets") from None
    try:
        on_disk = any((Path(name) / f).exists() for f in ("dataset_dict.json", "state.json"))
        loaded = datasets.load_from_disk(name) if on_disk else datasets.load_dataset(name)
    except Exception as error:
        # It raises exceptions of four libraries, all of which say that there is no such data.
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise user_error("bad-dataset", where=name, reason=first) from None
    parts = loaded if isinstance(loaded, dict) else {"rows": loaded}
    for part, rows in parts.items():
        missing = [column for column in _COLUMNS if column not in rows.column_names]
        if missing:
            raise user_error(
                "bad-dataset",
                where=f"{name}, part {part}",
                reason=f"has no column {', '.join(missing)}; there are "
                + ", ".join(rows.column_names),
            )
        for index, row in enumerate(rows):
            yield _row_entry(row, f"{name}/{part}[{index}]")


def _row_entry(row: Mapping[str, Any], where: str) -> SuiteEntry:
    code, level, name, number = (row[column] for column in _COLUMNS)
    if not (isinstance(code, str) and isinstance(name, str) and name):
        raise user_error("bad-dataset", where=where, reason="code and name have to be texts")
    if not (isinstance(level, int) and isinstance(number, int)):
        raise user_error("bad-dataset", where=where, reason="level and problem_id are numbers")
    stem = name.removesuffix(".py")
    problem: Problem | BrokenProblem
    try:
        constants = parse_problem(code, where).constants
        problem = Problem(name=stem, source=code, level=level, constants=constants)
    except Error as error:
        problem = BrokenProblem(stem, where, error)
    return SuiteEntry(problem, level, number, (), where)


# ------------------------------------------------------------------------------ suite files


def _from_file(path: Path) -> tuple[str, list[SuiteEntry], dict[str, str]]:
    file = read_suite_file(path)
    found: list[SuiteEntry] = []
    for part in file.source:
        if part.dataset is not None:
            local = path.parent / part.dataset
            place = str(local) if local.exists() else part.dataset
            _, entries = _from_place(DATASET_PREFIX + place)
        else:
            assert part.path is not None
            _, entries = _from_place(str(path.parent / part.path))
        filters = Selection(
            part.levels, tuple(parse_numbers(str(n)) for n in part.numbers), part.only
        )
        kept = [e for e in entries if filters.accepts(e.name, e.level, e.number, ())]
        if not kept:
            raise user_error(
                "bad-suite-file",
                where=path,
                reason=f"source {part.path or part.dataset}: none of its {len(entries)} problems "
                f"passes {filters}",
            )
        found += [dataclasses.replace(e, tags=part.tags) for e in kept]
    found = _unique(found)
    names = {entry.name for entry in found}
    for what, wanted in (("problems", file.problems), ("exclude", [e.name for e in file.exclude])):
        for name in wanted:
            if name not in names:
                raise user_error(
                    "bad-suite-file", where=path, reason=f"{what}: no problem is called {name}"
                )
    reasons = {entry.name: entry.reason for entry in file.exclude}
    shared = {name: constant_text(value) for name, value in file.constants.items()}
    result = [_special(e, file.problems.get(e.name), shared, path) for e in found]
    return file.name, result, reasons


def _special(
    entry: SuiteEntry, part: ProblemPart | None, shared: Mapping[str, str], path: Path
) -> SuiteEntry:
    """An entry with what the suite file says of it."""
    entry = _with_constants(entry, shared)
    if part is None:
        return entry
    own = {name: constant_text(value) for name, value in part.constants.items()}
    if isinstance(entry.problem, Problem):
        for name in own:
            if name not in entry.problem.constants:
                raise user_error(
                    "bad-suite-file",
                    where=path,
                    reason=f"problems.{entry.name}.constants: the problem has no constant {name}; "
                    f"it has {', '.join(entry.problem.constants) or 'none'}",
                )
    level = part.level if part.level is not None else entry.level
    entry = _with_constants(entry, own)
    problem = entry.problem
    if isinstance(problem, Problem):
        problem = dataclasses.replace(problem, level=level)
    tags = tuple(dict.fromkeys([*entry.tags, *part.tags]))
    return dataclasses.replace(entry, problem=problem, level=level, tags=tags)


def _with_constants(entry: SuiteEntry, constants: Mapping[str, str]) -> SuiteEntry:
    """The entry with those of the constants replaced that it has."""
    problem = entry.problem
    if isinstance(problem, BrokenProblem):
        return entry
    return dataclasses.replace(entry, problem=replace_constants(problem, constants))


def replace_constants(problem: Problem, constants: Mapping[str, str]) -> Problem:
    """The problem with those of the constants replaced that it has."""
    mine = {name: value for name, value in constants.items() if name in problem.constants}
    if not mine:
        return problem
    source = override_constants(problem.source, mine, problem.where)
    return dataclasses.replace(
        problem,
        source=source,
        constants=parse_problem(source, problem.where).constants,
        overrides={**problem.overrides, **mine},
    )


def _check_constants(entries: Sequence[SuiteEntry], constants: Mapping[str, str]) -> None:
    sound = [entry.problem for entry in entries if isinstance(entry.problem, Problem)]
    known = {name for problem in sound for name in problem.constants}
    for name in constants:
        if sound and name not in known:
            raise user_error(
                "unknown-constant",
                where="the suite",
                name=name,
                constants=", ".join(sorted(known)) or "none",
            )


def _unique(entries: Sequence[SuiteEntry]) -> list[SuiteEntry]:
    """Problems of one name at different levels are told apart; at one level they are a mistake.

    Raises:
        Error: ``duplicate-problem``.
    """
    places: dict[tuple[str, int | None], SuiteEntry] = {}
    for entry in entries:
        other = places.setdefault((entry.name, entry.level), entry)
        if other is not entry:
            raise user_error(
                "duplicate-problem", name=entry.name, first=other.where, second=entry.where
            )
    names = [entry.name for entry in entries]
    return [
        entry
        if names.count(entry.name) == 1 or entry.level is None
        else dataclasses.replace(
            entry,
            problem=dataclasses.replace(entry.problem, name=f"level{entry.level}-{entry.name}"),
        )
        for entry in entries
    ]
