"""Running a problem's code. Imported by worker processes only."""

from __future__ import annotations

import copy
import linecache
import random
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from metalwright.errors import Error, user_error

if TYPE_CHECKING:
    from metalwright.problems.problem import Problem


def set_seed(seed: int) -> None:
    """Seeds every generator that a problem file is likely to draw from."""
    torch.manual_seed(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


class LoadedProblem:
    """A problem whose code has run. Every method runs more of it and raises `Error` if it fails."""

    def __init__(
        self,
        problem: Problem,
        build: Callable[..., torch.nn.Module],
        draw_init: Callable[[], Any],
        draw: Callable[[], Any],
    ) -> None:
        self.problem = problem
        self._build = build
        self._draw_init = draw_init
        self._draw = draw

    def init_inputs(self, seed: int) -> list[Any]:
        """The arguments of Model's constructor."""
        set_seed(seed)
        with reporting(self.problem, "get_init_inputs() runs"):
            return _argument_list(self._draw_init(), self.problem, "get_init_inputs()")

    def build(self, init_inputs: list[Any], seed: int) -> torch.nn.Module:
        """The reference module on the CPU, in the mode in which its constructor leaves it."""
        set_seed(seed)
        with reporting(self.problem, "Model is constructed"):
            module = self._build(*init_inputs)
        if not isinstance(module, torch.nn.Module):
            raise user_error(
                "problem-output",
                where=self.problem.where,
                reason=f"Model(...) is a {type(module).__name__}, not a torch.nn.Module",
            )
        return module

    def inputs(self, seed: int) -> list[Any]:
        """The arguments of one call of the module, on the CPU."""
        set_seed(seed)
        with reporting(self.problem, "get_inputs() runs"):
            return _argument_list(self._draw(), self.problem, "get_inputs()")

    def call(self, module: torch.nn.Module, inputs: list[Any], seed: int) -> Any:
        """The module's output for `inputs`, without gradients."""
        set_seed(seed)
        with reporting(self.problem, "Model.forward runs"), torch.no_grad():
            return module(*inputs)


def load_problem(problem: Problem) -> LoadedProblem:
    """See `Problem.load`."""
    for path in reversed(problem.import_paths):
        if path not in sys.path:
            sys.path.insert(0, path)
    if problem.archive is not None:
        return _load_archive(problem)
    return _load_source(problem)


@contextmanager
def reporting(problem: Problem, doing: str) -> Iterator[None]:
    """Turns whatever the user's code raises into ``problem-raised`` with the line it came from."""
    try:
        yield
    except Error:
        raise
    except (Exception, SystemExit) as error:
        raise user_error(
            "problem-raised",
            where=_place(problem, error),
            exception=_describe(error),
            doing=doing,
        ) from error


def _load_source(problem: Problem) -> LoadedProblem:
    module = types.ModuleType(f"metalwright_problem_{problem.name}")
    module.__file__ = problem.where
    # Registered, so that dataclasses, pickling and inspect find the module of its classes; cached
    # for linecache, since with overrides the text differs from the file's.
    sys.modules[module.__name__] = module
    lines = problem.source.splitlines(keepends=True)
    linecache.cache[problem.where] = (len(problem.source), None, lines, problem.where)
    with reporting(problem, "the file is imported"):
        exec(compile(problem.source, problem.where, "exec"), module.__dict__)
    names = module.__dict__
    return LoadedProblem(
        problem, names["Model"], names.get("get_init_inputs", list), names["get_inputs"]
    )


def _load_archive(problem: Problem) -> LoadedProblem:
    from metalwright.problems.archive import draw_like, unpack_module

    with reporting(problem, "the module is unpacked"):
        module, inputs = unpack_module(problem)
    draw = inputs if callable(inputs) else (lambda: draw_like(inputs))
    return LoadedProblem(problem, lambda: copy.deepcopy(module), list, draw)


def _argument_list(value: Any, problem: Problem, what: str) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return list(value)
    raise user_error(
        "problem-value",
        where=problem.where,
        reason=f"{what} returned {type(value).__name__}, not a list",
    )


def _place(problem: Problem, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if frame.filename == problem.where:
            return f"{problem.where}:{frame.lineno}"
    return problem.where


def _describe(error: BaseException) -> str:
    text = str(error).strip()
    first = text.splitlines()[0] if text else ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
