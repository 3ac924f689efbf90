"""The judge's side of one worker: requests with a deadline, captured output, a memory watch."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from metalwright.evaluation.launcher import (
    Child,
    Launcher,
    await_end,
    busy_seconds,
    cpu_seconds,
    descendants,
    kill_session,
    kill_world,
    session_processes,
    thread_seconds,
)
from metalwright.evaluation.model import CapturedOutput
from metalwright.evaluation.sandbox import is_out_of_memory
from metalwright.evaluation.worker import WorkerOptions

_MAX_REPLY = 4 << 20
_KEPT_OUTPUT = 8 << 10
_WATCH_SECONDS = 0.05
_MUCH_WRITTEN = 128 << 20
# Interpreter, imports and (on macOS) a cold disk; not part of anyone's deadline.
START_SECONDS = 120.0


class WorkerFailure(Exception):
    """The worker did not answer and is gone. `kind` is crash, timeout or memory-limit."""

    def __init__(
        self, kind: str, message: str, status: int | None = None, signal_name: str | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.signal_name = signal_name


class WorkerError(Exception):
    """The worker answered with an error. Its content is foreign data."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message", "")))
        self.error = error


@dataclass(frozen=True)
class _Posted:
    """A request that was sent: its number, when it has to be answered, what to call it."""

    number: int
    end: float
    deadline: float
    doing: str


