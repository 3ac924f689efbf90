"""The Model Context Protocol server: the agent's tools for a person's own assistant."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import mcp.types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from metalwright.errors import Error, user_error
from metalwright.evaluation.judge import describe_device
from metalwright.evaluation.model import Settings
from metalwright.generation.candidate import Candidate
from metalwright.generation.prompts import load_prompts
from metalwright.generation.static_look import find_kernels
from metalwright.problems import BrokenProblem, Problem, load_suite
from metalwright.runs import RunConfig, RunStore, describe_machine
from metalwright.runs.journal import Journal
from metalwright.runs.machine import describe_versions
from metalwright.search.briefing import system_prompt, task_prompt
from metalwright.search.evaluator import Evaluator, JudgeEvaluator
from metalwright.search.tools import TOOLS, Toolbox, ToolOutcome, error_outcome

MODEL = "mcp"
_PROBLEM = {"type": "string", "description": "A problem's name; see list_problems."}


class Workshop:
    """The problems on offer, and the run that submissions go into."""

    def __init__(
        self,
        problems: Sequence[Problem],
        settings: Settings,
        evaluator: Evaluator,
        output: Path,
    ) -> None:
        self.problems = {problem.name: problem for problem in problems}
        self._evaluator = evaluator
        self._prompts = load_prompts()
        self._report = describe_device(settings.device)
        config = RunConfig(
            name="mcp",
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            generator=MODEL,
            settings=settings,
            problems=tuple(self.problems),
            device=self._report,
            machine=describe_machine(),
            versions=describe_versions(),
        )
        self.store = RunStore.create(output, config, problems)
        self.journal = Journal.create(
            self.store.folder,
            config.name,
            config.created,
            config.model_dump_json(),
            list(config.problems),
        )

    async def use(self, name: str, arguments: Mapping[str, Any]) -> ToolOutcome:
        """Runs a tool; whatever is wrong is an outcome."""
        try:
            if name == "list_problems":
                return ToolOutcome("\n".join(self.problems) or "There are none.")
            device = await self._evaluator.device()
            if name in ("compile", "read_notes"):
                # About no problem in particular.
                any_problem = next(iter(self.problems.values()), Problem("none", ""))
                toolbox = Toolbox(
                    any_problem, self._evaluator, self._prompts, device, self._no_submission
                )
                return await toolbox.use(name, dict(arguments))
            problem = self._problem(arguments)
            if name == "show_problem":
                return ToolOutcome(await self._brief(problem))

            async def submit(source: str) -> ToolOutcome:
                return await self._submit(problem, source, toolbox)

            toolbox = Toolbox(problem, self._evaluator, self._prompts, device, submit)
            return await toolbox.use(name, {k: v for k, v in arguments.items() if k != "problem"})
        except Error as error:
            return error_outcome(error)

    def _problem(self, arguments: Mapping[str, Any]) -> Problem:
        problem = self.problems.get(str(arguments.get("problem", "")))
        if problem is None:
            raise user_error(
                "bad-option",
                option="problem",
                reason=f"{arguments.get('problem')!r} is none of {', '.join(self.problems)}",
            )
        return problem

    async def _brief(self, problem: Problem) -> str:
        facts, device = await self._evaluator.facts(problem), await self._evaluator.device()
        return "\n".join(
            [
                system_prompt(self._prompts, device, facts),
                task_prompt(self._prompts, problem, facts, device, attempt=1, instruction="first"),
            ]
        )

    async def _submit(self, problem: Problem, source: str, toolbox: Toolbox) -> ToolOutcome:
        evaluation = await self._evaluator.evaluate(problem, source)
        number = len(self.journal.attempts(problem.name)) + 1
        candidate = Candidate(source, find_kernels(source), "an assistant, over MCP")
        attempt = self.journal.add_attempt(
            problem.name, f"mcp/{number}", candidate, evaluation, model=MODEL, kind="proposal"
        )
        self.store.add_attempt(problem.name, candidate, evaluation, attempt.number)
        return ToolOutcome(
            f"Attempt {attempt.number}. {toolbox.describe(evaluation)}\n"
            f"Kept in {self.store.folder}.",
            not evaluation.correct,
        )

    async def _no_submission(self, source: str) -> ToolOutcome:
        return ToolOutcome("Name a problem.", True)


def tool_list() -> list[types.Tool]:
    """The tools as the protocol describes them."""
    listed = [
        types.Tool(
            name="list_problems",
            description="Names the problems on offer.",
            input_schema={"type": "object", "properties": {}},
        ),
        types.Tool(
            name="show_problem",
            description="A problem's module, shapes and operators, and how a candidate is written.",
            input_schema={
                "type": "object",
                "properties": {"problem": _PROBLEM},
                "required": ["problem"],
            },
        ),
    ]
    for tool in TOOLS:
        schema = dict(tool.parameters)
        if tool.name not in ("compile", "read_notes"):
            schema["properties"] = {"problem": _PROBLEM, **schema["properties"]}
            schema["required"] = ["problem", *schema["required"]]
        listed.append(types.Tool(name=tool.name, description=tool.description, input_schema=schema))
    return listed


def make_server(workshop: Workshop) -> Server[Any]:
    """The protocol's server over a workshop."""
    # Evaluations share one device: a client that asks for two at once gets them in turn.
    turn = anyio.Lock()

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tool_list())

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        async with turn:
            outcome = await workshop.use(params.name, params.arguments or {})
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=outcome.text)], is_error=outcome.is_error
        )

    return Server(
        "metalwright",
        instructions="Write fast Metal kernels for PyTorch modules. Begin with list_problems and "
        "show_problem; evaluate candidates, then submit the best.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def serve(
    paths: Sequence[Path], overrides: Mapping[str, str], settings: Settings, output: Path
) -> None:
    """Serves on standard input and output until the client closes them.

    Raises:
        Error: a problem file is wrong; ``unwritable-run``.
    """
    problems = []
    for problem in load_suite(list(paths), dict(overrides), (), ()) if paths else ():
        if isinstance(problem, BrokenProblem):
            raise problem.error
        problems.append(problem)
    with JudgeEvaluator(settings) as evaluator:
        workshop = Workshop(problems, settings, evaluator, output)
        anyio.run(_serve, make_server(workshop))


async def _serve(server: Server[Any]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
