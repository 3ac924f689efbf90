"""A problem's reference in a worker of its own: inputs, and everything that is expected of them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metalwright.errors import TABLE, Error, user_error
from metalwright.evaluation.compare import Wanted
from metalwright.evaluation.exchange import Layout, load_copied, read_exactly, tensors_of
from metalwright.evaluation.model import Settings
from metalwright.evaluation.process import WorkerError, WorkerFailure, WorkerProcess, format_bytes
from metalwright.evaluation.sandbox import is_out_of_memory
from metalwright.evaluation.tolerance import constant_roundings
from metalwright.problems import Problem

if TYPE_CHECKING:
    import torch


@dataclass
class Draw:
    """One draw of the inputs with everything that is expected of it. Only the judge has this."""

    index: int
    call_seed: int
    content: bytearray
    layout: Layout
    wanted: Wanted
    changed: dict[str, torch.Tensor]
    """Inputs that the reference changes, as it leaves them."""
    changed_state: frozenset[str] = frozenset()
    """Parameters and buffers that it changes."""
    label: str = ""
    """What is special about it: a variant, other sizes, re-drawn weights."""
    roundings: float = 1.0
    """By how many rounding errors the inputs are moved to see how well-conditioned it is."""

    @property
    def expected(self) -> Any:
        """The reference's output."""
        return self.wanted.expected


@dataclass(frozen=True)
class Work:
    """What a call of the problem has to do at least."""

    bytes: int
    flops: int
    input_elements: int

    def reduction(self, elements: int) -> float:
        """How many numbers make one element of an output of so many."""
        if not elements:
            return 1.0
        return max(1.0, self.flops / 2 / elements, self.input_elements / elements)


