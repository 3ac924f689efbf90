"""What a worker may not do on macOS: a profile for `sandbox-exec`, and whether it took hold.

`sandbox-exec` starts a program in a sandbox that its children inherit and that nothing inside can
widen. Its manual page calls it deprecated; there is no other way to confine a process that is not
an app. The profile's language is not documented by Apple for others. This one keeps to forms that
Apple's own profiles have: everything is allowed but what is denied, and of rules that match the
last one counts. Paths are parameters (`-D`), so that none of them is ever part of the text.

Whether any of it works is not believed but tried: `verify` runs inside, before foreign code does,
and what it could do is not called enforced.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

PROGRAM = "/usr/bin/sandbox-exec"
APPLIED = "applied"
"""What a worker is told that was started in the sandbox; another text says why it was not."""
_TRY_SECONDS = 20.0

_HEAD = """(version 1)
(allow default)
"""
_FILES = """; Nothing is written but the worker's own folder and what swallows everything.
(deny file-write*)
(allow file-write* (subpath (param "FOLDER")))
(allow file-write-data (literal "/dev/null") (literal "/dev/zero"))
"""
_PROCESSES = """; No process but the worker's own is signalled, looked into or taken over.
(deny signal)
(allow signal (target same-sandbox))
(deny process-info*)
(allow process-info* (target same-sandbox))
(deny mach-priv-task-port)
(allow mach-priv-task-port (target same-sandbox))
; Nobody outside is asked to do what the worker may not.
(deny appleevent-send)
(deny lsopen)
(deny job-creation)
"""
_NETWORK = """(deny network*)
"""


def profile(network: bool) -> str:
    """The text of the profile; its parameter is FOLDER."""
    return _HEAD + _FILES + _PROCESSES + ("" if network else _NETWORK)


def wrap(command: list[str], folder: str, network: bool, program: str = PROGRAM) -> list[str]:
    """The command, started in the sandbox; it may write `folder` alone.

    Raises:
        ValueError: no program could be given such a path.
    """
    # The kernel compares what links lead to: /tmp and /var are links on macOS.
    real = os.path.realpath(folder)
    if "\0" in real or not os.path.isabs(real) or real == "/":
        raise ValueError(f"not a folder that could be confined to: {folder!r}")
    return [program, "-D", f"FOLDER={real}", "-p", profile(network), *command]


@functools.cache
def missing(program: str = PROGRAM) -> str:
    """Why there is no sandbox; empty: there is one.

    A process that is in a sandbox already cannot enter another, and the profile may be in words
    that another version of the system does not know: both show here and not in a worker.
    """
    if not os.access(program, os.X_OK):
        return f"there is no {program}"
    try:
        done = subprocess.run(
            wrap(["/usr/bin/true"], os.getcwd(), False, program),
            capture_output=True,
            text=True,
            timeout=_TRY_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"{program} does not run: {error}"
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return f"{program} refuses: {said[-1] if said else f'exit status {done.returncode}'}"
    return ""


def verify(folder: Path, network: bool) -> dict[str, str]:
    """What is enforced on this process, found out by trying; its parent is the judge."""
    return {
        "file-system": _denied(lambda: _write_beside(folder)),
        "processes": _denied(lambda: os.kill(os.getppid(), 0)),
        "network": "open by request" if network else _denied(_connect),
    }


def _denied(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            return "enforced"
        return f"not enforced: an attempt ended with {error.strerror}"
    return "not enforced: an attempt was successful"


def _write_beside(folder: Path) -> None:
    place = folder.resolve().parent / f".metalwright-{os.getpid()}"
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    with contextlib.suppress(OSError):
        place.unlink()


def _connect() -> None:
    with socket.socket() as connection:
        connection.settimeout(1.0)
        # Nobody needs to listen: the sandbox answers before the network does.
        connection.connect(("127.0.0.1", 9))
