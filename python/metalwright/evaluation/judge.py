"""The judge: draws the inputs, computes what is expected, runs the candidate elsewhere, decides.

The process that runs this never imports a candidate or a problem. Expected outputs exist only in
this process's memory: the reference's files are read and removed before a candidate sees the
inputs that belong to them.
"""

from __future__ import annotations

import contextlib
import datetime
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from metalwright.errors import Error, user_error
from metalwright.evaluation import cache
from metalwright.evaluation import evidence as explain
from metalwright.evaluation.folder import exchange_folder
from metalwright.evaluation.launcher import Launcher, make_launcher
from metalwright.evaluation.model import (
    DeviceReport,
    Evaluation,
    Evidence,
    Flag,
    Settings,
    Verdict,
)
from metalwright.evaluation.pool import CANDIDATE_SERVICE, Pool
from metalwright.evaluation.process import WorkerError, WorkerFailure, WorkerProcess
from metalwright.evaluation.roofline import PEAKS_SERVICE, peaks_key
from metalwright.evaluation.session import Progress, Session
from metalwright.evaluation.trial import Decided, Trial
from metalwright.evaluation.worker import WorkerOptions
from metalwright.problems import Problem
from metalwright.runtime import devices


class Judge:
    """Judges candidates. A context manager: leaving it ends every process it has started."""

    def __init__(self, settings: Settings | None = None, launcher: Launcher | None = None) -> None:
        """Prepares to judge under `settings`.

        A `launcher` can be shared by several judges and stays its owner's to close.

        Raises:
            Error: ``no-such-device``.
        """
        self.settings = settings or Settings()
        self.device = describe_device(self.settings.device)
        self._owns_launcher = launcher is None
        self._launcher = launcher or make_launcher()
        self._pool = Pool(self._start_ahead, self.settings.device)
        self._owns_pool = True
        self._peaks: dict[str, Any] | None = None

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._owns_pool:
            self._pool.close()
        if self._owns_launcher:
            self._launcher.close()

    def under(self, settings: Settings) -> Judge:
        """A judge with other settings that shares this one's processes, and ends with it.

        Raises:
            ValueError: the settings ask for another device or memory limit.
        """
        fixed = ("device", "memory_limit")
        if any(getattr(settings, name) != getattr(self.settings, name) for name in fixed):
            raise ValueError("another device or memory limit needs a judge of its own")
        other = Judge(settings, self._launcher)
        other._pool, other._owns_pool = self._pool, False
        return other

    def _start_ahead(self, service: str, folder: Path, given: Path) -> WorkerProcess:
        """Starts a confined worker without waiting for it."""
        scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=folder))
        limit = self.settings.memory_limit
        options = WorkerOptions(service, limit, str(scratch), False, str(folder), (str(given),))
        return WorkerProcess(self._launcher, options, ahead=True)

    @contextlib.contextmanager
    def worker(
        self,
        service: str,
        folder: Path,
        *,
        network: bool = False,
        confined: bool = False,
        readable: Sequence[Path] = (),
    ) -> Iterator[WorkerProcess]:
        """Starts a worker with this judge's limits whose scratch folder is in `folder`.

        A `confined` one can write nothing but `folder`, and of the memory file system it sees only
        that and `readable`.
        """
        scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=folder))
        options = WorkerOptions(
            service,
            self.settings.memory_limit,
            str(scratch),
            network,
            str(folder) if confined else "",
            tuple(map(str, readable)),
        )
        with WorkerProcess(self._launcher, options) as worker:
            yield worker

    @contextlib.contextmanager
    def open(self, problem: Problem, progress: Progress = lambda _: None) -> Iterator[Session]:
        """Starts the reference of a problem; candidates can then be judged against it.

        Raises:
            Error: the problem cannot be run; codes ``problem-*``.
        """
        service = "metalwright.evaluation.reference_service:ReferenceService"

        def start(folder: Path) -> contextlib.AbstractContextManager[WorkerProcess]:
            return self.worker(service, folder)

        with exchange_folder() as folder:
            progress("loading the problem")
            self._pool.prepare(CANDIDATE_SERVICE)
            session = Session(self.settings, problem, start, folder, progress, self.peaks)
            with contextlib.closing(session):
                yield session

    def peaks(self) -> dict[str, Any] | None:
        """What the device does at most, measured once; None if that fails."""
        if self._peaks is None:
            key = peaks_key(self.settings.device, self.device.name)
            known = cache.read(key)
            if not isinstance(known, dict) or known.keys() != {"bandwidth", "flop_rate"}:
                known = None
            if known is None:
                known = self._measure_peaks()
                if known is not None:
                    cache.write(key, known)
            self._peaks = known
        return self._peaks

    def _measure_peaks(self) -> dict[str, Any] | None:
        try:
            with exchange_folder() as folder, self.worker(PEAKS_SERVICE, folder) as worker:
                reply: dict[str, Any] = worker.request(
                    "peaks", 60.0, "the device is measured", device=self.settings.device
                )
                return reply
        except (WorkerError, WorkerFailure):
            return None

    def evaluate(self, session: Session, source: str) -> Evaluation:
        """Judges the text of a candidate. Never raises for what the candidate does.

        Raises:
            Error: the problem fails on a later draw of its inputs; codes ``problem-*``.
        """
        started = time.monotonic()
        self._pool.reap()
        trial = Trial(session, source, self._pool)
        with contextlib.suppress(Decided):
            trial.run()
        finding, worker = trial.finding, trial.worker
        return Evaluation(
            **_common(session.problem, self.settings, self.device),
            verdict=finding.verdict if finding else Verdict.CORRECT,
            flags=tuple(trial.flags),
            summary=explain.summary(finding, trial.timing, Flag.NOISY_TIMING in trial.flags),
            evidence=(finding.evidence,) if finding else (),
            remarks=tuple(trial.remarks),
            outputs=tuple(trial.errors.values()),
            oracle=session.oracle_reason or "float64",
            checks=tuple(trial.checks),
            coverage=trial.coverage,
            sanitizer=trial.sanitize(),
            roofline=trial.roofline,
            weights=trial.weights,
            timing=trial.timing,
            printed=worker.printed if worker else None,
            peak_memory=worker.peak_memory if worker else None,
            isolation=worker.isolation if worker else {},
            seconds=time.monotonic() - started,
        )


