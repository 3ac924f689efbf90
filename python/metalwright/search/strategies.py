"""The strategies but `agent`: refine, best-of, swarm, evolve. Each is a coroutine over slots."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import anyio

from metalwright.runs.rows import StoredAttempt
from metalwright.search.briefing import Briefing, Instruction
from metalwright.search.workbench import ModelUnavailable, Workbench


class Strategy(Protocol):
    """A way to seek candidates for one problem."""

    async def run(self, bench: Workbench) -> str:
        """Makes attempts; returns why it has stopped.

        Raises:
            BudgetSpent, ModelUnavailable: it can go on later from where it is.
            Error: ``problem-*``.
        """
        ...


class Refine:
    """k attempts one after the other, each with what was found out about the last and the best."""

    def __init__(self, first: int = 1) -> None:
        self._first = first

    async def run(self, bench: Workbench) -> str:
        """See `Strategy`."""
        briefing = Briefing(bench)
        last = bench.attempts[-1] if bench.attempts else None
        for number in range(self._first, bench.settings.attempts + 1):
            reason = bench.stop_reason()
            if reason is not None:
                return reason
            # Several models take turns: one often sees what another does not.
            model = bench.models[(number - 1) % len(bench.models)]
            prompt = await _refining(bench, briefing, number, last)
            parents = _distinct(last, bench.best)
            last = await bench.attempt(f"refine/{number}", model, prompt, briefing.system, parents)
        return bench.stop_reason() or f"{bench.settings.attempts} attempts are made"


class BestOf:
    """n independent first candidates, the best of which is refined."""

    async def run(self, bench: Workbench) -> str:
        """See `Strategy`."""
        briefing = Briefing(bench)
        samples = min(bench.settings.samples, bench.settings.attempts)
        start = bench.best
        prompt = await briefing.task(1, "start" if start else "first", best=start)
        await _together(
            bench,
            [
                (
                    f"best-of/sample-{number}",
                    bench.models[(number - 1) % len(bench.models)],
                    prompt,
                    (),
                )
                for number in range(1, samples + 1)
            ],
            briefing.system,
        )
        return await Refine(first=samples + 1).run(bench)


class Swarm:
    """All models side by side; between rounds each sees the best and why the others fell short."""

    async def run(self, bench: Workbench) -> str:
        """See `Strategy`."""
        briefing = Briefing(bench)
        latest: list[StoredAttempt] = []
        for number in range(1, bench.settings.attempts + 1):
            reason = bench.stop_reason()
            if reason is not None:
                return reason
            best = bench.best
            others = [
                (f"{attempt.model}: attempt {attempt.number}", attempt)
                for attempt in latest
                if best is None or attempt.number != best.number
            ]
            kind: Instruction = "round" if latest else ("start" if best else "first")
            prompt = await briefing.task(number, kind, best=best, others=others)
            parents = _distinct(best, *latest)
            latest = await _together(
                bench,
                [(f"swarm/{number}/{model}", model, prompt, parents) for model in bench.models],
                briefing.system,
            )
        return bench.stop_reason() or f"{bench.settings.attempts} rounds are over"


class Evolve:
    """Islands of candidates in cells by approach and speed; parents are drawn, and crossed.

    A cell holds the fastest right candidate of an approach: how many kernels it has, and whether it
    uses threadgroup memory, simdgroup functions or matrices. So a slow new idea is not driven out
    by a polished old one (quality diversity: Mouret and Clune, 2015).
    """

    async def run(self, bench: Workbench) -> str:
        """See `Strategy`."""
        briefing = Briefing(bench)
        islands: list[dict[str, StoredAttempt]] = [{} for _ in range(bench.settings.islands)]
        seeds = list(bench.attempts)
        for island in islands:
            for attempt in seeds:
                _settle(island, attempt)
        for generation in range(1, bench.settings.attempts + 1):
            reason = bench.stop_reason()
            if reason is not None:
                return reason
            plans = []
            for index, island in enumerate(islands):
                slot = f"evolve/{generation}/{index}"
                plans.append(await self._plan(bench, briefing, slot, generation, index, island))
            made = await _together(bench, plans, briefing.system)
            for attempt in made:
                _settle(islands[int(attempt.slot.split("/")[2])], attempt)
            if generation % _MIGRATE == 0:
                _migrate(islands)
        return bench.stop_reason() or f"{bench.settings.attempts} generations are over"

    async def _plan(
        self,
        bench: Workbench,
        briefing: Briefing,
        slot: str,
        generation: int,
        index: int,
        island: dict[str, StoredAttempt],
    ) -> tuple[str, str, str, Sequence[StoredAttempt]]:
        random = bench.random(slot)
        model = bench.models[(generation + index) % len(bench.models)]
        cells = [island[cell] for cell in sorted(island)]
        correct = [attempt for attempt in cells if attempt.evaluation.correct]
        if not correct:
            failed = cells[-1] if cells else None
            prompt = await briefing.task(
                generation,
                "fix" if failed else "first",
                others=[("The last attempt", failed)] if failed else [],
                focus=_FOCUS[index % len(_FOCUS)],
            )
            return slot, model, prompt, _distinct(failed)
        # Fast ones are drawn more often, slow ones are not left out.
        first = random.choices(correct, [attempt.ratio + 0.1 for attempt in correct])[0]
        second = random.choice(correct)
        if second.number != first.number and random.random() < _CROSSOVER:
            prompt = await briefing.task(
                generation,
                "cross",
                others=[(f"Candidate {a.number}", a) for a in (first, second)],
            )
            return slot, model, prompt, (first, second)
        prompt = await briefing.task(generation, "mutate", best=first, focus=random.choice(_FOCUS))
        return slot, model, prompt, (first,)


_MIGRATE = 3
_CROSSOVER = 0.5
_FOCUS = (
    "Attend to memory: fewer passes over the data, wider accesses.",
    "Attend to the division of work: what a thread, a simdgroup and a threadgroup each do.",
    "Attend to fusion: fewer kernels, nothing written that is read back at once.",
    "Attend to arithmetic: cheaper formulas that are as exact, work that is done only once.",
)


def approach(attempt: StoredAttempt) -> str:
    """The archive cell that a candidate belongs to, but for its speed."""
    kernels = attempt.candidate.kernels if attempt.candidate else {}
    text = "\n".join(kernels.values())
    traits = [
        name
        for name, words in (
            ("threadgroup", ("threadgroup float", "threadgroup half", "threadgroup_barrier")),
            ("simd", ("simd_sum", "simd_max", "simd_shuffle", "simd_min")),
            ("matrix", ("simdgroup_matrix", "simdgroup_float8x8", "simdgroup_half8x8")),
            ("vector", ("float4", "half4", "float2")),
        )
        if any(word in text for word in words)
    ]
    return f"{min(len(kernels), 4)}:{'+'.join(traits)}"


def _settle(island: dict[str, StoredAttempt], attempt: StoredAttempt) -> None:
    """Puts an attempt into its cell if it is better than what is there."""
    if attempt.candidate is None:
        return
    cell = approach(attempt) if attempt.evaluation.correct else "failed"
    there = island.get(cell)
    if there is None or cell == "failed" or attempt.ratio > there.ratio:
        island[cell] = attempt


def _migrate(islands: list[dict[str, StoredAttempt]]) -> None:
    """Each island's best goes to the next one."""
    bests = [max(island.values(), key=lambda a: a.ratio, default=None) for island in islands]
    for index, best in enumerate(bests):
        if best is not None and best.evaluation.correct:
            _settle(islands[(index + 1) % len(islands)], best)


