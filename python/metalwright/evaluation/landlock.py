"""Linux's Landlock: where no mount namespace can be made, it still forbids writing elsewhere.

Weaker than `metalwright.evaluation.namespaces`: everything stays visible, and processes too.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38
# From the first version of the interface: write_file, remove_dir, remove_file, make_* (7 kinds);
# then refer, truncate, ioctl_dev by later versions.
_WRITE_FIRST = (1 << 1) | (1 << 4) | (1 << 5) | (0x7F << 6)
_LATER = {2: 1 << 13, 3: 1 << 14}
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/dri", "/dev/kfd")


def forbid_writing(folder: Path) -> str:
    """Forbids this process to change files outside of `folder`; says how that went."""
    if not sys.platform.startswith("linux"):
        return f"not available on {sys.platform}"
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, 0, _VERSION)
    if version < 1:
        return f"refused: landlock: {os.strerror(ctypes.get_errno())}"
    handled = _WRITE_FIRST
    for since, right in _LATER.items():
        handled |= right if version >= since else 0
    attributes = ctypes.create_string_buffer(struct.pack("Q", handled), 8)
    rules = libc.syscall(_CREATE, attributes, 8, 0)
    if rules < 0:
        return f"refused: landlock: {os.strerror(ctypes.get_errno())}"
    try:
        nvidia = sorted(map(str, Path("/dev").glob("nvidia*")))
        for path in (str(folder), *_DEVICES, *nvidia):
            if os.path.exists(path):
                _allow(libc, rules, path, handled)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(_RESTRICT, rules, 0):
            return f"refused: landlock: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(rules)
    return "writing forbidden (landlock)"


def _allow(libc: ctypes.CDLL, rules: int, path: str, handled: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        # A rule for a file may only name rights that a file can have.
        rights = handled if os.path.isdir(path) else handled & ((1 << 1) | (1 << 14))
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor), 12)
        libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
