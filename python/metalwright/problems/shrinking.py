"""Smaller sizes for a problem: its constants are halved, together where they are equal.

Imported by worker processes only: it runs the problem's code, most of the time on fake tensors,
which have shapes and no memory.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from metalwright.errors import Error
from metalwright.problems.benchmark import replace_constants
from metalwright.problems.problem import Problem

# Numbers below this are kernel sizes, strides, dimensions, heads: what a problem is, not how large.
SMALLEST = 8
_ARITHMETIC = (
    *(ast.Expression, ast.Constant, ast.Tuple, ast.List, ast.BinOp, ast.UnaryOp),
    *(ast.operator, ast.unaryop, ast.Load),
)


@dataclass(frozen=True)
class Work:
    """What one call of a module amounts to."""

    bytes: int
    """Of inputs, parameters, and the output of every operator that makes a tensor."""
    flops: int
    """Of matrix products, convolutions and attention."""

    def within(self, most: Work) -> bool:
        """Whether neither figure is above the other's."""
        return self.bytes <= most.bytes and self.flops <= most.flops

    def excess(self, most: Work) -> float:
        """How many times too much it is."""
        return max(self.bytes / most.bytes, self.flops / most.flops)


@dataclass(frozen=True)
class Shrunk:
    """Smaller constants, and what came of them."""

    overrides: Mapping[str, str]
    """New values as source text; empty: nothing was changed."""
    before: Work | None
    """None: it could not be told without running it."""
    after: Work | None
    reason: str
    """Why it is larger than wanted, or was not changed; empty: it is as small as wanted."""


@dataclass(frozen=True)
class _Unit:
    """One number: a constant, or an element of one."""

    name: str
    index: int | None


def shrink(problem: Problem, most: Work, seconds: float = 60.0) -> Shrunk:
    """Halves constants, the largest first, until a call is within `most`.

    Constants that had the same value are changed together if the module then runs, since they tend
    to be the same size; alone if it does not; and not at all if it does not run either way. The
    problem at the new sizes has been constructed and run on the CPU once, with real tensors.

    Raises:
        Error: ``problem-*``: it cannot even be looked at.
    """
    end = time.monotonic() + seconds
    values = number_constants(problem.constants)
    try:
        before = after = measure(problem)
    except Error as error:
        if _ran_out_of_shapes(error):
            return Shrunk({}, None, None, f"its sizes depend on values: {error.message}")
        raise
    if before.within(most):
        return Shrunk({}, before, before, "")
    units = _units(values)
    original = {unit: _value(values, unit) for unit in units}
    if not units:
        return Shrunk({}, before, before, "it has no constant that is a size")
    current, frozen = dict(original), set[_Unit]()
    while not after.within(most) and time.monotonic() < end:
        free = [unit for unit in units if unit not in frozen and current[unit] > SMALLEST]
        if not free:
            break
        largest = max(free, key=lambda unit: current[unit])
        group = [unit for unit in free if original[unit] == original[largest]]
        for together in [group, *([unit] for unit in group if len(group) > 1)]:
            tried = current | {unit: max(SMALLEST, (current[unit] + 1) // 2) for unit in together}
            work = _try(problem, values, original, tried)
            if work is not None and work.excess(most) < after.excess(most):
                current, after = tried, work
                break
        else:
            frozen.update(group)
    overrides = _texts(values, original, current)
    if not overrides:
        return Shrunk({}, before, before, "the module does not run with smaller constants")
    run_once(replace_constants(problem, overrides))
    reason = "" if after.within(most) else "what is left of its size is not in constants"
    return Shrunk(overrides, before, after, reason)


def number_constants(constants: Mapping[str, str]) -> dict[str, Any]:
    """The constants that are integers, or tuples and lists of them, by name; arithmetic is done.

    Those that refer to other names follow by themselves when these change.
    """
    found = {}
    for name, text in constants.items():
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError:
            continue
        if not all(isinstance(node, _ARITHMETIC) for node in ast.walk(tree)):
            continue
        with contextlib.suppress(Exception):
            value = eval(compile(tree, name, "eval"), {"__builtins__": {}})
            items = value if isinstance(value, (tuple, list)) else [value]
            if items and all(type(item) is int for item in items):
                found[name] = value
    return found


def measure(problem: Problem) -> Work:
    """What a call of the problem's module amounts to, told from fake tensors.

    Raises:
        Error: ``problem-*``.
    """
    # Constants made of tensors at the top of the file are real; only what is drawn is fake.
    loaded = problem.load()
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        FlopCounterMode(display=False) as counter,
        _Traffic() as traffic,
    ):
        module = loaded.build(loaded.init_inputs(0), 0)
        inputs = loaded.inputs(0)
        traffic.bytes = 0
        for tensor in [*module.parameters(), *module.buffers(), *_tensors(inputs)]:
            traffic.bytes += tensor.numel() * tensor.element_size()
        flops = counter.get_total_flops()
        loaded.call(module, inputs, 0)
        return Work(traffic.bytes, counter.get_total_flops() - flops)


def run_once(problem: Problem) -> None:
    """Constructs and runs the module with real tensors on the CPU.

    Raises:
        Error: ``problem-*``.
    """
    loaded = problem.load()
    module = loaded.build(loaded.init_inputs(0), 0)
    loaded.call(module, loaded.inputs(0), 0)


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of what operators return, unless it is a view."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.bytes += sum(t.numel() * t.element_size() for t in _tensors(result))
        return result


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _ran_out_of_shapes(error: Error) -> bool:
    words = ("DataDependent", "DynamicOutputShape", "FakeTensor", "fake tensor")
    return any(word in error.message for word in words)


def _units(values: Mapping[str, Any]) -> list[_Unit]:
    units = []
    for name, value in values.items():
        if isinstance(value, (tuple, list)):
            units += [_Unit(name, i) for i, item in enumerate(value) if item > SMALLEST]
        elif value > SMALLEST:
            units.append(_Unit(name, None))
    return units


def _value(values: Mapping[str, Any], unit: _Unit) -> int:
    value = values[unit.name]
    return int(value if unit.index is None else value[unit.index])


def _try(
    problem: Problem,
    values: Mapping[str, Any],
    original: Mapping[_Unit, int],
    tried: Mapping[_Unit, int],
) -> Work | None:
    try:
        return measure(replace_constants(problem, _texts(values, original, tried)))
    except Error:
        return None


def _texts(
    values: Mapping[str, Any], original: Mapping[_Unit, int], current: Mapping[_Unit, int]
) -> dict[str, str]:
    """What has changed, as source text."""
    changed: dict[str, Any] = {}
    for unit, number in current.items():
        if number == original[unit]:
            continue
        if unit.index is None:
            changed[unit.name] = number
        else:
            items = list(changed.get(unit.name, values[unit.name]))
            items[unit.index] = number
            changed[unit.name] = type(values[unit.name])(items)
    return {name: repr(value) for name, value in changed.items()}


def as_data(shrunk: Shrunk) -> dict[str, Any]:
    """As plain data for another process."""
    return dataclasses.asdict(shrunk)
