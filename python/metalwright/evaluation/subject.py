"""A candidate in a worker: what it is asked, and what its answers mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metalwright.evaluation import evidence as explain
from metalwright.evaluation.compare import Finding, compare_metadata, compare_tensor
from metalwright.evaluation.exchange import (
    ExchangeError,
    check_layout,
    load_content,
    load_copied,
    read_exactly,
    tensors_of,
)
from metalwright.evaluation.model import Evidence, Settings, Verdict, Weights
from metalwright.evaluation.pool import Room
from metalwright.evaluation.process import WorkerError, WorkerFailure
from metalwright.evaluation.reference import Draw, Reference
from metalwright.evaluation.tolerance import Expectation


class Found(Exception):
    """A check of the candidate has failed."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.evidence.message)
        self.finding = finding


class Subject:
    """One worker with the candidate loaded. Methods raise `Found` for what it does wrong."""

    def __init__(self, settings: Settings, room: Room) -> None:
        self._settings = settings
        self._room = room
        self.worker = room.worker
        self.folder = room.folder
        self.alive = True

    def load(self, source: str) -> None:
        """Runs the candidate's file."""
        path = self.folder / "candidate.py"
        path.write_text(source, "utf-8")
        device = self._settings.device
        # Again: other candidates may have run since the worker was made.
        said = self.ask("warm", "the device is tested", device=device)
        if not (self._room.healthy and isinstance(said, dict) and said.get("healthy")):
            message = f"the device {device} gives wrong results before the candidate has run"
            raise Found(Finding(Verdict.CRASH, Evidence(check="device", message=message)))
        self.ask("load", "importing the candidate", path=str(path), device=device)

    def begin_checking(self) -> None:
        """Has the candidate's kernels watched by the sanitiser."""
        said = self.ask("check", "the sanitiser starts")
        if not (isinstance(said, dict) and said.get("available")):
            message = "this build has no sanitiser"
            raise Found(Finding(Verdict.CRASH, Evidence(check="sanitizer", message=message)))

    def build(self, reference: Reference) -> Weights:
        """Constructs ModelNew with the reference's weights."""
        given = {path: str(self._room.give(path)) for path in reference.readable}
        arguments = reference.build_arguments(given)
        said = self.ask("build", "constructing ModelNew", **arguments)
        return explain.read_weights(said)

    def call(self, draw: Draw, *, gaps: bool = False, fill: str = "") -> Any:
        """Calls the candidate on a draw and checks all but the values; returns its output."""
        inputs, output = self.folder / "inputs", self.folder / "output"
        inputs.write_bytes(draw.content)
        self.worker.shared_bytes += len(draw.content)
        said = self.ask(
            "call",
            "calling ModelNew",
            draw,
            inputs=str(inputs),
            layout=draw.layout,
            seed=draw.call_seed,
            output=str(output),
            gaps=gaps,
            fill=fill,
        )
        self.worker.look_at_memory()
        actual = self.read(output, said, draw)
        self._decide(compare_metadata(draw.expected, actual, draw.index), draw)
        self._decide(_look_at_inputs(inputs, draw), draw)
        self._decide(_look_at_state(said, draw), draw)
        self.worker.shared_bytes -= len(draw.content)
        with contextlib.suppress(OSError):
            inputs.unlink()
        return actual

    def read(self, path: Path, said: Any, draw: Draw) -> Any:
        """The candidate's output, copied; its layout is checked before a byte is read."""
        said = said if isinstance(said, dict) else {}
        limit = self._settings.memory_limit
        try:
            layout = check_layout(said.get("layout"), limit)
            return load_copied(path, layout)
        except ExchangeError as error:
            evidence = Evidence(check="structure", message=str(error), seed_index=draw.index)
            raise Found(Finding(Verdict.WRONG_METADATA, evidence)) from None
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def ask(self, command: str, doing: str, draw: Draw | None = None, **arguments: Any) -> Any:
        """Sends a request within the deadline of one step."""
        with self.failures(doing, draw):
            return self.worker.request(command, self._settings.deadline, doing, **arguments)

    @contextlib.contextmanager
    def failures(self, doing: str, draw: Draw | None = None) -> Iterator[None]:
        """What a worker's end or error means for the verdict."""
        index = None if draw is None else draw.index
        try:
            yield
        except WorkerFailure as failure:
            self.alive = False
            self._decide(explain.of_failure(failure, index), draw)
        except WorkerError as error:
            self._decide(explain.of_error(error.error, doing, index), draw)

    def _decide(self, finding: Finding | None, draw: Draw | None) -> None:
        if finding is not None:
            raise Found(labelled(finding, draw))


def labelled(finding: Finding, draw: Draw | None) -> Finding:
    """The finding with what was special about the inputs."""
    if draw is None or not draw.label:
        return finding
    # Special inputs are not numbered: they come in another order each time.
    update = {"inputs": draw.label, "seed_index": None}
    return Finding(finding.verdict, finding.evidence.model_copy(update=update))


def _look_at_inputs(path: Path, draw: Draw) -> Finding | None:
    """The inputs must be afterwards what the reference leaves them."""
    try:
        content = read_exactly(path, draw.layout["size"])
    except ExchangeError as error:
        evidence = Evidence(check="inputs", message=str(error), seed_index=draw.index)
        return Finding(Verdict.MUTATES_INPUTS, evidence)
    if content == draw.content and not draw.changed:
        return None
    before = dict(tensors_of(load_content(draw.content, draw.layout), "input"))
    after = dict(tensors_of(load_content(content, draw.layout), "input"))
    for name, value in after.items():
        should_change = name in draw.changed
        wanted = draw.changed.get(name, before[name])
        errors, difference = compare_tensor(name, Expectation(wanted), value, draw.index)
        if difference is None and (should_change or errors.max_absolute == 0):
            continue
        message = f"{name} was changed by the call"
        if should_change:
            message = f"{name} was not changed as the reference changes it"
        evidence = difference.evidence if difference else Evidence(check="inputs", message=message)
        update = {
            "check": "inputs",
            "message": message,
            "output": name,
            "seed_index": draw.index,
        }
        return Finding(Verdict.MUTATES_INPUTS, evidence.model_copy(update=update))
    return None


def _look_at_state(said: Any, draw: Draw) -> Finding | None:
    """Parameters and buffers that the reference leaves alone the candidate has to as well."""
    devices = said.get("devices") if isinstance(said, dict) else None
    if isinstance(devices, list) and len(set(map(str, devices))) > 1:
        text = ", ".join(map(str, devices))[:100]
        evidence = Evidence(
            check="device", message=f"the outputs are on {text}", seed_index=draw.index
        )
        return Finding(Verdict.WRONG_METADATA, evidence)
    changed = said.get("changed_weights") if isinstance(said, dict) else None
    names = [str(name)[:200] for name in changed] if isinstance(changed, list) else []
    for name in names[:50]:
        if name not in draw.changed_state:
            evidence = Evidence(
                check="parameters",
                message=f"the parameter {name} was changed by the call",
                seed_index=draw.index,
            )
            return Finding(Verdict.MUTATES_INPUTS, evidence)
    return None
