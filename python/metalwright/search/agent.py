"""The strategy in which the model drives: it is given tools and decides what to try."""

from __future__ import annotations

from metalwright.generation.candidate import Candidate
from metalwright.generation.messages import Message, Part, Text, ToolCall, ToolResult, user_message
from metalwright.generation.prompts import cut_text
from metalwright.generation.static_look import find_kernels
from metalwright.search.briefing import Briefing, facts_values, with_newline
from metalwright.search.tools import TOOLS, Toolbox, ToolOutcome
from metalwright.search.workbench import Proposal, Workbench

# Tool results are sent again with every later turn.
_MAX_RESULT = 6_000


class Agent:
    """A conversation per model, one model after the other until the attempts are used up.

    Each turn is a call in a slot of its own and each tool's result a recorded decision, so a
    resumed conversation repeats nothing. A submission is an attempt.
    """

    async def run(self, bench: Workbench) -> str:
        """See `metalwright.search.strategies.Strategy`."""
        reason = "the models have stopped"
        for model in bench.models:
            reason = bench.stop_reason() or await self._converse(bench, model)
        return reason

    async def _converse(self, bench: Workbench, model: str) -> str:
        briefing = Briefing(bench)
        shared = bench.shared
        submitted = 0
        call_id: int | None = None
        slot = ""

        async def submit(source: str) -> ToolOutcome:
            nonlocal submitted
            if submitted >= bench.settings.attempts:
                return ToolOutcome("All submissions are used up.", True)
            submitted += 1
            candidate = Candidate(source, find_kernels(source), f"{model} (submitted)")
            proposal = Proposal(model, candidate, "submitted", call_id)
            attempt = await bench.evaluate(slot, proposal)
            left = bench.settings.attempts - submitted
            text = f"Attempt {attempt.number}. {toolbox.describe(attempt.evaluation)}"
            return ToolOutcome(f"{text}\n{left} submissions are left.")

        toolbox = Toolbox(bench.problem, shared.evaluator, shared.prompts, shared.device, submit)
        best = bench.best
        first = shared.prompts.render(
            "agent",
            problem={"name": bench.problem.name, "source": with_newline(bench.problem.source)},
            attempt=1,
            submissions=bench.settings.attempts,
            turns=bench.settings.turns,
            facts=facts_values(bench.facts, shared.device),
            baseline_seconds=None,
            context=await briefing.context(),
            best=None,
            others=[]
            if best is None or best.candidate is None
            else [
                {
                    "title": f"A starting point: attempt {best.number}",
                    "source": with_newline(best.candidate.source),
                    "feedback": shared.prompts.feedback(best.evaluation),
                }
            ],
        )
        messages = [user_message(first)]
        for turn in range(1, bench.settings.turns + 1):
            prefix = f"agent/{model}/{turn}"
            call = await bench.call(
                f"{prefix}/call", model, messages, "agent", briefing.system, TOOLS
            )
            answer, call_id = call.answer, call.id
            if answer.stop == "refusal":
                return f"{model} refused"
            if not answer.tool_calls:
                return f"{model} has stopped after {turn} turns"
            parts: list[Part] = []
            for index, wanted in enumerate(answer.tool_calls):
                slot = f"{prefix}/tool-{index}"
                parts.append(await self._use(bench, toolbox, slot, wanted))
            messages.append(Message(role="assistant", parts=answer.parts))
            left = bench.settings.turns - turn
            if left <= 3:
                parts.append(Text(text=f"{left} turns are left."))
            messages.append(Message(role="user", parts=tuple(parts)))
            stop = bench.stop_reason()
            if stop is not None:
                return stop
            if submitted >= bench.settings.attempts:
                return f"{submitted} candidates were submitted"
        return f"{bench.settings.turns} turns are over"

    async def _use(
        self, bench: Workbench, toolbox: Toolbox, slot: str, wanted: ToolCall
    ) -> ToolResult:
        """Runs a tool, once per slot.

        A submission always goes through the toolbox, so that the strategy knows of its attempt: the
        attempt's own slot keeps it from being judged again.
        """
        stored = bench.shared.journal.decision(bench.problem.name, slot)
        if stored is None or wanted.name == "submit":
            bench.shared.observer.stage(bench.problem.name, f"tool {wanted.name}")
            outcome = await toolbox.use(wanted.name, wanted.arguments)
            text = cut_text(outcome.text, _MAX_RESULT)
            stored = bench.decide(
                slot, "tool", {"name": wanted.name, "text": text, "is_error": outcome.is_error}
            )
        return ToolResult(id=wanted.id, text=stored["text"], is_error=stored["is_error"])