def evaluate(problem: Problem, source: str, settings: Settings | None = None) -> Evaluation:
    """Judges one candidate's text. A problem that cannot be run gives ``problem-error``."""
    with Judge(settings) as judge:
        try:
            with judge.open(problem) as session:
                return judge.evaluate(session, source)
        except Error as error:
            return problem_error(problem, error, judge.settings, judge.device)


def problem_error(
    problem: Problem, error: Error, settings: Settings, device: DeviceReport
) -> Evaluation:
    """The evaluation of a problem that cannot be run."""
    return _without_candidate(problem, Verdict.PROBLEM_ERROR, error, settings, device)


def generator_error(
    problem: Problem, error: Error, settings: Settings, device: DeviceReport
) -> Evaluation:
    """The evaluation of a problem for which there is no candidate."""
    return _without_candidate(problem, Verdict.GENERATOR_ERROR, error, settings, device)


def _without_candidate(
    problem: Problem, verdict: Verdict, error: Error, settings: Settings, device: DeviceReport
) -> Evaluation:
    return Evaluation(
        **_common(problem, settings, device),
        verdict=verdict,
        summary=error.message,
        evidence=(Evidence(check=error.code, message=str(error)),),
    )


def _common(problem: Problem, settings: Settings, device: DeviceReport) -> dict[str, Any]:
    """The part of an evaluation that does not depend on the candidate."""
    return {
        "problem": problem.name,
        "level": problem.level,
        "overrides": dict(problem.overrides),
        "settings": settings,
        "device": device,
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def describe_device(kind: str) -> DeviceReport:
    """What the run time says of a device.

    Raises:
        Error: ``no-such-device``.
    """
    found = {info.kind: info for info in devices()}
    if kind not in found:
        raise user_error(
            "no-such-device",
            name=kind,
            reason="this build or this machine has none",
            names=", ".join(found) or "none",
        )
    info = found[kind]
    return DeviceReport(
        kind=info.kind,
        name=info.name,
        architecture=info.architecture,
        compute_units=info.compute_units,
    )
