"""Evaluations for a search: the judge on a thread of its own, one evaluation at a time."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from metalwright.errors import Error
from metalwright.evaluation import Evaluation, Judge, Settings
from metalwright.evaluation.folder import exchange_folder
from metalwright.evaluation.process import WorkerError, WorkerFailure
from metalwright.evaluation.session import Session, problem_failures
from metalwright.problems import Problem
from metalwright.search.facts import DeviceFacts, ProblemFacts

T = TypeVar("T")

# Problems whose reference stays loaded between two of their evaluations. Each holds its weights
# and one draw of its inputs, twice.
_OPEN_SESSIONS = 2
_MAX_PROFILE_ROWS = 20


@dataclass(frozen=True)
class KernelTime:
    """One kernel's share of a call, and how its longest dispatch was launched."""

    name: str
    dispatches: float
    seconds: float
    grid: tuple[int, int, int] = (1, 1, 1)
    """In threads."""
    group_size: tuple[int, int, int] = (1, 1, 1)
    threadgroup_memory: int = 0
    """Bytes per threadgroup."""
    max_threads: int = 1024
    """The most threads per threadgroup that the compiled kernel can have: registers limit it."""


@dataclass(frozen=True)
class GpuSummary:
    """What a Metal System Trace shows of the calls; ``reason`` alone where there is none."""

    intervals: float = 0.0
    """Compute encoders per call."""
    busy: float = 0.0
    """Seconds per call in which the GPU worked for this process."""
    span: float = 0.0
    """Seconds per call from the first interval's start to the last one's end."""
    medians: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each kernel's interval, where intervals and dispatches match."""
    reason: str = ""


@dataclass(frozen=True)
class Profile:
    """Where a candidate's time goes, as its worker says: empty if that cannot be told."""

    kernels: tuple[KernelTime, ...] = ()
    gpu: GpuSummary | None = None


class Evaluator(Protocol):
    """What a search asks of the outside world besides models."""

    async def evaluate(self, problem: Problem, source: str) -> Evaluation:
        """Judges a candidate.

        Raises:
            Error: ``problem-*``: the problem itself cannot be run.
        """
        ...

    async def practise(self, problem: Problem, source: str, *, timed: bool) -> Evaluation:
        """Judges a candidate quickly: one draw of inputs that no verdict rests on."""
        ...

    async def profile(self, problem: Problem, source: str) -> Profile:
        """Where a right candidate's time goes; empty if that cannot be told."""
        ...

    async def facts(self, problem: Problem) -> ProblemFacts:
        """What the problem does.

        Raises:
            Error: ``problem-*``.
        """
        ...

    async def device(self) -> DeviceFacts:
        """What the candidates run on."""
        ...


