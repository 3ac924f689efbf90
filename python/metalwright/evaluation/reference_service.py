"""The worker in which the problem's own code runs: weights, inputs, expected outputs, the oracle.

A problem file is the user's: it may raise or hang, but it is not out to deceive, so this worker may
look at its own results. What it returns is still only read as data.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from metalwright.errors import Error, user_error
from metalwright.evaluation import stress
from metalwright.evaluation.coverage import Watch
from metalwright.evaluation.exchange import DTYPES, ExchangeError, Layout, load_copied, tensors_of
from metalwright.evaluation.service import (
    clone,
    store_at,
    to_device,
    torch_device,
)
from metalwright.evaluation.worker import Refusal
from metalwright.problems.loading import LoadedProblem
from metalwright.problems.problem import Problem
from metalwright.problems.source import override_constants

_WIDER = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}
# The oracle is skipped if float64 arithmetic could take more than this share of the deadline.
_ORACLE_SHARE = 0.5
_ORACLE_SLOWDOWN = 8


class ReferenceService:
    """See the module's docstring. Methods are requests; seeds come from the judge."""

    def __init__(self) -> None:
        self._device = torch.device("cpu")
        self._drawn: list[Any] = []
        self._problem: LoadedProblem
        self._resized: dict[str, LoadedProblem] = {}
        self._module: torch.nn.Module
        self._state: dict[str, torch.Tensor]
        self._wide: torch.nn.Module | None = None
        self._call_seconds = 0.0

    def command_load(self, folder: str, device: str) -> dict[str, Any]:
        """Runs the problem's file."""
        self._device = torch_device(device)
        with UserErrors():
            self._problem = Problem.read(Path(folder)).load()
        return {}

    def command_build(
        self, seed: int, init: str, state: str, redraw: int | None = None
    ) -> dict[str, Any]:
        """Constructs the reference; hands out the constructor's arguments and the weights."""
        with UserErrors():
            arguments = self._problem.init_inputs(seed)
            init_layout = self._store(arguments, init, "get_init_inputs()")
            module = self._problem.build(arguments, seed)
        weights = {
            name: value.detach().clone()
            for name, value in module.state_dict().items()
            if isinstance(value, torch.Tensor)
        }
        if redraw is not None:
            weights = stress.redraw_weights(weights, redraw)
        state_layout = self._store(weights, state, "a parameter or buffer")
        self._module = module.to(self._device)
        self._state = to_device(weights, self._device)
        self._wide = None
        return {"init": init_layout, "state": state_layout}

    def command_draw(
        self,
        seed: int,
        call_seed: int,
        inputs: str,
        output: str,
        variant: str = "",
        overrides: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Draws inputs, changes them as `variant` says, and runs the reference on them."""
        with UserErrors():
            drawn = self._with_sizes(overrides).inputs(seed)
        if variant in stress.VARIANTS:
            drawn = stress.transform(drawn, stress.VARIANTS[variant])
        inputs_layout = self._store(drawn, inputs, "get_inputs()")
        reply = self._call(drawn, call_seed, output, variant == stress.STRIDED)
        return {"inputs": inputs_layout, **reply}

    def command_expect(
        self, inputs: str, layout: Layout, call_seed: int, output: str
    ) -> dict[str, Any]:
        """Runs the reference on given inputs."""
        return self._call(load_copied(Path(inputs), layout), call_seed, output, False)

    def command_oracle(
        self,
        call_seed: int,
        budget: float,
        output: str,
        moved: int | None = None,
        roundings: float = 1.0,
    ) -> dict[str, Any]:
        """Runs the reference in float64 on the CPU, on the inputs that it ran on last.

        With `moved`, a seed, on inputs that are off by so many rounding errors each.
        """
        if self._call_seconds * _ORACLE_SLOWDOWN > budget * _ORACLE_SHARE:
            return {"layout": None, "reason": "too slow: the reference takes too long in float64"}
        try:
            if self._wide is None:
                self._wide = copy.deepcopy(self._module).cpu().to(torch.float64)
            self._wide.load_state_dict(_widened(self._state), strict=False)
            drawn = clone(self._drawn)
            if moved is not None:
                drawn = stress.moved(drawn, moved, roundings)
            result = self._problem.call(self._wide, _widened(drawn), call_seed)
            return {"layout": store_at(result, output), "reason": ""}
        except (Exception, SystemExit) as error:
            # float64 is an extra: a module that insists on its dtype has no oracle, and the
            # evaluation says so.
            return {"layout": None, "reason": f"the reference fails in float64: {_one_line(error)}"}

    def command_work(self, call_seed: int) -> dict[str, Any]:
        """The fewest bytes and the operations of a call on the inputs that it ran on last."""
        arguments = to_device(clone(self._drawn), self._device)
        self._restore()
        with UserErrors(), Watch() as watch:
            result = self._problem.call(self._module, arguments, call_seed)
        touched = [
            *(value for _, value in tensors_of(self._drawn, "input")),
            *(value for _, value in tensors_of(result, "output")),
            *(value for value in self._module.parameters()),
        ]
        return {
            "bytes": sum(value.numel() * value.element_size() for value in touched),
            "flops": watch.flops,
            "input_elements": sum(value.numel() for _, value in tensors_of(self._drawn, "input")),
        }

    def _with_sizes(self, overrides: dict[str, str] | None) -> LoadedProblem:
        if not overrides:
            return self._problem
        key = repr(sorted(overrides.items()))
        if key not in self._resized:
            problem = self._problem.problem
            text = override_constants(problem.source, overrides, problem.where)
            self._resized[key] = dataclasses.replace(problem, source=text).load()
        return self._resized[key]

    def _call(self, drawn: list[Any], call_seed: int, output: str, gaps: bool) -> dict[str, Any]:
        given = stress.strided(drawn) if gaps else clone(drawn)
        with UserErrors():
            arguments = to_device(given, self._device)
            self._restore()
            start = time.perf_counter()
            result = self._problem.call(self._module, arguments, call_seed)
            self._call_seconds = time.perf_counter() - start
            if next(tensors_of(result, "output"), None) is None:
                raise _bad_output(self._problem, f"Model.forward returned {_kind(result)}")
        before = dict(tensors_of(drawn, "input"))
        changed = [
            key
            for key, value in tensors_of(arguments, "input")
            if not _identical(value.cpu(), before[key])
        ]
        self._drawn = drawn
        content = {"output": result, "inputs": arguments if changed else None}
        try:
            layout = store_at(content, output)
        except ExchangeError as error:
            raise _refuse(_bad_output(self._problem, f"Model.forward returned: {error}")) from None
        changed_state = [
            name
            for name, value in self._module.state_dict().items()
            if name in self._state and not _identical(value, self._state[name])
        ]
        return {"results": layout, "changed": changed, "changed_state": changed_state}

    def _restore(self) -> None:
        self._module.load_state_dict(self._state, strict=False)

    def _store(self, value: Any, path: str, what: str) -> dict[str, Any]:
        try:
            return store_at(value, path)
        except ExchangeError as error:
            where = self._problem.problem.where
            raise Refusal(
                code="problem-value",
                message=f"{where}: {what}: {error}",
                hint="Values are tensors, numbers, strings, None, and lists, tuples and "
                "dictionaries of them.",
            ) from None


class UserErrors(AbstractContextManager[None]):
    """Answers with the `Error` that the problem's code has led to."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Error):
            raise _refuse(error) from error


def _refuse(error: Error) -> Refusal:
    return Refusal(code=error.code, message=error.message, hint=error.hint)


def _bad_output(problem: LoadedProblem, reason: str) -> Error:
    return user_error("problem-output", where=problem.problem.where, reason=reason)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__} without a tensor"


def _widened(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.cpu().to(_WIDER.get(value.dtype, value.dtype))
    if isinstance(value, (list, tuple)):
        return type(value)(_widened(item) for item in value)
    if isinstance(value, dict):
        return {key: _widened(item) for key, item in value.items()}
    return value


def _identical(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Equal as values, NaN being equal to NaN."""
    if left.shape != right.shape or left.dtype != right.dtype or left.dtype not in DTYPES.values():
        return False
    return torch.equal(left, right) or bool(
        ((left == right) | (left.isnan() & right.isnan())).all()
    )


def _one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
