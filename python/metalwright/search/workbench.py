"""What a strategy works with: one problem, its attempts, effects that are done once per slot."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from metalwright.errors import Error, user_error
from metalwright.evaluation.judge import generator_error
from metalwright.evaluation.model import SAME_SPEED, DeviceReport, Flag, Settings
from metalwright.generation.candidate import Candidate
from metalwright.generation.client import ModelClient, Try
from metalwright.generation.extraction import Unparsable, extract
from metalwright.generation.failures import ProviderError
from metalwright.generation.messages import (
    Message,
    Request,
    Text,
    Tool,
    estimate_tokens,
    user_message,
)
from metalwright.generation.prompts import PromptSet
from metalwright.generation.static_look import find_kernels, look
from metalwright.problems import Problem
from metalwright.runs.journal import Journal
from metalwright.runs.rows import Spent, StoredAttempt, StoredCall
from metalwright.search.budget import Budget, BudgetSpent, Reservation
from metalwright.search.evaluator import Evaluator
from metalwright.search.facts import DeviceFacts, ProblemFacts, floor_seconds
from metalwright.search.settings import SearchSettings


class ModelUnavailable(Exception):
    """A model has failed for good, as far as this session can tell."""

    def __init__(self, model: str, error: ProviderError) -> None:
        super().__init__(f"{model}: {error.message} ({error.kind})")
        self.model = model
        self.error = error


class Observer(Protocol):
    """Is told what a search is doing."""

    def stage(self, problem: str, text: str) -> None:
        """The problem has reached a stage."""

    def attempted(self, attempt: StoredAttempt) -> None:
        """An attempt is in the store."""

    def called(self, problem: str, model: str, budget: Budget) -> None:
        """A call has ended."""

    def concluded(
        self, problem: str, state: str, reason: str, best: StoredAttempt | None, spent: Spent
    ) -> None:
        """The search for one problem has ended, or is paused; so much was spent on it."""


@dataclass(frozen=True)
class Proposal:
    """What came of asking a model for a candidate."""

    model: str
    candidate: Candidate | None
    reason: str
    """Why there is no candidate; else how it was found."""
    call_id: int | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shared:
    """What all problems of a run have in common."""

    journal: Journal
    settings: SearchSettings
    judge_settings: Settings
    device_report: DeviceReport
    device: DeviceFacts
    prompts: PromptSet
    clients: Mapping[str, ModelClient]
    budget: Budget
    evaluator: Evaluator
    observer: Observer


class Workbench:
    """One problem of a run. See docs/design/search.md for what a slot is."""

    def __init__(self, shared: Shared, problem: Problem, facts: ProblemFacts | None) -> None:
        self.shared = shared
        self.problem = problem
        self.facts = facts
        self.settings = shared.settings
        self.models: list[str] = list(shared.clients)
        self._attempts: dict[str, StoredAttempt] = {}
        """Those that the strategy has been given, by slot; later ones of a resumed run do not
        count yet."""

    # ------------------------------------------------------------------------------ looking back

    @property
    def attempts(self) -> list[StoredAttempt]:
        """The attempts that the strategy knows of, by number."""
        return sorted(self._attempts.values(), key=lambda attempt: attempt.number)

    @property
    def best(self) -> StoredAttempt | None:
        """The fastest correct attempt so far, of those whose time is believed."""
        correct = [attempt for attempt in self.attempts if attempt.evaluation.rankable]
        return max(correct, key=lambda attempt: attempt.rank, default=None)

    def random(self, slot: str) -> random.Random:
        """Random numbers that are the same whenever this slot is reached."""
        return random.Random(f"{self.settings.seed}/{self.problem.name}/{slot}")

    def stop_reason(self) -> str | None:
        """Why nothing more is to be tried, if that is so."""
        best = self.best
        timing = best.evaluation.timing if best else None
        if best is None or timing is None or Flag.NOISY_TIMING in best.evaluation.flags:
            return None
        target = self.settings.target_ratio
        if target is not None and timing.ratio.low >= target:
            return f"attempt {best.number} is {timing.ratio.median:.3g} times as fast"
        share = self.settings.target_roofline
        floor = floor_seconds(self.facts, self.shared.device) if self.facts else None
        seconds = timing.device_seconds or timing.candidate_seconds.median
        if share is not None and floor is not None and floor >= share * seconds:
            return f"attempt {best.number} runs at {floor / seconds:.0%} of the roofline"
        return None

    # ------------------------------------------------------------------------------ effects

    def decide(self, slot: str, kind: str, content: Any) -> Any:
        """Records a decision; when the slot is reached again, what was decided first counts."""
        return self.shared.journal.decide(self.problem.name, slot, kind, content)

    async def call(
        self,
        slot: str,
        model: str,
        messages: Sequence[Message],
        purpose: str,
        system: str,
        tools: Sequence[Tool] = (),
    ) -> StoredCall:
        """Has a model answer, once per slot.

        Raises:
            BudgetSpent, ModelUnavailable.
        """
        journal, name = self.shared.journal, self.problem.name
        stored = journal.answer(name, slot)
        if stored is not None:
            return stored
        client = self.shared.clients[model]
        request = Request(
            model=model,
            system=system,
            messages=tuple(messages),
            tools=tuple(tools),
            max_tokens=min(self.settings.max_tokens, client.facts.max_output),
            effort=self.settings.effort,
            temperature=self.settings.temperature,
        )
        prompts = self.shared.prompts.hash
        if self.settings.reuse:
            served = journal.serve_call(name, slot, purpose, request, prompts)
            if served is not None:
                return served
        # Counting is a request of its own; without a limit the estimate is enough for the record.
        limits = self.settings.limits
        limited = limits.money is not None or limits.tokens is not None
        counted = await client.count_tokens(request) if limited else estimate_tokens(request)
        prompt_tokens = counted.tokens
        most = client.facts.most(prompt_tokens, request.max_tokens)
        most_tokens = prompt_tokens + request.max_tokens

        def begin() -> int:
            self.shared.observer.stage(name, f"{purpose}: {model}")
            return journal.begin_call(name, slot, purpose, request, prompts, most, most_tokens)

        tries = _Tries(journal, self.shared.budget, client, begin, (most, most_tokens))
        try:
            answer = await client.complete(request, tries)
        except ProviderError as error:
            tries.fail(error)
            raise ModelUnavailable(model, error) from None
        except BudgetSpent as error:
            tries.fail(ProviderError("timeout", str(error)))
            raise
        finally:
            tries.release()
            self.shared.observer.called(name, model, self.shared.budget)
        return journal.finish_call(tries.call_id, answer)

    async def propose(
        self, slot: str, model: str, prompt: str, system: str, parent: str | None = None
    ) -> Proposal:
        """Asks a model for a candidate; sends an answer without one back to be repaired.

        Raises:
            BudgetSpent, ModelUnavailable.
        """
        messages = [user_message(prompt)]
        reason = ""
        for number in range(self.settings.repairs + 1):
            step = f"{slot}/repair-{number}" if number else f"{slot}/call"
            call = await self.call(step, model, messages, "repair" if number else "attempt", system)
            answer = call.answer
            if answer.stop == "refusal":
                detail = f": {answer.stop_detail}" if answer.stop_detail else ""
                return Proposal(model, None, f"the model refused{detail}", call.id)
            try:
                found = extract(answer.text, parent, truncated=answer.stop == "length")
            except Unparsable as error:
                reason = str(error)
            else:
                remarks = look(found.source)
                refused = [f"line {r.line}: {r.message}" for r in remarks if r.refused]
                if not refused:
                    candidate = Candidate(
                        found.source, find_kernels(found.source), f"{model} ({found.rule})"
                    )
                    notes = tuple(f"line {r.line}: {r.message}" for r in remarks)
                    return Proposal(model, candidate, found.rule, call.id, notes)
                reason = "; ".join(refused)
            text = self.shared.prompts.render("repair", number=number + 1, reason=reason)
            messages += [
                # An empty turn is refused by the providers.
                Message(role="assistant", parts=(Text(text=answer.text.strip() or "(nothing)"),)),
                user_message(text),
            ]
        return Proposal(model, None, reason, call.id)

    async def evaluate(
        self,
        slot: str,
        proposal: Proposal,
        *,
        kind: str = "proposal",
        parents: Sequence[StoredAttempt] = (),
    ) -> StoredAttempt:
        """Has a proposal judged, once per slot, and keeps it as an attempt.

        Raises:
            Error: ``problem-*``: the problem itself cannot be run.
        """
        journal, name = self.shared.journal, self.problem.name
        stored = journal.attempt(name, slot)
        if stored is None:
            candidate = proposal.candidate
            if candidate is None:
                error = user_error("no-candidate", model=proposal.model, reason=proposal.reason)
                evaluation = generator_error(
                    self.problem, error, self.shared.judge_settings, self.shared.device_report
                )
            else:
                same = journal.same_source(name, candidate.source)
                if same is not None:
                    # Judging the same text again would tell nothing new.
                    evaluation = same.evaluation
                else:
                    self.shared.observer.stage(name, f"evaluating {proposal.model}")
                    evaluation = await self.shared.evaluator.evaluate(
                        self.problem, candidate.source
                    )
            stored = journal.add_attempt(
                name,
                slot,
                candidate,
                evaluation,
                model=proposal.model,
                kind=kind,
                parents=tuple(parent.number for parent in parents),
                call_id=proposal.call_id,
            )
            self.shared.observer.attempted(stored)
        self._attempts[slot] = stored
        return stored

    async def attempt(
        self,
        slot: str,
        model: str,
        prompt: str,
        system: str,
        parents: Sequence[StoredAttempt] = (),
    ) -> StoredAttempt:
        """Asks for a candidate and has it judged."""
        # If the answer is a list of changes, they are changes to the first parent.
        sources = [parent.candidate.source for parent in parents if parent.candidate]
        parent = sources[0] if sources else None
        proposal = await self.propose(slot, model, prompt, system, parent)
        return await self.evaluate(slot, proposal, parents=parents)

    def winner(self) -> StoredAttempt | None:
        """The attempt that replaces the original; None: the original is as good or better.

        Its whole interval has to be beyond what identical code can seem to gain.
        """
        best = self.best
        timing = best.evaluation.timing if best else None
        if best is None or timing is None:
            return None
        noisy = Flag.NOISY_TIMING in best.evaluation.flags
        return best if timing.ratio.low > SAME_SPEED and not noisy else None


class _Tries:
    """Begins the call when its turn has come, keeps each try's account, minds the budget.

    A call that waits for its turn is not begun: if the process dies then, nothing is lost.
    """

    def __init__(
        self,
        journal: Journal,
        budget: Budget,
        client: ModelClient,
        begin: Callable[[], int],
        most: tuple[float | None, int],
    ) -> None:
        self._journal = journal
        self._budget = budget
        self._client = client
        self._begin = begin
        self._most = most
        self._reservation: Reservation | None = None
        self.call_id = 0

    async def before(self) -> None:
        if self._reservation is None:
            self._reservation = await self._budget.reserve(*self._most)
            self.call_id = self._begin()
        self._budget.check()

    def after(self, attempt: Try) -> None:
        cost = self._client.facts.cost(attempt.usage)
        self._journal.add_try(self.call_id, attempt, cost)
        self._budget.use(cost, attempt.usage.total)

    def fail(self, error: ProviderError) -> None:
        if self.call_id:
            self._journal.fail_call(self.call_id, error)

    def release(self) -> None:
        if self._reservation is not None:
            self._budget.release(self._reservation)


def offline_failed(model: str, error: Error) -> Proposal:
    """The proposal of an offline generator that gave none."""
    return Proposal(model, None, error.message, None)
