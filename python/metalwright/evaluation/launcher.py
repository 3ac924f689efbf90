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
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from metalwright.evaluation import seatbelt
from metalwright.evaluation.worker import WorkerOptions

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")


class Child(Protocol):
    """A started worker."""

    @property
    def pid(self) -> int:
        """Its process; 0 if it could not be started."""

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


# NumPy's matrix products would start threads when it is imported. A worker may only use torch's
# threads for kernels, as a user's process does, if the process that forked it had none.
ALONE = {"OPENBLAS_NUM_THREADS": "1"}


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
    """Every worker is a new interpreter: on macOS one in a sandbox, if it is to be confined."""

    def __init__(self, sandbox: str | None = None) -> None:
        """`sandbox` is the program that confines: by default macOS's own there, none elsewhere."""
        if sandbox is None and sys.platform == "darwin":
            sandbox = seatbelt.PROGRAM
        self._sandbox = sandbox

    def start(self, options: WorkerOptions, requests: int, replies: int, output: int) -> Child:
        """See `Launcher`."""
        confine = bool(self._sandbox and options.folder)
        if self._sandbox and confine:
            refused = seatbelt.missing(self._sandbox)
            options = replace(options, seatbelt=refused or seatbelt.APPLIED)
            confine = not refused
        command = _command("worker", options.to_json(), str(requests), str(replies))
        if self._sandbox and confine:
            command = seatbelt.wrap(command, options.folder, options.network, self._sandbox)
        return subprocess.Popen(
            command,
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
        # Workers that were asked for and whose numbers have not come yet; they come in order.
        self._expected: deque[_ForkedChild] = deque()

    def start(self, options: WorkerOptions, requests: int, replies: int, output: int) -> Child:
        """See `Launcher`."""
        # A template that a worker has managed to kill is replaced, once.
        for attempt in (0, 1):
            connection = self._connect()
            try:
                message = options.to_json().encode() + b"\n"
                socket.send_fds(connection, [message], [requests, replies, output])
                child = _ForkedChild(self)
                self._expected.append(child)
                return child
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
        while self._expected:
            # It was never forked, or is killed with its parent.
            self._expected.popleft().number = 0

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

    def await_pid(self, child: _ForkedChild) -> int:
        """The number of a worker that was asked for; 0: the template ended before it forked it."""
        while child.number is None:
            try:
                self._read()
            except (EOFError, ConnectionResetError):
                self.close()
        return child.number

    def exit_status(self, pid: int) -> int | None:
        """What the template has said about the end of a worker, or the template's own end."""
        if not pid:
            return -signal.SIGKILL
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
                    env=worker_environment() | ALONE,
                )
            self._socket = ours
        return self._socket

    def _read(self) -> list[dict[str, int]]:
        assert self._socket is not None
        data = self._socket.recv(1 << 16)
        if not data:
            raise EOFError
        *lines, self._received = (self._received + data).split(b"\n")
        messages: list[dict[str, int]] = [json.loads(line) for line in lines]
        for message in messages:
            if "started" in message:
                self._expected.popleft().number = message["started"]
            if "ended" in message:
                self._exits[message["ended"]] = message["status"]
        return messages


class _ForkedChild:
    """A worker that the template forks, while the judge goes on."""

    def __init__(self, launcher: TemplateLauncher) -> None:
        self.number: int | None = None
        self._launcher = launcher

    @property
    def pid(self) -> int:
        """Waited for when it is asked for; 0 if there never was a process."""
        return self._launcher.await_pid(self)

    def poll(self) -> int | None:
        return self._launcher.exit_status(self.pid)


def descendants(root: int) -> list[int] | None:
    """A process with its children and theirs, the oldest first; None where the kernel has no list.

    Complete for a worker with a process namespace of its own, in which nothing can be handed to a
    parent outside. Looking through all of /proc instead takes ten milliseconds and more.
    """
    found = [root]
    for pid in found:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                text = Path(f"/proc/{pid}/task/{task}/children").read_text("ascii")
            except FileNotFoundError:
                if pid == root and os.path.exists(f"/proc/{pid}/task/{task}"):
                    return None
                continue
            except OSError:
                continue
            found += [child for child in map(int, text.split()) if child not in found]
    return found


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


def thread_seconds(pid: int) -> float | None:
    """As `busy_seconds`, of the process's first thread alone; None where nobody keeps account."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def busy_seconds(pid: int) -> float:
    """As `cpu_seconds`, from the scheduler's own account; 0 where it keeps none."""
    total = 0
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                total += int((thread / "schedstat").read_text("ascii").split()[0])
    return total / 1e9


def kill_world(leader: int) -> list[int]:
    """Kills a worker that has a process namespace of its own; returns what may take a while to go.

    The system itself kills all that is in the namespace when its first process ends.
    """
    known = descendants(leader) or [leader]
    for pid in known:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return known


def await_end(processes: Iterable[int]) -> None:
    """Waits until processes that were killed are gone, at most some seconds."""
    deadline = time.monotonic() + 5
    while _alive(processes) and time.monotonic() < deadline:
        time.sleep(0.001)


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
