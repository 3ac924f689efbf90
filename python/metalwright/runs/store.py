"""The run folder.

    run.json                            configuration, machine, versions
    problems/NAME/problem.json, .py     the problem, constants already overridden
    problems/NAME/attempts/001/         candidate.py, candidate.json, kernels/*.metal and
                                        evaluation.json
    report.html                         see metalwright.reports

A file appears whole or not at all: it is written beside its place and renamed. An attempt's folder
is renamed into place last, so a folder that is there is complete.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from metalwright.errors import user_error
from metalwright.evaluation.model import DeviceReport, Evaluation, Settings
from metalwright.generation.candidate import Candidate
from metalwright.problems import Problem
from metalwright.runs.files import write_whole
from metalwright.runs.suite_record import SuiteRecord

# Raised when run.json changes so that an older version would misread it.
RUN_VERSION = 1
_RUN = "run.json"
_EVALUATION = "evaluation.json"


class RunConfig(BaseModel):
    """What a run is made of. Resuming a run uses the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    name: str
    created: str
    generator: str
    settings: Settings
    overrides: dict[str, str] = {}
    problems: tuple[str, ...]
    """Names of all problems of the run, in order."""
    device: DeviceReport
    machine: dict[str, str]
    versions: dict[str, str]
    search: dict[str, Any] = {}
    """The settings of the search with models (`metalwright.search.SearchSettings`), if any."""
    suite: SuiteRecord | None = None
    """Where the problems come from, if they are a suite (`metalwright bench`)."""
    environment: dict[str, dict[str, str]] = {}
    """More facts on which results depend, by section: see `metalwright.runs.environment`."""

    @property
    def shrunk(self) -> set[str]:
        """Names of the problems that run at smaller sizes than their suite gives."""
        suite = self.suite
        return {name for name in self.problems if suite is not None and suite.is_shrunk(name)}


@dataclass(frozen=True)
class Attempt:
    """A candidate (None if the generator gave none) with its evaluation."""

    problem: str
    number: int
    candidate: Candidate | None
    evaluation: Evaluation
    folder: Path


