"""The tools with which a model, or a person's own assistant, works on a problem by itself."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from metalwright.errors import Error
from metalwright.evaluation.model import Evaluation
from metalwright.generation.extraction import defines_model
from metalwright.generation.messages import Tool
from metalwright.generation.prompts import PromptSet
from metalwright.generation.static_look import look
from metalwright.problems import Problem
from metalwright.search.compile_check import check_metal
from metalwright.search.evaluator import Evaluator
from metalwright.search.facts import DeviceFacts, device_values
from metalwright.search.profile_text import profile_lines

NOTES = ("metal", "device", "contract")
_SOURCE = {"type": "string", "description": "The whole Python file that defines ModelNew."}


def _tool(name: str, description: str, **parameters: Any) -> Tool:
    schema = {"type": "object", "properties": parameters, "required": list(parameters)}
    return Tool(name=name, description=description, parameters=schema)


TOOLS = (
    _tool(
        "compile",
        "Compiles Metal source and returns its kernels with their arguments, or the diagnostics.",
        source={"type": "string", "description": "Metal Shading Language."},
    ),
    _tool(
        "run",
        "Compares a candidate with the original on one draw of practice inputs, without timing.",
        candidate=_SOURCE,
    ),
    _tool(
        "evaluate",
        "Compares a candidate with the original on practice inputs and times both side by side.",
        candidate=_SOURCE,
    ),
    _tool(
        "profile",
        "Says which kernels of a right candidate take how long on the device clock.",
        candidate=_SOURCE,
    ),
    _tool(
        "read_notes",
        f"Returns notes on one of: {', '.join(NOTES)}.",
        topic={"type": "string", "enum": list(NOTES)},
    ),
    _tool(
        "submit",
        "Hands a candidate to the judge, who compares it on secret inputs and times it. Counts.",
        candidate=_SOURCE,
    ),
)


@dataclass(frozen=True)
class ToolOutcome:
    """What a tool gave, as text for a model."""

    text: str
    is_error: bool = False


Submit = Callable[[str], Awaitable[ToolOutcome]]


class Toolbox:
    """The tools for one problem. What a submission means is the owner's to say."""

    def __init__(
        self,
        problem: Problem,
        evaluator: Evaluator,
        prompts: PromptSet,
        device: DeviceFacts,
        submit: Submit,
    ) -> None:
        self._problem = problem
        self._evaluator = evaluator
        self._prompts = prompts
        self._device = device
        self._submit = submit

    async def use(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """Runs a tool. What is wrong with the arguments is an outcome, not an exception.

        Raises:
            Error: ``problem-*``: the problem itself cannot be run.
        """
        tool = next((tool for tool in TOOLS if tool.name == name), None)
        if tool is None:
            names = ", ".join(tool.name for tool in TOOLS)
            return ToolOutcome(f"There is no tool {name!r}. Tools: {names}.", True)
        missing = [key for key in tool.parameters["required"] if key not in arguments]
        if missing:
            given = json.dumps(arguments)[:200]
            return ToolOutcome(f"{name} needs {', '.join(missing)}; it was given {given}", True)
        values = [str(arguments[key]) for key in tool.parameters["required"]]
        methods: dict[str, Callable[[str], Awaitable[ToolOutcome]]] = {
            "compile": self._compile,
            "run": self._run,
            "evaluate": self._evaluate,
            "profile": self._profile,
            "read_notes": self._read_notes,
            "submit": self._hand_in,
        }
        return await methods[name](*values)

    async def _compile(self, source: str) -> ToolOutcome:
        return ToolOutcome(*await check_metal(source, self._device.kind))

    async def _run(self, candidate: str) -> ToolOutcome:
        return await self._practise(candidate, timed=False)

    async def _evaluate(self, candidate: str) -> ToolOutcome:
        return await self._practise(candidate, timed=True)

    async def _practise(self, candidate: str, *, timed: bool) -> ToolOutcome:
        refused = refusal(candidate)
        if refused is not None:
            return refused
        evaluation = await self._evaluator.practise(self._problem, candidate, timed=timed)
        return ToolOutcome(self.describe(evaluation), not evaluation.correct)

    async def _profile(self, candidate: str) -> ToolOutcome:
        refused = refusal(candidate)
        if refused is not None:
            return refused
        profile = await self._evaluator.profile(self._problem, candidate)
        if not profile.kernels:
            return ToolOutcome("No kernel ran, or the candidate failed: use run first.", True)
        return ToolOutcome("\n".join(profile_lines(profile, self._device, None)))

    async def _read_notes(self, topic: str) -> ToolOutcome:
        if topic == "metal":
            return ToolOutcome(self._prompts.render("msl"))
        if topic == "device":
            rows = [f"{key}: {value}" for key, value in device_values(self._device).items()]
            return ToolOutcome("\n".join(rows))
        if topic == "contract":
            examples = ["reduction", "matmul"]
            return ToolOutcome(
                "\n\n".join(f"```python\n{self._prompts.example(name)}```" for name in examples)
            )
        return ToolOutcome(f"No notes on {topic!r}. Topics: {', '.join(NOTES)}.", True)

    async def _hand_in(self, candidate: str) -> ToolOutcome:
        refused = refusal(candidate)
        return refused if refused is not None else await self._submit(candidate)

    def describe(self, evaluation: Evaluation) -> str:
        """An evaluation as text for a model."""
        return self._prompts.feedback(evaluation)


def refusal(candidate: str) -> ToolOutcome | None:
    """Why a text need not be run at all."""
    if not defines_model(candidate):
        return ToolOutcome("This is not valid Python that defines class ModelNew.", True)
    refused = [f"line {r.line}: {r.message}" for r in look(candidate) if r.refused]
    return ToolOutcome("Not run: " + "; ".join(refused), True) if refused else None


def error_outcome(error: Error) -> ToolOutcome:
    """A user's error as an outcome."""
    return ToolOutcome(f"error[{error.code}]: {error}", True)