class WorkerProcess:
    """A worker from start to end. Leaving the context kills it and all it has started.

    `shared_bytes` is the size of the exchange files that both sides map; it is not held against
    the worker's memory limit.

    With `ahead` the worker is not waited for: it confines itself while the judge does something
    else, and a request may be posted already. `begin` waits.
    """

    def __init__(self, launcher: Launcher, options: WorkerOptions, *, ahead: bool = False) -> None:
        self._launcher = launcher
        self._limit = options.memory_limit
        self._folder = Path(options.folder) if options.folder else None
        self._free_before = self._free_bytes()
        self.shared_bytes = 0
        self.peak_memory = 0
        self.isolation: dict[str, str] = {}
        self._posted: _Posted | None = None
        self._begun = self._killed = False
        self._going: list[int] = []
        self._number = 0
        self._buffer = b""
        self._ended = False
        self._failure: WorkerFailure | None = None
        request_end, self._requests = os.pipe()
        self._replies, reply_end = os.pipe()
        output, output_end = os.pipe()
        os.set_blocking(self._requests, False)
        try:
            self._child: Child = launcher.start(options, request_end, reply_end, output_end)
        except BaseException:
            for descriptor in (self._requests, self._replies, output):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (request_end, reply_end, output_end):
                os.close(descriptor)
        self._capture = _Capture(output)
        if not ahead:
            try:
                self.begin()
            except BaseException:
                self.close()
                raise

    def begin(self) -> None:
        """Waits until the worker has confined itself.

        Raises:
            WorkerFailure: it could not.
        """
        if not self._begun:
            end = time.monotonic() + START_SECONDS
            self.isolation = self._receive(0, end, START_SECONDS, "starting")["isolation"]
            self._begun = True

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def printed(self) -> CapturedOutput | None:
        """What the worker has written to stdout and stderr so far; None if nothing."""
        return self._capture.result()

    def request(self, command: str, deadline: float, doing: str, **arguments: Any) -> Any:
        """Sends one request and returns the reply's content.

        `deadline` is in seconds from now; `doing` completes "the process died while ...".

        Raises:
            WorkerFailure: it died, took too long or too much memory, or broke the protocol; it has
                been killed.
            WorkerError: it answered with an error.
        """
        self.post(command, deadline, doing, **arguments)
        return self.collect()

    def post(self, command: str, deadline: float, doing: str, **arguments: Any) -> None:
        """Sends a request whose reply `collect` waits for; meanwhile the judge can do other work.

        Nobody watches the worker's memory and deadline in between: that is for short steps.

        Raises:
            WorkerFailure: as `request`.
        """
        if self._killed:
            # Its descriptors are closed, and their numbers may be somebody else's by now.
            raise self._failure or WorkerFailure("crash", f"had ended before {doing}")
        assert self._posted is None, "one request at a time"
        self._number += 1
        message = json.dumps({"id": self._number, "command": command, **arguments}) + "\n"
        self._posted = _Posted(self._number, time.monotonic() + deadline, deadline, doing)
        self._write(message.encode(), self._posted.end, deadline, doing)

    def collect(self) -> Any:
        """The content of the reply to what was posted; raises as `request`."""
        posted, self._posted = self._posted, None
        assert posted is not None, "nothing was posted"
        if self._killed:
            raise self._failure or WorkerFailure("crash", f"had ended while {posted.doing}")
        self.begin()
        return self._receive(posted.number, posted.end, posted.deadline, posted.doing)

    def settle(self) -> None:
        """Waits until a reply to what was posted is there, or the worker has ended."""
        if self._posted is not None:
            with contextlib.suppress(WorkerFailure):
                self.begin()
                while not (self._buffer or _readable(self._replies)):
                    self._watch(self._posted.end, self._posted.deadline, self._posted.doing)
                    time.sleep(0.001)

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """Stops all threads of the worker's process group, except inside `awake`.

        While the other side is timed, this one must not compute: OpenMP's threads spin for up to
        ten milliseconds after their work, on the very cores that are being timed.
        """
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Lets a worker that is asleep run for a while."""
        self._signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        # One that is gone is noticed by the next request.
        if self._killed or not self._child.pid:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)

    def cpu_seconds(self) -> float:
        """CPU time that the worker's session has used so far; 0 where /proc does not tell."""
        return sum(map(cpu_seconds, self._own_processes()))

    def busy_seconds(self) -> float:
        """As `cpu_seconds`, to the microsecond; for short times."""
        return sum(map(busy_seconds, self._own_processes()))

    def main_thread_seconds(self) -> float | None:
        """CPU time of the thread that answers requests; None where /proc does not tell."""
        processes = self._own_processes()
        return thread_seconds(processes[0]) if processes else None

    def machine_seconds(self) -> float:
        """What the worker has taken of the machine, for `MachineLoad`: the larger of two accounts.

        One is exact and forgets threads that have ended; the other counts them, in hundredths of a
        second, each process rounded down.
        """
        processes = self._own_processes()
        return max(sum(map(busy_seconds, processes)), sum(map(cpu_seconds, processes)))

    def kill(self) -> None:
        """Kills the worker and all it has started, without waiting for the end; see `close`."""
        if self._killed:
            return
        self._killed = True
        if self.isolation.get("processes") == "enforced":
            self._going = kill_world(self._child.pid)
        elif self._child.poll() is None:
            # Not only by its session: it may not have got as far as making one.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kills the worker and everything in its session; may be called again."""
        self.kill()
        if self._ended:
            return
        self._ended = True
        if self._going:
            await_end(self._going)
        elif self._child.pid:
            kill_session(self._child.pid)
        for descriptor in (self._requests, self._replies):
            os.close(descriptor)
        self._capture.close()
        self._await_exit(1.0)

    def _write(self, data: bytes, end: float, deadline: float, doing: str) -> None:
        while data:
            _, writable, _ = select.select([], [self._requests], [], _WATCH_SECONDS)
            if writable:
                try:
                    data = data[os.write(self._requests, data) :]
                except BrokenPipeError:
                    self._fail_dead(doing)
            else:
                self._watch(end, deadline, doing)

    def _receive(self, number: int, end: float, deadline: float, doing: str) -> Any:
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._replies], [], [], _WATCH_SECONDS)
            if readable:
                data = os.read(self._replies, 1 << 16)
                if not data:
                    self._fail_dead(doing)
                self._buffer += data
                if len(self._buffer) > _MAX_REPLY:
                    self._fail("crash", f"broke the protocol while {doing}: an endless reply")
            else:
                self._watch(end, deadline, doing)
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict) or reply.get("id") != number or len(reply) != 2:
            self._fail("crash", f"broke the protocol while {doing}: a reply to no request")
        if isinstance(reply.get("error"), dict):
            self.look_at_memory()
            raise WorkerError(reply["error"])
        if "ok" not in reply:
            self._fail("crash", f"broke the protocol while {doing}: neither result nor error")
        return reply["ok"]

    def _watch(self, end: float, deadline: float, doing: str) -> None:
        """What has to be looked at while the worker is silent."""
        if time.monotonic() > end:
            self._fail("timeout", f"over the deadline of {deadline:g} s while {doing}")
        self.look_at_memory()
        if self.peak_memory > self._limit:
            self._fail("memory-limit", f"over {format_bytes(self._limit)} of memory while {doing}")
        # Somebody else may hold the pipe's other end, so its closing alone says nothing; but a last
        # reply may still be in the pipe.
        if self._child.poll() is not None and not _readable(self._replies):
            self._fail_dead(doing)

    def look_at_memory(self) -> None:
        """Brings `peak_memory` up to date with what the worker's processes hold now.

        What it has written into its folder, which is memory as well, counts like the rest.
        """
        used = sum(map(_resident, self._own_processes())) + self._written() - self.shared_bytes
        self.peak_memory = max(self.peak_memory, used)

    def _own_processes(self) -> list[int]:
        """Its processes without the two that only keep guard (`namespaces`): forks that share the
        template's memory with it, which would be counted three times."""
        if not self._child.pid:
            return []
        if self.isolation.get("processes") != "enforced":
            return session_processes(self._child.pid)
        found = descendants(self._child.pid)
        return (session_processes(self._child.pid) if found is None else found)[2:]

    def _written(self) -> int:
        """Bytes in its folder, looked at only when that much has gone from the file system."""
        free = self._free_bytes()
        if self._folder is None or self._free_before - free < _MUCH_WRITTEN:
            return 0
        total = 0
        for root, _, names in os.walk(self._folder):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(root, name)).st_blocks * 512
        return total

    def _free_bytes(self) -> int:
        if self._folder is None or not hasattr(os, "statvfs"):
            return 0
        found = os.statvfs(self._folder)
        return found.f_bfree * found.f_frsize

    def fail_if_launcher_died(self, doing: str) -> None:
        """Raises `WorkerFailure` if the process that the worker comes from is no more."""
        if not self._launcher.is_alive():
            self._fail_dead(doing)

    def _fail_dead(self, doing: str) -> None:
        status = self._await_exit(5.0)
        if status is None:
            self._fail("crash", f"closed its channel while {doing}")
        elif status < 0:
            name = _signal_name(-status)
            if is_out_of_memory(self._capture.tail()):
                limit = format_bytes(self._limit)
                self._fail("memory-limit", f"over {limit} of memory while {doing}", status, name)
            self._fail("crash", f"was ended by {name} while {doing}", status, name)
        else:
            message = f"ended with exit status {status} while {doing}"
            if doing == "starting":
                # Our own code only has run: what it printed says what is wrong here.
                message += f": {self._capture.tail().strip()[-500:]}"
            self._fail("crash", message, status)

    def _fail(
        self, kind: str, message: str, status: int | None = None, signal_name: str | None = None
    ) -> None:
        self.close()
        self._failure = WorkerFailure(kind, message, status, signal_name)
        raise self._failure

    def _await_exit(self, seconds: float) -> int | None:
        end = time.monotonic() + seconds
        while (status := self._child.poll()) is None and time.monotonic() < end:
            time.sleep(0.002)
        return status


