"""Starting worker processes.

`import torch` takes two seconds. Where the platform allows it, one *template* process pays for that
once: it imports torch and the run time, runs nothing of anybody's, and forks a worker on request
(about 20 ms). On macOS a process that has loaded Apple's frameworks must not fork without exec, so
there every worker is a fresh interpreter.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from metalwright.evaluation.worker import WorkerOptions

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")


class Child(Protocol):
    """A started worker."""

    pid: int

    def poll(self) -> int | None:
        """Its exit status (negative: the signal that ended it), or None while it runs."""


class Launcher(Protocol):
    """A way to start workers."""

    def start(self, options: WorkerOptions, requests: int, replies: int, output: int) -> Child:
        """Starts a worker in a session of its own; the descriptors stay the caller's to close."""

    def close(self) -> None:
        """Ends what the launcher itself started, the workers excepted."""

    def is_alive(self) -> bool:
        """Whether what the launcher itself started still lives."""


def make_launcher() -> Launcher:
    """The fastest launcher that is safe on this platform."""
    return TemplateLauncher() if sys.platform.startswith("linux") else FreshLauncher()


def worker_environment() -> dict[str, str]:
    """The environment without what looks like a credential: a candidate has no use for one."""
    return {
        name: value
        for name, value in os.environ.items()
        if not any(word in name.upper() for word in _SECRET_WORDS)
    }


# A template that is alive answers in microseconds; a stopped one never does.
_ANSWER_SECONDS = 10.0


class FreshLauncher:
    """Every worker is a new interpreter."""

    def start(self, options: WorkerOptions, requests: int, replies: int, output: int) -> Child:
        """See `Launcher`."""
        return subprocess.Popen(
            _command("worker", options.to_json(), str(requests), str(replies)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(requests, replies),
            start_new_session=True,
            env=worker_environment(),
        )

    def close(self) -> None:
        """Nothing to do: a fresh worker has no other process behind it."""

    def is_alive(self) -> bool:
        """There is nothing that could have died."""
        return True


class TemplateLauncher:
    """Workers are forked from one process that has imported what they need."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._received = b""
        self._exits: dict[int, int] = {}

    def start(self, options: WorkerOptions, requests: int, replies: int, output: int) -> Child:
        """See `Launcher`."""
        # A template that a worker has managed to kill is replaced, once.
        for attempt in (0, 1):
            connection = self._connect()
            try:
                message = options.to_json().encode() + b"\n"
                socket.send_fds(connection, [message], [requests, replies, output])
                return _ForkedChild(self._await_pid(), self)
            except (BrokenPipeError, ConnectionResetError, EOFError):
                self.close()
                if attempt:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Ends the template; forked workers that still run die with it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._received = b""

    def is_alive(self) -> bool:
        """Whether the template lives now, and not whether its end has come through.

        A process that was sent SIGKILL runs no more code, but takes a while to end, and only then
        do its workers.
        """
        if self._socket is None:
            return False
        try:
            self._socket.settimeout(_ANSWER_SECONDS)
            self._socket.sendall(b"ping")
            while not any("pong" in message for message in self._read()):
                pass
            self._socket.settimeout(None)
        except (BrokenPipeError, ConnectionResetError, EOFError, TimeoutError):
            self.close()
            return False
        return True

    def exit_status(self, pid: int) -> int | None:
        """What the template has said about the end of a worker, or the template's own end."""
        if pid not in self._exits:
            try:
                while self._socket is not None and select.select([self._socket], [], [], 0)[0]:
                    self._read()
            except (EOFError, ConnectionResetError):
                self.close()
            if self._socket is None:
                # The workers' parent is gone, and they are killed with it.
                self._exits.setdefault(pid, -signal.SIGKILL)
        return self._exits.get(pid)

    def _connect(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    _command("template", str(theirs.fileno())),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env=worker_environment(),
                )
            self._socket = ours
        return self._socket

    def _await_pid(self) -> int:
        while True:
            for message in self._read():
                if "started" in message:
                    return message["started"]

    def _read(self) -> list[dict[str, int]]:
        assert self._socket is not None
        data = self._socket.recv(1 << 16)
        if not data:
            raise EOFError
        *lines, self._received = (self._received + data).split(b"\n")
        messages: list[dict[str, int]] = [json.loads(line) for line in lines]
        for message in messages:
            if "ended" in message:
                self._exits[message["ended"]] = message["status"]
        return messages


class _ForkedChild:
    def __init__(self, pid: int, launcher: TemplateLauncher) -> None:
        self.pid = pid
        self._launcher = launcher

    def poll(self) -> int | None:
        return self._launcher.exit_status(self.pid)


def session_processes(leader: int) -> list[int]:
    """A worker's processes: its session and all descendants, wherever they have moved to.

    Just the worker where /proc does not tell. Sorted, the worker's own first.
    """
    try:
        entries = os.listdir("/proc")
    except OSError:
        return [leader]
    parents: dict[int, tuple[int, int]] = {}
    for pid in map(int, filter(str.isdigit, entries)):
        fields = _stat(pid)
        if len(fields) > 3:
            parents[pid] = (int(fields[1]), int(fields[3]))
    found = {pid for pid, (_, session) in parents.items() if session == leader}
    found |= {leader} & parents.keys()
    while True:
        more = {pid for pid, (parent, _) in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads so far."""
    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def busy_seconds(pid: int) -> float:
    """As `cpu_seconds`, from the scheduler's own account; 0 where it keeps none."""
    total = 0
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                total += int((thread / "schedstat").read_text("ascii").split()[0])
    return total / 1e9


def kill_session(leader: int) -> None:
    """Kills a worker and whatever it has started."""
    deadline = time.monotonic() + 5
    # Found before its root is gone, and looked for again: one may have forked in between.
    known = set(session_processes(leader))
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    while (rest := _alive(known)) and time.monotonic() < deadline:
        for pid in rest:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
        known |= set(session_processes(leader))


def _alive(processes: Iterable[int]) -> list[int]:
    return [pid for pid in processes if _stat(pid)[:1] not in ([], ["Z"], ["X"])]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on: state, parent, group, session."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return []
    # The second field is the name in brackets and may hold anything.
    return text.rpartition(")")[2].split()


def _command(module: str, *arguments: str) -> list[str]:
    # Not -m: it would put the current folder on the path.
    start = (
        f"import sys; sys.path[:] = {[_PACKAGE_ROOT, *_inherited_path()]!r}; "
        f"from metalwright.evaluation.{module} import main; main()"
    )
    return [sys.executable, "-c", start, *arguments]


def _inherited_path() -> list[str]:
    return [os.path.abspath(path) for path in sys.path if path and path != _PACKAGE_ROOT]
