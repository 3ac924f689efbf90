"""What a model is told: prompts put together from a problem, its attempts and the extra context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from metalwright.generation.prompts import PromptSet
from metalwright.problems import Problem
from metalwright.runs.rows import StoredAttempt
from metalwright.search.facts import (
    DeviceFacts,
    ProblemFacts,
    device_values,
    fitting_examples,
    floor_seconds,
)
from metalwright.search.profile_text import profile_lines
from metalwright.search.workbench import Workbench

Instruction = Literal["first", "start", "fix", "faster", "regressed", "round", "mutate", "cross"]


def system_prompt(prompts: PromptSet, device: DeviceFacts, facts: ProblemFacts | None) -> str:
    """The part that is the same for all attempts at a problem, and is cached."""
    examples = fitting_examples(facts.signature if facts else None)
    return prompts.render(
        "system",
        device=device_values(device),
        examples=[prompts.example(name) for name in examples],
    )


def task_prompt(
    prompts: PromptSet,
    problem: Problem,
    facts: ProblemFacts | None,
    device: DeviceFacts,
    *,
    attempt: int,
    instruction: Instruction,
    context: Sequence[dict[str, str]] = (),
    baseline_seconds: float | None = None,
    best: dict[str, Any] | None = None,
    others: Sequence[dict[str, Any]] = (),
    focus: str = "",
) -> str:
    """The part that is about one attempt."""
    return prompts.render(
        "task",
        problem={"name": problem.name, "source": with_newline(problem.source)},
        attempt=attempt,
        facts=facts_values(facts, device),
        baseline_seconds=baseline_seconds,
        context=list(context),
        best=best,
        others=list(others),
        focus=focus,
        instruction=prompts.render("instruction", kind=instruction).strip(),
    )


def facts_values(facts: ProblemFacts | None, device: DeviceFacts) -> dict[str, Any] | None:
    """What templates are given as ``facts``."""
    if facts is None:
        return None
    return {**facts.model_dump(), "floor_seconds": floor_seconds(facts, device)}


def with_newline(source: str) -> str:
    """The text with a newline at its end, as a fenced block needs it."""
    return source if source.endswith("\n") else source + "\n"


class Briefing:
    """Writes the prompts of one problem's search."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._prompts = bench.shared.prompts
        self.system = system_prompt(self._prompts, bench.shared.device, bench.facts)

    async def task(
        self,
        attempt: int,
        instruction: Instruction,
        *,
        best: StoredAttempt | None = None,
        others: Sequence[tuple[str, StoredAttempt]] = (),
        focus: str = "",
    ) -> str:
        """The prompt of an attempt; `others` are shown with their titles."""
        bench = self._bench
        timings = [a.evaluation.timing for a in bench.attempts if a.evaluation.timing]
        return task_prompt(
            self._prompts,
            bench.problem,
            bench.facts,
            bench.shared.device,
            attempt=attempt,
            instruction=instruction,
            context=await self.context(),
            baseline_seconds=timings[-1].baseline_seconds.median if timings else None,
            best=None if best is None else await self._shown(best),
            others=[{**await self._shown(a), "title": title} for title, a in others],
            focus=focus,
        )

    async def context(self) -> list[dict[str, str]]:
        """What the user and earlier runs give besides; recorded, so that resuming says the same."""
        bench = self._bench
        given = bench.settings.context
        blocks = [
            {"title": title, "text": text}
            for name in ("*", bench.problem.name)
            for title, text in given.get(name, {}).items()
        ]
        if bench.settings.neighbours and bench.facts is not None:
            found = bench.shared.journal.decision(bench.problem.name, "neighbours")
            if found is None:
                from metalwright.search.neighbours import find_neighbours

                found = [
                    neighbour.block()
                    for neighbour in find_neighbours(
                        bench.shared.journal,
                        bench.facts,
                        bench.settings.neighbours,
                        bench.shared.device_report.kind,
                    )
                ]
                bench.decide("neighbours", "context", found)
            blocks += found
        return blocks

    async def _shown(self, attempt: StoredAttempt) -> dict[str, Any]:
        source = attempt.candidate.source if attempt.candidate else ""
        return {
            "number": attempt.number,
            "summary": attempt.evaluation.summary,
            "source": with_newline(source) if source else "",
            "feedback": self._prompts.feedback(
                attempt.evaluation, await self._profile_lines(attempt)
            ),
        }

    async def _profile_lines(self, attempt: StoredAttempt) -> list[str]:
        """Where a right candidate's time goes, measured once and recorded."""
        bench = self._bench
        if (
            not bench.settings.profile
            or not attempt.evaluation.correct
            or attempt.candidate is None
            or attempt.evaluation.timing is None
        ):
            return []
        slot = f"profile/{attempt.slot}"
        lines = bench.shared.journal.decision(bench.problem.name, slot)
        if lines is None:
            found = await bench.shared.evaluator.profile(bench.problem, attempt.candidate.source)
            lines = bench.decide(
                slot, "profile", profile_lines(found, bench.shared.device, bench.facts)
            )
        return list(lines)