class JudgeEvaluator:
    """The real evaluator. A context manager: leaving it ends all workers.

    All of it runs on one thread that lives as long as this object: timing needs the machine, and
    on Linux workers die with the thread that started them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._practice = settings.model_copy(
            update={"seeds": 1, "timing_seconds": min(settings.timing_seconds, 0.7)}
        )
        self._thread = ThreadPoolExecutor(1, "metalwright-judge")
        self._judge: Judge | None = None
        self._sessions: OrderedDict[tuple[str, str], tuple[Session, contextlib.ExitStack]]
        self._sessions = OrderedDict()
        self._device: DeviceFacts | None = None
        self._busy = 0

    def __enter__(self) -> JudgeEvaluator:
        self._judge = self._thread.submit(Judge, self._settings).result()
        return self

    def __exit__(self, *_: object) -> None:
        if self._busy and self._judge is not None:
            # The run was interrupted in the middle of an evaluation. Its workers die with what
            # started them, so that it ends now and not at its deadline.
            self._judge._launcher.close()
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    async def evaluate(self, problem: Problem, source: str) -> Evaluation:
        """See `Evaluator`."""
        return await self._run(lambda: self._evaluate(problem, source, self._settings))

    async def practise(self, problem: Problem, source: str, *, timed: bool) -> Evaluation:
        """See `Evaluator`."""
        settings = self._practice.model_copy(update={"timing": timed and self._settings.timing})
        return await self._run(lambda: self._evaluate(problem, source, settings))

    async def profile(self, problem: Problem, source: str) -> Profile:
        """See `Evaluator`."""
        return await self._run(lambda: self._profile(problem, source))

    async def facts(self, problem: Problem) -> ProblemFacts:
        """See `Evaluator`."""
        return await self._run(lambda: self._facts(problem))

    async def device(self) -> DeviceFacts:
        """See `Evaluator`."""
        if self._device is None:
            self._device = await self._run(self._measure_device)
        return self._device

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._counted, work)

    def _counted(self, work: Callable[[], T]) -> T:
        self._busy += 1
        try:
            return work()
        finally:
            self._busy -= 1

    # -------------------------------------------------------------------- on the judge's thread

    def _evaluate(self, problem: Problem, source: str, settings: Settings) -> Evaluation:
        assert self._judge is not None
        try:
            session = self._session(problem, settings)
            return self._judge.under(settings).evaluate(session, source)
        except Error:
            # What the problem's own process has died of may be gone with a fresh one.
            self._drop(problem)
            raise

    def _session(self, problem: Problem, settings: Settings) -> Session:
        assert self._judge is not None
        key = (problem.name, settings.model_dump_json())
        if key in self._sessions:
            self._sessions.move_to_end(key)
            return self._sessions[key][0]
        while len(self._sessions) >= _OPEN_SESSIONS:
            _, (_, oldest) = self._sessions.popitem(last=False)
            oldest.close()
        stack = contextlib.ExitStack()
        session = stack.enter_context(self._judge.under(settings).open(problem))
        self._sessions[key] = (session, stack)
        return session

    def _drop(self, problem: Problem) -> None:
        for key in [key for key in self._sessions if key[0] == problem.name]:
            self._sessions.pop(key)[1].close()

    def _profile(self, problem: Problem, source: str) -> Profile:
        service = "metalwright.search.profile_service:ProfileService"
        try:
            with self._worker(problem, service, confined=True) as (worker, folder):
                path = folder / "candidate.py"
                path.write_text(source, "utf-8")
                said = worker.request(
                    "profile",
                    self._settings.deadline,
                    "profiling the candidate",
                    folder=str(folder / "problem"),
                    path=str(path),
                    device=self._settings.device,
                )
        except (WorkerError, WorkerFailure, Error, OSError):
            # It is an extra for the prompt; the verdict has been given elsewhere.
            return Profile()
        return Profile(tuple(_kernel_times(said)), _gpu_summary(said))

    def _facts(self, problem: Problem) -> ProblemFacts:
        service = "metalwright.search.facts_service:FactsService"
        with self._worker(problem, service) as (worker, folder):
            said = worker.request(
                "facts",
                self._settings.deadline,
                "the problem is traced",
                folder=str(folder / "problem"),
                device=self._settings.device,
            )
        return ProblemFacts.model_validate(said)

    def _measure_device(self) -> DeviceFacts:
        assert self._judge is not None
        with exchange_folder() as folder:
            service = "metalwright.search.facts_service:FactsService"
            with self._judge.worker(service, folder) as worker:
                said = worker.request(
                    "device", 60.0, "the device is measured", device=self._settings.device
                )
        return DeviceFacts.model_validate(said)

    @contextlib.contextmanager
    def _worker(
        self, problem: Problem, service: str, *, confined: bool = False
    ) -> Iterator[tuple[Any, Path]]:
        assert self._judge is not None
        with exchange_folder() as root:
            folder = Path(tempfile.mkdtemp(dir=root))
            problem.write(folder / "problem")
            with (
                problem_failures(problem, "the problem is looked at", self._settings),
                self._judge.worker(service, folder, confined=confined) as worker,
            ):
                yield worker, folder

    def _close(self) -> None:
        for _, stack in self._sessions.values():
            stack.close()
        self._sessions.clear()
        if self._judge is not None:
            self._judge.__exit__(None, None, None)


def _kernel_times(said: Any) -> Iterator[KernelTime]:
    """What the candidate's worker claims; read as foreign data."""
    rows = said.get("kernels") if isinstance(said, dict) else None
    for row in rows[:_MAX_PROFILE_ROWS] if isinstance(rows, list) else ():
        match row:
            case [
                str(name),
                int() | float() as dispatches,
                int() | float() as seconds,
                [int(x), int(y), int(z)],
                [int(a), int(b), int(c)],
                int(memory),
                int(most),
            ]:
                grid, group = (x, y, z), (a, b, c)
                if min(*grid, *group, memory + 1, most) > 0:
                    share = float(dispatches), float(seconds)
                    yield KernelTime(name[:100], *share, grid, group, memory, most)


def _gpu_summary(said: Any) -> GpuSummary | None:
    match said:
        case {"gpu": {"reason": str(reason)}}:
            return GpuSummary(reason=reason[:300])
        case {
            "gpu": {
                "intervals": int() | float() as intervals,
                "busy": int() | float() as busy,
                "span": int() | float() as span,
                "medians": dict(medians),
            }
        }:
            named = {
                str(name)[:100]: float(seconds)
                for name, seconds in list(medians.items())[:_MAX_PROFILE_ROWS]
                if isinstance(seconds, int | float)
            }
            return GpuSummary(float(intervals), float(busy), float(span), named)
    return None