class _Capture:
    """Reads a pipe to its end in a thread of its own and keeps the beginning and the end."""

    def __init__(self, descriptor: int) -> None:
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._total = 0
        self._lock = threading.Lock()
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, args=(descriptor,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        # The pipe may stay open in a process that has left the session: do not wait for its end.
        os.close(self._stop_write)
        self._thread.join()
        os.close(self._stop_read)

    def result(self) -> CapturedOutput | None:
        with self._lock:
            if not self._total:
                return None
            text = bytes(self._head).decode("utf-8", "replace")
            tail = b"".join(self._tail)[-_KEPT_OUTPUT:]
            omitted = self._total - len(self._head) - len(tail)
            if omitted:
                text += f"\n[... {omitted} bytes left out ...]\n"
            return CapturedOutput(
                text=text + tail.decode("utf-8", "replace"), total_bytes=self._total
            )

    def tail(self) -> str:
        result = self.result()
        return result.text if result else ""

    def _run(self, descriptor: int) -> None:
        with open(descriptor, "rb", buffering=0) as pipe:
            end = math.inf
            while True:
                readable, _, _ = select.select([descriptor, self._stop_read], [], [])
                if self._stop_read in readable:
                    # What is in the pipe is still wanted; what is written from now on is not.
                    end = min(end, time.monotonic() + 1)
                if descriptor not in readable or time.monotonic() > end:
                    return
                data = pipe.read(1 << 16)
                if not data:
                    return
                with self._lock:
                    self._keep(data)

    def _keep(self, data: bytes) -> None:
        self._total += len(data)
        room = _KEPT_OUTPUT - len(self._head)
        self._head += data[:room]
        if data[room:]:
            self._tail.append(data[room:])
            self._tail_bytes += len(data[room:])
        while self._tail and self._tail_bytes - len(self._tail[0]) >= _KEPT_OUTPUT:
            self._tail_bytes -= len(self._tail.popleft())


def format_bytes(count: int) -> str:
    """A size for people, as in ``1.5 GiB``."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.4g} {unit}"


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _resident(pid: int) -> int:
    """Bytes of memory that are a process's own doing: anonymous and shared, files excepted."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        return 0
    total = 0
    for line in text.splitlines():
        if line.startswith(("RssAnon:", "RssShmem:")):
            total += int(line.split()[1]) * 1024
    return total


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