class RunStore:
    """One run folder."""

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self.folder = folder
        self.config = config

    @classmethod
    def create(cls, root: Path, config: RunConfig, problems: Sequence[Problem]) -> RunStore:
        """Makes ``root/<timestamp>-<name>/`` and writes the problems into it.

        Raises:
            Error: ``unwritable-run``.
        """
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        base = f"{stamp}-{_safe(config.name)}"
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder = _new_folder(root, base)
            for problem in problems:
                problem.write(folder / "problems" / _safe(problem.name))
            write_whole(folder / _RUN, config.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise user_error(
                "unwritable-run", path=root, reason=error.strerror or str(error)
            ) from None
        return cls(folder, config)

    @classmethod
    def open(cls, folder: Path) -> RunStore:
        """Opens a run folder.

        Raises:
            Error: ``not-a-run``, ``newer-run``.
        """
        try:
            text = (folder / _RUN).read_text("utf-8")
            _check_version(folder, text)
            config = RunConfig.model_validate_json(text)
        except OSError as error:
            reason = error.strerror or str(error)
            raise user_error("not-a-run", path=folder, reason=f"{_RUN}: {reason}") from None
        except (ValidationError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise user_error("not-a-run", path=folder, reason=f"{_RUN}: {first}") from None
        return cls(folder, config)

    def problem(self, name: str) -> Problem:
        """A problem of the run, as it was when the run was made.

        Raises:
            Error: ``not-a-run``.
        """
        try:
            return Problem.read(self.folder / "problems" / _safe(name))
        except (OSError, ValueError, TypeError, KeyError) as error:
            reason = f"problem {name}: {error}"
            raise user_error("not-a-run", path=self.folder, reason=reason) from None

    def add_attempt(
        self,
        problem: str,
        candidate: Candidate | None,
        evaluation: Evaluation,
        number: int | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Attempt:
        """Writes an attempt; it is there whole or not at all.

        `number` is the next one, or the one that the store has given it; `files` are more texts
        for its folder, such as the prompt, by name.
        """
        attempts = self._attempts_folder(problem)
        attempts.mkdir(parents=True, exist_ok=True)
        if number is None:
            number = max(self._numbers(problem), default=0) + 1
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=attempts))
        try:
            if candidate is not None:
                _write_candidate(partial, candidate)
            for name, text in (files or {}).items():
                write_whole(partial / name, text)
            write_whole(partial / _EVALUATION, evaluation.model_dump_json(indent=2) + "\n")
            partial.chmod(0o755)
            folder = attempts / f"{number:03d}"
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return Attempt(problem, number, candidate, evaluation, folder)

    def attempts(self, problem: str) -> list[Attempt]:
        """All attempts at a problem, in order.

        Raises:
            Error: ``not-a-run``: a file in the folder is not what this store writes.
        """
        return [self._attempt(problem, number) for number in sorted(self._numbers(problem))]

    def has_attempt(self, problem: str, number: int) -> bool:
        """Whether the folder of an attempt is there."""
        return (self._attempts_folder(problem) / f"{number:03d}").is_dir()

    def best(self, problem: str) -> Attempt | None:
        """The fastest correct attempt whose time is believed; without one the last."""
        attempts = self.attempts(problem)
        correct = [attempt for attempt in attempts if attempt.evaluation.rankable]
        if correct:
            return max(correct, key=lambda attempt: _ratio(attempt.evaluation))
        return attempts[-1] if attempts else None

    def finished(self) -> Iterator[Attempt]:
        """The best attempt at each problem that has one, in the order of the run."""
        for name in self.config.problems:
            attempt = self.best(name)
            if attempt is not None:
                yield attempt

    def write_file(self, name: str, text: str) -> Path:
        """Writes a file of the run, such as the report, at once."""
        return write_whole(self.folder / name, text)

    def _attempts_folder(self, problem: str) -> Path:
        return self.folder / "problems" / _safe(problem) / "attempts"

    def _numbers(self, problem: str) -> list[int]:
        with contextlib.suppress(FileNotFoundError):
            names = os.listdir(self._attempts_folder(problem))
            return [int(name) for name in names if name.isdigit()]
        return []

    def _attempt(self, problem: str, number: int) -> Attempt:
        folder = self._attempts_folder(problem) / f"{number:03d}"
        try:
            text = (folder / _EVALUATION).read_text("utf-8")
            evaluation = Evaluation.model_validate_json(text)
            return Attempt(problem, number, _read_candidate(folder), evaluation, folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            first = str(error).splitlines()[0]
            raise user_error(
                "not-a-run", path=self.folder, reason=f"{problem}, attempt {number}: {first}"
            ) from None


def _check_version(folder: Path, text: str) -> None:
    """A newer run has fields that mean nothing here; "unknown field" would not say why.

    Raises:
        Error: ``newer-run``.
        ValueError: the text is no JSON.
    """
    data = json.loads(text)
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > RUN_VERSION:
        made_by = data.get("versions", {})
        name = made_by.get("metalwright", "?") if isinstance(made_by, dict) else "?"
        raise user_error(
            "newer-run", path=folder / _RUN, version=version, known=RUN_VERSION, made_by=name
        )


def _ratio(evaluation: Evaluation) -> float:
    return evaluation.timing.ratio.median if evaluation.timing else 0.0


def _write_candidate(folder: Path, candidate: Candidate) -> None:
    write_whole(folder / "candidate.py", candidate.source)
    files = {}
    for name, source in candidate.kernels.items():
        file = f"kernels/{_safe(name)}.metal"
        (folder / "kernels").mkdir(exist_ok=True)
        write_whole(folder / file, source)
        files[name] = file
    description = {
        "origin": candidate.origin,
        "notes": list(candidate.notes),
        "kernels": files,
    }
    write_whole(folder / "candidate.json", json.dumps(description, indent=2) + "\n")


def _read_candidate(folder: Path) -> Candidate | None:
    path = folder / "candidate.json"
    if not path.exists():
        return None
    description = json.loads(path.read_text("utf-8"))
    return Candidate(
        source=(folder / "candidate.py").read_text("utf-8"),
        kernels={
            name: (folder / file).read_text("utf-8")
            for name, file in description["kernels"].items()
        },
        origin=description["origin"],
        notes=tuple(description["notes"]),
    )


def _new_folder(root: Path, base: str) -> Path:
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        folder = root / (base + suffix)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise FileExistsError(f"{root / base} and a thousand more exist")


def _safe(name: str) -> str:
    """A name as a file name: never empty, hidden, or with a separator in it."""
    return re.sub(r"[^\w.+-]+", "_", name).lstrip(".") or "unnamed"
