"""One problem with its reference running: draws of the inputs and what is expected of them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from metalwright.errors import Error, user_error
from metalwright.evaluation import stress
from metalwright.evaluation.compare import compare_metadata, compare_values
from metalwright.evaluation.model import Settings
from metalwright.evaluation.process import WorkerProcess
from metalwright.evaluation.reference import Draw, Reference, Work, problem_failures
from metalwright.evaluation.sizes import other_sizes, text_of
from metalwright.problems import Problem

__all__ = ["Draw", "Progress", "Session", "problem_failures"]

Progress = Callable[[str], None]
Peaks = Callable[[], dict[str, Any] | None]
StartReference = Callable[[Path], AbstractContextManager[WorkerProcess]]

REDRAWN = "re-drawn weights"
# Draws that are no use to anyone: more of the reference's own output proves nothing than this.
_MOST_UNJUDGED = 0.5


class Session:
    """One problem with its reference running. Made by `Judge.open`."""

    def __init__(
        self,
        settings: Settings,
        problem: Problem,
        start: StartReference,
        folder: Path,
        progress: Progress,
        peaks: Peaks = lambda: None,
    ) -> None:
        self.problem = problem
        self.settings = settings
        self.folder = folder
        """The exchange folder of this problem."""
        self.progress = progress
        """Whom to tell what is going on."""
        self.peaks = peaks
        """What the device does at most: see `roofline`."""
        self._start = start
        self._stack = contextlib.ExitStack()
        self.work: Work
        self.is_random = False
        """Whether the reference draws random numbers: its outputs depend on the seed of a call."""
        problem.write(self.problem_folder)
        self.plain = self._open("plain", redraw=False)
        self._redrawn: Reference | None = None
        self._skipped: dict[str, str] = {}
        # A first draw finds out whether the reference runs at all, before anything is generated.
        self._first: Draw | None = self._draw(0)
        self._look_for_randomness(self._first)

    def close(self) -> None:
        """Ends the workers."""
        self._stack.close()

    @property
    def problem_folder(self) -> Path:
        """Where the problem is written for workers."""
        return self.folder / "problem"

    @property
    def oracle_reason(self) -> str:
        """Why there is no float64 oracle; empty: there is one."""
        return self.plain.oracle_reason

    @property
    def skipped(self) -> dict[str, str]:
        """Which special draws were left out so far, and why."""
        return dict(self._skipped)

    def failures(self, doing: str) -> AbstractContextManager[None]:
        """Turns what ends a worker that runs the problem into an `Error` about the problem."""
        return problem_failures(self.problem, doing, self.settings)

    def draws(self) -> Iterator[Draw]:
        """The draws of the inputs, one after the other; only one is in memory at a time."""
        for index in range(self.settings.seeds):
            first, self._first = self._first, None
            yield first if first is not None and index == 0 else self._draw(index)

    @property
    def redrawn(self) -> Reference:
        """The reference with other weights, in a worker of its own.

        Raises:
            Error: it cannot be run with them; codes ``problem-*``.
        """
        if self._redrawn is None:
            self._redrawn = self._open("redrawn", redraw=True)
        return self._redrawn

    def stress_draws(self) -> Iterator[Draw]:
        """Draws that make shortcuts fail, on re-drawn weights, in an order nobody can know.

        One that the reference itself cannot take is left out, and `skipped` says why.
        """
        names = [REDRAWN, *stress.VARIANTS]
        secrets.SystemRandom().shuffle(names)
        for name in [REDRAWN, *names]:
            variant = "" if name == REDRAWN else name
            try:
                draw = self.redrawn.draw(0, variant=variant, label=name)
            except Error as error:
                self._skipped[name] = f"the reference fails: {error.message.splitlines()[0]}"
                if error.code in ("problem-crashed", "problem-timeout", "problem-memory"):
                    return
                continue
            # What it says of its own output says how much of it can be held against anyone.
            measured, _ = compare_values(draw.wanted, draw.expected, 0)
            unjudged = sum(errors.unjudged for errors in measured)
            total = sum(max(1, _count(errors.shape)) for errors in measured)
            if unjudged > _MOST_UNJUDGED * total:
                self._skipped[name] = "the reference itself is not right there"
                continue
            self._skipped.pop(name, None)
            yield draw

    def strided_draw(self) -> Draw | None:
        """A draw for non-contiguous inputs; None if the reference refuses those."""
        try:
            return self.redrawn.draw(0, variant=stress.STRIDED, label=stress.STRIDED)
        except Error as error:
            self._skipped[stress.STRIDED] = f"the reference fails: {error.message.splitlines()[0]}"
            return None

    def resized_draws(self) -> Iterator[Draw]:
        """Draws of sizes that the problem does not show."""
        for overrides in other_sizes(self.problem):
            label = text_of(overrides)
            try:
                yield self.redrawn.draw(0, overrides=overrides, label=label)
            except Error as error:
                reason = error.message.splitlines()[0]
                self._skipped[label] = f"the reference fails: {reason}"
                if error.code in ("problem-crashed", "problem-timeout", "problem-memory"):
                    return

    def asleep(self) -> contextlib.ExitStack:
        """Stops the references' workers while something is timed."""
        stack = contextlib.ExitStack()
        for reference in (self.plain, self._redrawn):
            if reference is not None:
                stack.enter_context(reference.asleep())
        return stack

    def _open(self, name: str, *, redraw: bool) -> Reference:
        folder = self.folder / name
        folder.mkdir()
        with self.failures("the problem's process starts"):
            worker = self._stack.enter_context(self._start(folder))
        return Reference(self.settings, self.problem, worker, folder, self.problem_folder, redraw)

    def _draw(self, index: int) -> Draw:
        self.progress(f"inputs {index + 1} of {self.settings.seeds}: reference")
        return self.plain.draw(index)

    def _look_for_randomness(self, draw: Draw) -> None:
        """Runs the reference again on the first inputs: the same seed has to give the same."""
        self.work = self.plain.work(draw.call_seed)
        again = self.plain.expect(draw, draw.content, draw.call_seed, oracle=False)
        different = compare_metadata(draw.expected, again.expected, 0)
        if different is None:
            _, different = compare_values(draw.wanted, again.expected, 0)
        if different is not None:
            raise user_error(
                "problem-output",
                where=self.problem.where,
                reason="Model.forward gives different outputs for the same inputs under the same "
                "seed, so that nothing can be compared with it",
            )
        other = self.plain.expect(draw, draw.content, draw.call_seed ^ 1, oracle=False)
        self.is_random = (
            compare_metadata(draw.expected, other.expected, 0) is not None
            or compare_values(draw.wanted, other.expected, 0)[1] is not None
        )


def _count(shape: tuple[int, ...]) -> int:
    result = 1
    for size in shape:
        result *= size
    return result