class Reference:
    """The reference with one set of weights. Every method may raise `Error`: ``problem-*``."""

    def __init__(
        self,
        settings: Settings,
        problem: Problem,
        worker: WorkerProcess,
        folder: Path,
        problem_folder: Path,
        redraw: bool = False,
    ) -> None:
        self._settings = settings
        self._problem = problem
        self._worker = worker
        self._folder = folder
        self._redraw = secrets.randbits(31) if redraw else None
        self._weight_seed = secrets.randbits(31)
        self._work: Work | None = None
        self.oracle_reason = ""
        self._ask(
            "load",
            "importing the problem's file",
            folder=str(problem_folder),
            device=settings.device,
        )
        self._built = self._build(self._plain)
        if redraw:
            # The weights as they were drawn tell which of a candidate's own they are.
            self._built = self._build(self._state)

    def _build(self, state: Path) -> dict[str, Any]:
        reply: dict[str, Any] = self._ask(
            "build",
            "constructing Model",
            seed=self._weight_seed,
            init=str(self._init),
            state=str(state),
            redraw=self._redraw if state == self._state else None,
        )
        return reply

    @property
    def _init(self) -> Path:
        return self._folder / "init"

    @property
    def _state(self) -> Path:
        return self._folder / "state"

    @property
    def _plain(self) -> Path:
        return self._folder / "plain-state"

    @property
    def readable(self) -> list[Path]:
        """What a worker that builds the module has to read."""
        return [path for path in (self._init, self._state, self._plain) if path.exists()]

    def build_arguments(self, given: Mapping[Path, str]) -> dict[str, Any]:
        """The arguments of the request to construct a module with the reference's weights.

        `given` says where the worker finds the files of `readable`.
        """
        redrawn = self._redraw is not None
        return {
            "seed": self._weight_seed,
            "init": given[self._init],
            "init_layout": self._built["init"],
            "state": given[self._state if redrawn else self._plain],
            "state_layout": self._built["state"],
            "plain": given[self._plain] if redrawn else "",
        }

    def draw(
        self,
        index: int,
        variant: str = "",
        overrides: Mapping[str, str] | None = None,
        label: str = "",
    ) -> Draw:
        """Draws inputs under a fresh seed and computes what is expected."""
        inputs, output = self._folder / "inputs", self._folder / "output"
        call_seed = secrets.randbits(31)
        reply = self._ask(
            "draw",
            "the reference runs",
            seed=secrets.randbits(31),
            call_seed=call_seed,
            inputs=str(inputs),
            output=str(output),
            variant=variant,
            overrides=dict(overrides or {}),
        )
        layout: Layout = reply["inputs"]
        content = read_exactly(inputs, layout["size"])
        inputs.unlink()
        roundings = constant_roundings(layout) if variant == "constant" else 1.0
        return self._finish(
            index, call_seed, content, layout, reply, label or variant, roundings=roundings
        )

    def expect(
        self, draw: Draw, content: bytearray, call_seed: int, *, oracle: bool = True
    ) -> Draw:
        """What is expected of other inputs of the same layout."""
        inputs, output = self._folder / "inputs", self._folder / "output"
        inputs.write_bytes(content)
        reply = self._ask(
            "expect",
            "the reference runs",
            inputs=str(inputs),
            layout=draw.layout,
            call_seed=call_seed,
            output=str(output),
        )
        inputs.unlink()
        return self._finish(
            *(draw.index, call_seed, content, draw.layout, reply, draw.label, oracle),
            roundings=draw.roundings,
        )

    def work(self, call_seed: int) -> Work:
        """What a call on the inputs drawn last has to do."""
        if self._work is None:
            reply = self._ask("work", "the reference is traced", call_seed=call_seed)
            self._work = Work(reply["bytes"], reply["flops"], reply["input_elements"])
        return self._work

    def asleep(self) -> AbstractContextManager[None]:
        """See `WorkerProcess.asleep`."""
        return self._worker.asleep()

    def awake(self) -> AbstractContextManager[None]:
        """See `WorkerProcess.awake`."""
        return self._worker.awake()

    def _finish(
        self,
        index: int,
        call_seed: int,
        content: bytearray,
        layout: Layout,
        reply: dict[str, Any],
        label: str,
        with_oracle: bool = True,
        *,
        roundings: float = 1.0,
    ) -> Draw:
        output = self._folder / "output"
        results = load_copied(output, reply["results"])
        after = dict(tensors_of(results["inputs"], "input"))
        expected = results["output"]
        oracle = self._oracle(expected, call_seed, None) if with_oracle else None
        moved = None
        if oracle is not None:
            moved = self._oracle(expected, call_seed, secrets.randbits(31), roundings)
        work = self.work(call_seed)
        with contextlib.suppress(OSError):
            output.unlink()
        return Draw(
            index,
            call_seed,
            content,
            layout,
            Wanted(expected, oracle, moved, work.reduction),
            {key: after[key] for key in reply["changed"]},
            frozenset(reply["changed_state"]),
            label,
            roundings,
        )

    def _oracle(
        self, expected: Any, call_seed: int, moved: int | None, roundings: float = 1.0
    ) -> Any:
        output = self._folder / "output"
        wide = self._ask(
            "oracle",
            "the reference runs in float64",
            call_seed=call_seed,
            budget=self._settings.deadline,
            output=str(output),
            moved=moved,
            roundings=roundings,
        )
        if wide["layout"] is None:
            self.oracle_reason = wide["reason"]
            return None
        oracle = load_copied(output, wide["layout"])
        if _shapes(oracle) == _shapes(expected):
            return oracle
        self.oracle_reason = "the reference gives other shapes in float64"
        return None

    def _ask(self, command: str, doing: str, **arguments: Any) -> Any:
        with problem_failures(self._problem, doing, self._settings):
            return self._worker.request(command, self._settings.deadline, doing, **arguments)


def _shapes(value: Any) -> list[tuple[str, torch.Size]]:
    return [(name, tensor.shape) for name, tensor in tensors_of(value, "output")]


@contextlib.contextmanager
def problem_failures(problem: Problem, doing: str, settings: Settings) -> Iterator[None]:
    """What a reference worker's end or error means: an `Error` that the user can act on."""
    where = problem.where
    try:
        yield
    except WorkerError as error:
        said = error.error
        code = said.get("code")
        if is_out_of_memory(str(error)) or "MemoryError" in str(error):
            limit = format_bytes(settings.memory_limit)
            raise user_error("problem-memory", where=where, limit=limit, doing=doing) from None
        raise Error(
            code if code in TABLE else "problem-raised",
            str(said.get("message", "")),
            str(said.get("hint", "")),
        ) from None
    except WorkerFailure as failure:
        if failure.kind == "timeout":
            raise user_error(
                "problem-timeout", where=where, doing=doing, seconds=settings.deadline
            ) from None
        if failure.kind == "memory-limit":
            limit = format_bytes(settings.memory_limit)
            raise user_error("problem-memory", where=where, limit=limit, doing=doing) from None
        raise user_error(
            "problem-crashed", where=where, doing=doing, reason=failure.message
        ) from None
