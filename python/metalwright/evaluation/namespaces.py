"""A world of its own for a worker on Linux: processes, files, network and shared memory.

The worker sees the file system read-only but for one folder, an empty `/dev` with the devices that
kernels need, and no process but those it has started. Two processes stand between it and the judge:

    guard    the one that the judge knows; ends as the worker ended
    init     the first process of the new world; when it ends, the system kills all others in it
    worker   runs the service

No rights are needed where the system lets a user make a user namespace. Everything here may be
refused by a container's own confinement, and then says so instead of failing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_CLONE_NEWNS, _CLONE_NEWIPC = 0x00020000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_BIND, _MS_MOVE, _MS_REC, _MS_PRIVATE = 4096, 8192, 16384, 1 << 18
_SYS_MOUNT_SETATTR = 442  # the same on every architecture
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITIES = 64
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION = 0x20080522

_DEVICES = ("null", "zero", "full", "random", "urandom", "dri", "kfd")
_DEVICE_PATTERNS = ("nvidia*",)
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


class Refused(Exception):
    """The system does not let us; the text says what and why."""


def enter(
    folder: Path, readable: Sequence[Path], network: bool, inherited: Sequence[int]
) -> dict[str, str]:
    """Moves on into a new world; the callers of this go on in the worker only.

    `folder` stays writable, `readable` files and folders visible even where `/dev` hides them.
    `inherited` are descriptors that only the worker may keep. Returns what came of each measure;
    if the system refuses it all, the caller is still the process that it was.
    """
    flags = _CLONE_NEWNS | _CLONE_NEWIPC | _CLONE_NEWPID | (0 if network else _CLONE_NEWNET)
    user, group = os.geteuid(), os.getegid()
    try:
        # Always a user namespace, for root as well: its rights must not reach beyond it.
        _check(_libc().unshare(_CLONE_NEWUSER | flags), "unshare")
    except Refused as refused:
        reason = f"refused: {refused}"
        return dict.fromkeys(("processes", "file-system", "shared-memory", "network"), reason)
    _map_user(user, group)
    result = {
        "processes": "enforced",
        "shared-memory": "enforced",
        "network": "open by request" if network else "enforced",
    }
    # dies with the guard, of which the system makes sure from the first instruction on: a read from
    # a pipe whose other end only the guard holds.
    report, reported = os.pipe()
    # Opened now: guard and init share the new /dev, in which it is not to be had for a moment.
    null = os.open(os.devnull, os.O_RDWR)
    init = os.fork()
    if init != 0:
        os.close(reported)
        _guard(init, report, (*inherited, null), null)
    os.close(report)
    _libc().prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    result["file-system"] = _confine_files(folder, readable)
    if result["file-system"] != "enforced":
        result["shared-memory"] = result["file-system"]
    worker = os.fork()
    if worker != 0:
        _init(worker, reported, (*inherited, null), null)
    os.close(reported)
    os.close(null)
    result["privileges"] = _drop_privileges()
    return result


def _guard(init: int, report: int, inherited: Sequence[int], null: int) -> NoReturn:
    """Waits for the worker's end and ends in the same way."""
    # The judge reads the worker's output to its end.
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for descriptor in inherited:
        os.close(descriptor)
    # Ends when init has closed its end or is gone; the worker holds no copy.
    text = os.read(report, 16)
    os.waitpid(init, 0)
    status = struct.unpack("i", text)[0] if len(text) == 4 else -int(signal.SIGKILL)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status not in (9, 19) else None
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 1)


def _init(worker: int, reported: int, inherited: Sequence[int], null: int) -> NoReturn:
    """Collects what ends; says how the worker did, and with that ends the world."""
    # The judge reads the worker's output to its end.
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for descriptor in inherited:
        os.close(descriptor)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == worker:
            os.write(reported, struct.pack("i", os.waitstatus_to_exitcode(status)))
            os._exit(0)


def _map_user(user: int, group: int) -> None:
    for name, text in (
        ("uid_map", f"{user} {user} 1"),
        ("setgroups", "deny"),
        ("gid_map", f"{group} {group} 1"),
    ):
        # Without a map files belong to nobody, which is seen when they are opened.
        with (
            contextlib.suppress(OSError),
            open(f"/proc/self/{name}", "w", encoding="ascii") as file,
        ):
            file.write(text)


def _confine_files(folder: Path, readable: Sequence[Path]) -> str:
    try:
        _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
        devices = folder / ".devices"
        devices.mkdir()
        _mount("tmpfs", devices, "tmpfs", _MS_NOSUID, "size=64m,mode=755")
        shown = [_show(path, devices) for path in (folder, *readable)]
        opened = list(_bind_devices(devices))
        _set_attributes(Path("/"), _MS_RDONLY | _MS_NOSUID | _MS_NODEV, 0, recursive=True)
        for path in opened:
            _set_attributes(path, 0, _MS_NODEV)
        _set_attributes(shown[0], 0, _MS_RDONLY)
        # For POSIX shared memory and semaphores; what is left in it goes with this world.
        shared = devices / "shm"
        _set_attributes(devices, 0, _MS_RDONLY)
        shared.mkdir(exist_ok=True)
        _mount(devices, "/dev", None, _MS_MOVE)
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_RDONLY)
    except (Refused, OSError) as error:
        return f"refused: {error}"
    return "enforced"


def _show(path: Path, devices: Path) -> Path:
    """Makes a path a mount of its own, below the new /dev if it lies in the old one."""
    inside = path.is_relative_to("/dev")
    place = devices / path.relative_to("/dev") if inside else path
    if inside:
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    _mount(path, place, None, _MS_BIND)
    return place


def _bind_devices(devices: Path) -> list[Path]:
    found = [Path("/dev") / name for name in _DEVICES]
    for pattern in _DEVICE_PATTERNS:
        found += sorted(Path("/dev").glob(pattern))
    bound = []
    for source in found:
        if source.exists():
            target = devices / source.name
            if source.is_dir():
                target.mkdir()
            else:
                target.touch()
            _mount(source, target, None, _MS_BIND | _MS_REC)
            bound.append(target)
    for name, target_text in _LINKS.items():
        (devices / name).symlink_to(target_text)
    return bound


def _drop_privileges() -> str:
    libc = _libc()
    for capability in range(_CAPABILITIES):
        # Refused from the first number on that this system does not know.
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    number = _CAPSET.get(os.uname().machine)
    if number is None:
        return f"kept within the worker's own namespace on {os.uname().machine}"
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION, 0), 8)
    nothing = ctypes.create_string_buffer(24)
    try:
        _check(libc.syscall(number, header, nothing), "capset")
        _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    except Refused as refused:
        return f"refused: {refused}"
    return "enforced"


def _mount(source: object, target: object, kind: str | None, flags: int, data: str = "") -> None:
    result = _libc().mount(
        str(source).encode(),
        str(target).encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _check(result, f"mount {target}")


def _set_attributes(path: Path, on: int, off: int, recursive: bool = False) -> None:
    # The attributes have the values of the old flags of the same names.
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", on, off, 0, 0), 32)
    flags = _AT_RECURSIVE if recursive else 0
    result = _libc().syscall(
        _SYS_MOUNT_SETATTR, _AT_FDCWD, str(path).encode(), flags, attributes, 32
    )
    _check(result, f"mount attributes of {path}")


def _check(result: int, what: str) -> None:
    if result != 0:
        raise Refused(f"{what}: {os.strerror(ctypes.get_errno())}")


def _libc() -> ctypes.CDLL:
    assert sys.platform.startswith("linux")
    return ctypes.CDLL(None, use_errno=True)
