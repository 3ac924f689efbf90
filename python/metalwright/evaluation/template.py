"""The template process: imports what every worker needs, then forks one worker per request.

It never runs a problem, a candidate, a kernel or a torch operator, so a fork finds no thread pool
of theirs and no lock that somebody holds. The device's self-test it compiles, on its only thread:
the compiler's first run costs twice the others, and every worker would pay for it.

It talks to the judge over one socket: a line of worker options with three descriptors (requests,
replies, output) comes in; {"started": PID} and {"ended": PID, "status"} go out, a status below zero
being the signal.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from importlib import import_module

from metalwright.evaluation import sandbox
from metalwright.evaluation.worker import WorkerOptions, run_worker

PRELOADED = (
    "torch",
    "numpy.random",
    "metalwright",
    "metalwright.problems.loading",
    "metalwright.evaluation.candidate_service",
    "metalwright.evaluation.baseline_service",
    "metalwright.evaluation.peaks_service",
)


def main() -> None:
    """Serves the judge until it closes the socket."""
    sandbox.die_with_parent()
    connection = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        import_module(name)
    _compile_self_test()
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    # A handler has to exist for the wake-up to be written.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([connection.fileno(), wake], [], [])
        if wake in readable:
            os.read(wake, 512)
            _reap(connection)
        if connection.fileno() in readable:
            message, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 3)
            if not message:
                return
            if message == b"ping":
                _tell(connection, pong=os.getpid())
                continue
            options = WorkerOptions.from_json(message.decode())
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for unused in (wake, waker):
                    os.close(unused)
                connection.close()
                _become_worker(options, *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            _tell(connection, started=pid)


def _compile_self_test() -> None:
    with contextlib.suppress(Exception):
        # Without a CPU device workers say so themselves.
        from metalwright.evaluation.candidate_service import compile_self_test

        compile_self_test("cpu")


def _become_worker(options: WorkerOptions, requests: int, replies: int, output: int) -> None:
    status = 1
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        for descriptor in (requests, replies):
            os.set_inheritable(descriptor, False)
        run_worker(options, requests, replies)
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        # The usual end of an interpreter; it must not run on into the template's loop.
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def _reap(connection: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell(connection, ended=pid, status=os.waitstatus_to_exitcode(status))


def _tell(connection: socket.socket, **message: int) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")
