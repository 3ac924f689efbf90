"""What a worker may not do. Applied by the worker to itself before any foreign code runs.

Each measure answers for itself: "enforced", or why this platform could not. Nothing is passed over
in silence; the answers become `Evaluation.isolation`.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from metalwright.evaluation import landlock, namespaces, seatbelt

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1

# Compilers write temporary files, whatever the limit of memory.
_MIN_FILE_BYTES = 1 << 30

# How an allocation beyond the limit reads: torch's allocator in its versions, the C++ library.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "Cannot allocate memory",
    "bad_alloc",
)


def is_out_of_memory(text: str) -> bool:
    """Whether a message says that memory could not be had."""
    return any(words in text for words in _OUT_OF_MEMORY)


def enter(
    memory_limit: int,
    network: bool,
    folder: str = "",
    readable: Sequence[str] = (),
    inherited: Sequence[int] = (),
    started_in: str = "",
) -> dict[str, str]:
    """Confines this process, which must be the leader of its session and have one thread.

    With a `folder` the worker may write nothing else, and goes on as another process: see
    `metalwright.evaluation.namespaces`. `started_in` is what came of macOS's sandbox, in which it
    has to be started. Returns what came of each measure.
    """
    measures = {
        "process-group": "enforced" if os.getsid(0) == os.getpid() else "not the session's leader",
        "dies-with-judge": die_with_parent(),
    }
    if started_in and folder:
        measures |= _in_sandbox(Path(folder), network, started_in)
    else:
        measures |= _enter_own_world(folder, readable, network, inherited)
    return {
        **measures,
        "memory": _limit_memory(memory_limit),
        "steady-allocator": steady_allocator(),
        "file-size": _limit(resource.RLIMIT_FSIZE, max(memory_limit, _MIN_FILE_BYTES)),
        "core-dumps": _limit(resource.RLIMIT_CORE, 0),
    }


def _in_sandbox(folder: Path, network: bool, started_in: str) -> dict[str, str]:
    """What macOS's sandbox enforces, or why it does not."""
    if started_in != seatbelt.APPLIED:
        return dict.fromkeys(("processes", "file-system", "network"), f"refused: {started_in}")
    return seatbelt.verify(folder, network)


def _enter_own_world(
    folder: str, readable: Sequence[str], network: bool, inherited: Sequence[int]
) -> dict[str, str]:
    """Processes, files and network."""
    if not folder:
        # The user's own code.
        return {
            "network": "open by request" if network else _leave_network(),
            "file-system": "not confined",
        }
    if not sys.platform.startswith("linux"):
        reason = f"not available on {sys.platform}"
        return dict.fromkeys(("processes", "file-system", "network"), reason)
    found = namespaces.enter(Path(folder), [Path(path) for path in readable], network, inherited)
    if found["file-system"] != "enforced":
        found["file-system"] += "; " + landlock.forbid_writing(Path(folder))
    if found["network"].startswith("refused"):
        found["network"] = "open by request" if network else _leave_network()
    return found


def die_with_parent() -> str:
    """Has this process killed when the one that started it ends; says how that went."""
    if not sys.platform.startswith("linux"):
        return f"not available on {sys.platform}"
    if _libc().prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        return _reason()
    return "enforced"


def steady_allocator() -> str:
    """Has glibc keep freed memory instead of giving it back; the same for every worker.

    By default it gives large blocks back and takes them anew, page fault by page fault, depending
    on the sizes freed before: the same module was timed at 2.7 and at 4.6 ms in two workers that
    differed in nothing else. Kept memory is the faster of the two, for reference and candidate.
    """
    libc = _libc()
    if not hasattr(libc, "mallopt"):
        return f"not available on {sys.platform}"
    done = libc.mallopt(_M_MMAP_MAX, 0) and libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)
    return "enforced" if done else "refused"


def _limit_memory(limit: int) -> str:
    # RLIMIT_DATA and not RLIMIT_AS: torch and LLVM map hundreds of megabytes of files and reserve
    # address space that they never touch (640 MB of address space after `import torch`, of which
    # 220 MB are data). RLIMIT_DATA counts private writable memory, anonymous mappings included,
    # and makes the allocation fail instead of the process. What it does not see (shared mappings,
    # children) the judge's watchdog does.
    if not sys.platform.startswith("linux"):
        return f"only by the judge's watchdog on {sys.platform}"
    return _limit(resource.RLIMIT_DATA, limit)


def _limit(what: int, value: int) -> str:
    try:
        resource.setrlimit(what, (value, value))
    except (OSError, ValueError) as error:
        return f"refused: {error}"
    return "enforced"


def _leave_network() -> str:
    if not sys.platform.startswith("linux"):
        return f"not available on {sys.platform}"
    # Root can leave the network alone; others need a user namespace, in which they stay themselves.
    if _libc().unshare(_CLONE_NEWNET) == 0:
        return "enforced"
    user, group = os.geteuid(), os.getegid()
    if _libc().unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return _reason()
    try:
        for name, text in (
            ("uid_map", f"{user} {user} 1"),
            ("setgroups", "deny"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    except OSError as error:
        return f"enforced, but the user's name is lost: {error.strerror}"
    return "enforced"


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _reason() -> str:
    return f"refused: {os.strerror(ctypes.get_errno())}"
