"""Launch parameters of a right candidate, sought without a model.

What may be varied: the constants that the candidate lists in ``TUNABLE``, and literal
``group_size=`` arguments of kernel calls. Each combination is judged like any candidate, so a value
that breaks the kernel is only a lost trial.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metalwright.errors import Error
from metalwright.evaluation.model import Evaluation, Flag
from metalwright.generation.candidate import Candidate
from metalwright.generation.static_look import find_kernels
from metalwright.problems.source import override_constants
from metalwright.runs.rows import StoredAttempt
from metalwright.search.workbench import Proposal, Workbench

_GROUP_SIZES = (32, 64, 128, 256, 512, 1024)
_MAX_VALUES = 16
# A trial's short timing has to promise this much before it is judged in full.
_PROMISE = 1.02


@dataclass(frozen=True)
class Knob:
    """One thing that can be varied."""

    name: str
    values: tuple[str, ...]
    """Python source texts, the present one left out."""
    place: tuple[int, int] | None = None
    """Byte span of a literal; None: a module-level constant."""


def find_knobs(source: str) -> list[Knob]:
    """What can be varied in a candidate's text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    return [*_listed(tree), *_group_sizes(source, tree)]


def with_values(source: str, knobs: list[Knob], values: Mapping[str, str]) -> str:
    """The text with knobs set.

    Raises:
        Error: ``unknown-constant``.
    """
    edits = [
        (knob.place, values[knob.name]) for knob in knobs if knob.place and knob.name in values
    ]
    data = source.encode()
    for (begin, end), value in sorted(edits, reverse=True):
        data = data[:begin] + value.encode() + data[end:]
    constants = {
        knob.name: values[knob.name] for knob in knobs if knob.place is None and knob.name in values
    }
    text = data.decode()
    return override_constants(text, constants, "the candidate") if constants else text


async def tune(bench: Workbench, start: StoredAttempt) -> StoredAttempt | None:
    """Seeks better values for a right candidate, one knob after the other.

    A trial is a short evaluation on one draw of inputs, kept as a decision. What was found is then
    judged in full as an attempt of its own; None if nothing promised to be faster.
    """
    if start.candidate is None or not start.evaluation.correct:
        return None
    source = start.candidate.source
    knobs = find_knobs(source)
    if not knobs or not bench.settings.tune_trials:
        return None
    prefix = f"tune/{start.slot}"
    best = await _trial(bench, f"{prefix}/0", source, {})
    chosen: dict[str, str] = {}
    trials = 0
    for knob in knobs:
        for value in knob.values:
            if trials >= bench.settings.tune_trials:
                break
            trials += 1
            values = {**chosen, knob.name: value}
            try:
                text = with_values(source, knobs, values)
            except Error:
                break
            ratio = await _trial(bench, f"{prefix}/{trials}", text, values)
            if ratio > best * _PROMISE:
                best, chosen = ratio, values
    if not chosen:
        return None
    text = with_values(source, knobs, chosen)
    shown = ", ".join(f"{name} = {value}" for name, value in chosen.items())
    candidate = Candidate(
        text,
        find_kernels(text) or start.candidate.kernels,
        f"tuning of attempt {start.number} ({start.model})",
        (*start.candidate.notes, f"tuned: {shown}"),
    )
    proposal = Proposal("tuning", candidate, shown, None)
    return await bench.evaluate(f"{prefix}/attempt", proposal, kind="tuning", parents=(start,))


async def _trial(bench: Workbench, slot: str, text: str, values: Mapping[str, str]) -> float:
    """The ratio of a short evaluation; 0 if it is not right or not to be trusted."""
    journal, name = bench.shared.journal, bench.problem.name
    result: dict[str, Any] | None = journal.decision(name, slot)
    if result is None:
        shown = ", ".join(f"{name} = {value}" for name, value in values.items())
        bench.shared.observer.stage(name, f"tuning {shown or 'as it is'}")
        evaluation = await bench.shared.evaluator.practise(bench.problem, text, timed=True)
        ratio = _ratio(evaluation)
        result = bench.decide(
            slot,
            "tuning",
            {"values": dict(values), "verdict": evaluation.verdict.value, "ratio": ratio},
        )
        assert result is not None
    return float(result["ratio"])


def _ratio(evaluation: Evaluation) -> float:
    timing = evaluation.timing
    if not evaluation.correct or timing is None or Flag.NOISY_TIMING in evaluation.flags:
        return 0.0
    return timing.ratio.median


def _listed(tree: ast.Module) -> list[Knob]:
    """The entries of TUNABLE whose constants are there."""
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    table = constants.get("TUNABLE")
    try:
        listed = ast.literal_eval(table) if table is not None else {}
    except (ValueError, TypeError):
        return []
    if not isinstance(listed, dict):
        return []
    knobs = []
    for name, values in listed.items():
        present = constants.get(name) if isinstance(name, str) else None
        if present is None or not isinstance(values, (list, tuple)):
            continue
        texts = [repr(value) for value in values[:_MAX_VALUES] if _plain(value)]
        now = ast.unparse(present)
        knobs.append(Knob(name, tuple(text for text in texts if text != now)))
    return [knob for knob in knobs if knob.values]


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_plain(item) for item in value)
    return isinstance(value, (int, float, bool, str))


def _group_sizes(source: str, tree: ast.Module) -> list[Knob]:
    """Literal ``group_size=256`` or ``group_size=[256, 1, 1]`` in calls."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    knobs = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.keyword) or node.arg != "group_size":
            continue
        value = node.value
        one_dimensional = (
            isinstance(value, (ast.List, ast.Tuple))
            and value.elts
            and all(isinstance(e, ast.Constant) and e.value == 1 for e in value.elts[1:])
        )
        number = value.elts[0] if one_dimensional else value  # type: ignore[attr-defined]
        if not (isinstance(number, ast.Constant) and type(number.value) is int):
            continue
        begin = starts[number.lineno - 1] + number.col_offset
        end = begin + len(str(number.value))
        if source.encode()[begin:end].decode() != str(number.value):
            continue
        texts = tuple(str(size) for size in _GROUP_SIZES if size != number.value)
        knobs.append(Knob(f"group_size@{number.lineno}", texts, (begin, end)))
    return knobs