async def _refining(
    bench: Workbench, briefing: Briefing, number: int, last: StoredAttempt | None
) -> str:
    best = bench.best
    if last is None:
        return await briefing.task(number, "first")
    title = f"The last attempt: attempt {last.number}"
    if best is not None and last.number == best.number:
        kind: Instruction = "start" if last.kind == "offline" else "faster"
        return await briefing.task(number, kind, best=best)
    kind = "regressed" if last.evaluation.correct else "fix"
    return await briefing.task(number, kind, best=best, others=[(title, last)])


async def _together(
    bench: Workbench,
    plans: Sequence[tuple[str, str, str, Sequence[StoredAttempt]]],
    system: str,
) -> list[StoredAttempt]:
    """Makes attempts side by side: (slot, model, prompt, parents) each.

    A model that fails for good is out of this slot; the others go on. If all have failed, the
    problem is paused.
    """
    made: dict[str, StoredAttempt] = {}
    stops: list[Exception] = []
    failures: list[ModelUnavailable] = []

    async def one(slot: str, model: str, prompt: str, parents: Sequence[StoredAttempt]) -> None:
        try:
            if bench.shared.journal.decision(bench.problem.name, f"{slot}/failed") is None:
                made[slot] = await bench.attempt(slot, model, prompt, system, parents)
        except ModelUnavailable as error:
            failures.append(error)
            failed_slots.append(slot)
        except Exception as error:
            # Raised below: the others' answers are paid for and are to be kept.
            stops.append(error)

    failed_slots: list[str] = []
    await run_all([lambda plan=plan: one(*plan) for plan in plans])  # type: ignore[misc]
    if stops:
        raise stops[0]
    if failures and not made:
        raise failures[0]
    for slot, error in zip(failed_slots, failures, strict=True):
        bench.decide(f"{slot}/failed", "model-failed", str(error))
    return [made[plan[0]] for plan in plans if plan[0] in made]


async def run_all(work: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Runs coroutines side by side until all have ended."""
    async with anyio.create_task_group() as group:
        for item in work:
            group.start_soon(item)


def _distinct(*attempts: StoredAttempt | None) -> tuple[StoredAttempt, ...]:
    found: dict[int, StoredAttempt] = {}
    for attempt in attempts:
        if attempt is not None:
            found.setdefault(attempt.number, attempt)
    return tuple(found.values())
