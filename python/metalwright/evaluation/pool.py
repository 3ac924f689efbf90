"""Workers started ahead: confined, warm, the device tested, and nobody's code has run in them.

Forking a worker, giving it a world of its own and compiling its first kernel takes a tenth of a
second, and so does taking such a world down again. Both happen while the judge does something
else. A worker leaves the pool once and never comes back: what a candidate has run in is ended.

Where a worker is to read weights or a problem, they are put into its folder `given` from outside;
to the worker that is read-only like everything else but its own folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from metalwright.evaluation.folder import exchange_folder
from metalwright.evaluation.process import (
    START_SECONDS,
    WorkerError,
    WorkerFailure,
    WorkerProcess,
)

CANDIDATE_SERVICE = "metalwright.evaluation.candidate_service:CandidateService"
BASELINE_SERVICE = "metalwright.evaluation.baseline_service:BaselineService"

# Starts a worker of a service without waiting for it; it may write the first folder and read the
# second.
StartAhead = Callable[[str, Path, Path], WorkerProcess]


@dataclass(frozen=True)
class Room:
    """A worker with the folders that it may write and read."""

    worker: WorkerProcess
    folder: Path
    given: Path
    healthy: bool = False
    """Whether the device gave right results in it."""

    def give(self, path: Path) -> Path:
        """Lets the worker read a file or a folder; returns where it finds it."""
        place = self.given / path.name
        if path.is_dir():
            shutil.copytree(path, place, copy_function=_link)
        else:
            _link(path, place)
        return place


class Pool:
    """Hands out rooms. `device` is what workers warm up for."""

    def __init__(self, start: StartAhead, device: str) -> None:
        self._start = start
        self._device = device
        self._stack = contextlib.ExitStack()
        self._root: Path | None = None
        self._waiting: dict[str, deque[Room]] = {}
        self._ending: list[Room] = []

    @contextlib.contextmanager
    def room(self, service: str) -> Iterator[Room]:
        """A worker that nobody has used; it is ended on leaving.

        Raises:
            WorkerFailure: it cannot be started.
        """
        room = self._take(service)
        try:
            yield room
        finally:
            self._end(room)

    def _take(self, service: str) -> Room:
        waiting = self._waiting.get(service)
        if waiting:
            with contextlib.suppress(WorkerFailure, WorkerError):
                return self._ready(waiting.popleft())
            # Killed by whoever is not confined here, while it waited: nobody else's fault.
        return self._ready(self._open(service))

    def _ready(self, room: Room) -> Room:
        try:
            said = room.worker.collect()
        except BaseException:
            self._end(room)
            raise
        healthy = isinstance(said, dict) and said.get("healthy") is True
        return dataclasses.replace(room, healthy=healthy)

    def _end(self, room: Room) -> None:
        # Killed now; that it is gone is waited for before anything depends on it.
        room.worker.kill()
        self._ending.append(room)

    def prepare(self, service: str, count: int = 1) -> None:
        """Sees to it that so many workers of a service are on their way."""
        waiting = self._waiting.setdefault(service, deque())
        while len(waiting) < count:
            waiting.append(self._open(service))

    def settle(self) -> None:
        """Waits until nothing of the pool uses the machine: before something is timed."""
        for waiting in self._waiting.values():
            for room in waiting:
                room.worker.settle()
        self.reap()

    def reap(self) -> None:
        """Waits until every worker that has left its room is gone with all it has started."""
        while self._ending:
            room = self._ending.pop()
            room.worker.close()
            shutil.rmtree(room.folder.parent, ignore_errors=True)

    def close(self) -> None:
        """Ends all workers that wait and removes the folders."""
        for waiting in self._waiting.values():
            for room in waiting:
                room.worker.kill()
            self._ending += waiting
        self._waiting = {}
        self.reap()
        self._stack.close()
        self._root = None

    def _open(self, service: str) -> Room:
        if self._root is None:
            self._root = self._stack.enter_context(exchange_folder())
        place = Path(tempfile.mkdtemp(prefix="room-", dir=self._root))
        folder, given = place / "own", place / "given"
        folder.mkdir()
        given.mkdir()
        room = Room(self._start(service, folder, given), folder, given)
        room.worker.post("warm", START_SECONDS, "the device is tested", device=self._device)
        return room


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without links.
        shutil.copyfile(source, target)
