"""A run from beginning to end: all its problems side by side, each with its strategy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio

from metalwright.errors import Error, user_error
from metalwright.evaluation.judge import generator_error, problem_error
from metalwright.generation.catalogue import Catalogue, load_catalogue
from metalwright.generation.client import Limiter, ModelClient, RetryPolicy
from metalwright.generation.generator import Generator
from metalwright.generation.messages import Text
from metalwright.generation.prompts import load_prompts
from metalwright.generation.provider import make_provider
from metalwright.problems import Problem
from metalwright.runs.journal import Journal
from metalwright.runs.rows import StoredAttempt
from metalwright.runs.store import RunStore
from metalwright.search.agent import Agent
from metalwright.search.budget import Budget, BudgetSpent
from metalwright.search.evaluator import Evaluator
from metalwright.search.facts import ProblemFacts
from metalwright.search.settings import Limits, SearchSettings
from metalwright.search.strategies import BestOf, Evolve, Refine, Strategy, Swarm
from metalwright.search.tuning import tune
from metalwright.search.workbench import (
    ModelUnavailable,
    Observer,
    Proposal,
    Shared,
    Workbench,
    offline_failed,
)

OFFLINE = "inductor"
_STRATEGIES: Mapping[str, type[Strategy]] = {
    "refine": Refine,
    "best-of": BestOf,
    "swarm": Swarm,
    "evolve": Evolve,
    "agent": Agent,
}


class Search:
    """One session of work on a run."""

    def __init__(
        self,
        store: RunStore,
        journal: Journal,
        evaluator: Evaluator,
        offline: Generator,
        observer: Observer,
        *,
        limits: Limits | None = None,
        policy: RetryPolicy | None = None,
    ) -> None:
        """Prepares to work on the run of `store`; `limits` replace those that the run began with.

        Raises:
            Error: ``no-such-provider``, ``no-key``, ``unknown-price``, ``bad-models-file``, ...
        """
        self._store = store
        self._journal = journal
        self._evaluator = evaluator
        self._offline = offline
        self._observer = observer
        self._policy = policy
        settings = SearchSettings.model_validate(store.config.search)
        if limits is not None:
            settings = settings.model_copy(update={"limits": limits})
        self.settings = settings
        folder = settings.prompts_folder
        self._prompts = load_prompts(Path(folder) if folder else None)
        models_file = settings.models_file
        self._catalogue = load_catalogue(Path(models_file) if models_file else None)
        check_prices(self._catalogue, settings)
        # The offline generator runs torch's compiler on all cores; several at a time gain nothing.
        self._offline_turn: anyio.Lock | None = None

    def run(self) -> None:
        """Works until every problem is finished or paused.

        Raises:
            KeyboardInterrupt: what was done is in the store.
        """
        with self._journal.session():
            self._restore_folders()
            asyncio.run(self._run())

    async def _run(self) -> None:
        self._offline_turn = anyio.Lock()
        clients = make_clients(self._catalogue, self.settings.models, self._policy)
        try:
            shared = Shared(
                self._journal,
                self.settings,
                self._store.config.settings,
                self._store.config.device,
                await self._evaluator.device(),
                self._prompts,
                clients,
                Budget(self.settings.limits, self._journal.spent()),
                self._evaluator,
                _Keeping(self._observer, self._store, self._journal),
            )
            places = anyio.Semaphore(self.settings.problems_at_once)

            async def one(name: str) -> None:
                async with places:
                    await self._problem(shared, name)

            with _first_error():
                async with anyio.create_task_group() as group:
                    for name in self._store.config.problems:
                        if self._journal.state(name)[0] != "finished":
                            group.start_soon(one, name)
        finally:
            for client in clients.values():
                await client.close()

    async def _problem(self, shared: Shared, name: str) -> None:
        """Works on one problem; whatever goes wrong with it is its own outcome."""
        problem = self._store.problem(name)
        bench = Workbench(shared, problem, None)
        try:
            bench.facts = await self._facts(problem)
            state, reason = await self._search(bench)
        except Error as error:
            evaluation = problem_error(
                problem, error, self._store.config.settings, self._store.config.device
            )
            slot = "problem"
            if self._journal.attempt(name, slot) is None:
                shared.observer.attempted(
                    self._journal.add_attempt(
                        name, slot, None, evaluation, model="", kind="problem"
                    )
                )
            state, reason = "finished", error.message
        winner = bench.winner()
        self._journal.set_state(name, state, reason, winner.number if winner else None)
        shared.observer.concluded(name, state, reason, bench.best, self._journal.spent(name))

    async def _search(self, bench: Workbench) -> tuple[str, str]:
        settings = self.settings
        state, reason = "finished", "the offline generator's candidate is judged"
        try:
            if settings.start_from_inductor or not settings.models:
                await self._offline_attempt(bench)
            if settings.models:
                reason = await _STRATEGIES[settings.strategy]().run(bench)
        except (BudgetSpent, ModelUnavailable) as error:
            # It can go on from here with a larger budget, or when the model answers again.
            state, reason = "paused", str(error)
        best = bench.best
        if settings.tune and best is not None and bench.stop_reason() is None:
            await tune(bench, best)
        return state, reason

    async def _offline_attempt(self, bench: Workbench) -> None:
        slot, name = "offline", bench.problem.name
        proposal = Proposal(OFFLINE, None, "", None)
        if self._journal.attempt(name, slot) is None:
            assert self._offline_turn is not None
            async with self._offline_turn:
                bench.shared.observer.stage(name, "generating offline")
                try:
                    candidate = await asyncio.to_thread(self._offline.generate, bench.problem)
                    proposal = Proposal(OFFLINE, candidate, "", None)
                except asyncio.CancelledError:
                    # The thread is waited for at the end; it must not go on for minutes.
                    self._offline.cancel()
                    raise
                except Error as error:
                    evaluation = generator_error(
                        bench.problem,
                        error,
                        self._store.config.settings,
                        self._store.config.device,
                    )
                    attempt = self._journal.add_attempt(
                        name, slot, None, evaluation, model=OFFLINE, kind="offline"
                    )
                    bench.shared.observer.attempted(attempt)
                    proposal = offline_failed(OFFLINE, error)
        await bench.evaluate(slot, proposal, kind="offline")

    async def _facts(self, problem: Problem) -> ProblemFacts:
        """Raises:
        Error: the problem cannot be run.
        """
        kept = self._journal.facts(problem.name)
        if kept is not None:
            return ProblemFacts.model_validate_json(kept)
        self._observer.stage(problem.name, "looking at the problem")
        facts = await self._evaluator.facts(problem)
        self._journal.set_facts(problem.name, facts.model_dump_json())
        return facts

    def _restore_folders(self) -> None:
        """Writes what a process did not come to write between the store and the folder."""
        for name in self._store.config.problems:
            for attempt in self._journal.attempts(name):
                if not self._store.has_attempt(name, attempt.number):
                    write_folder(self._store, self._journal, attempt)


def make_clients(
    catalogue: Catalogue, models: tuple[str, ...], policy: RetryPolicy | None = None
) -> dict[str, ModelClient]:
    """A client for each model; models of one endpoint share its limits.

    Raises:
        Error: ``no-such-provider``, ``no-key``, ``missing-package``.
    """
    limiters: dict[str, Limiter] = {}
    clients = {}
    for text in models:
        name = catalogue.parse(text)
        endpoint = catalogue.endpoint(name)
        limiter = limiters.setdefault(name.provider, Limiter(endpoint))
        provider = make_provider(catalogue, name)
        clients[str(name)] = ModelClient(name, catalogue.facts(name), provider, limiter, policy)
    return clients


def check_prices(catalogue: Catalogue, settings: SearchSettings) -> None:
    """A budget in money needs the price of every model.

    Raises:
        Error: ``unknown-price``.
    """
    if settings.limits.money is None:
        return
    for text in settings.models:
        name = catalogue.parse(text)
        if catalogue.facts(name).price is None:
            raise user_error("unknown-price", model=name)


def write_folder(store: RunStore, journal: Journal, attempt: StoredAttempt) -> None:
    """Writes an attempt's folder, with the prompt and the answer that it came of."""
    files = {}
    if attempt.call_id is not None:
        request, answer = journal.conversation(attempt.call_id)
        last = request.messages[-1].text
        files["prompt.md"] = f"{request.system}\n\n---\n\n{last}"
        words = [part.text for part in answer.parts if isinstance(part, Text)]
        files["answer.md"] = "".join(words)
    store.add_attempt(attempt.problem, attempt.candidate, attempt.evaluation, attempt.number, files)


class _Keeping:
    """An observer that writes each attempt's folder before it tells the other one."""

    def __init__(self, inner: Observer, store: RunStore, journal: Journal) -> None:
        self._inner = inner
        self._store = store
        self._journal = journal
        self.stage = inner.stage
        self.called = inner.called
        self.concluded = inner.concluded

    def attempted(self, attempt: StoredAttempt) -> None:
        write_folder(self._store, self._journal, attempt)
        self._inner.attempted(attempt)


@contextlib.contextmanager
def _first_error() -> Iterator[None]:
    """A task group raises groups of errors; what has gone wrong first is what counts."""
    try:
        yield
    except BaseException as error:
        while hasattr(error, "exceptions"):
            error = error.exceptions[0]
        raise error from None
