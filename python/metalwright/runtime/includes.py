"""Which files a Metal source includes: where torch's headers are, and what a library depends on."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_INCLUDE = re.compile(
    r'^[ \t]*#[ \t]*(?:include|import)[ \t]*(?:<([^>\n]+)>|"([^"\n]+)"|(\S))', re.M
)
_TORCH_PREFIXES = ("c10/", "ATen/")


@dataclass(frozen=True)
class Includes:
    """What a source includes, directly.

    ``names`` are (name, quoted); ``computed`` is true if a name is made by a macro or the source
    asks ``__has_include``, so that reading the text cannot tell what it depends on.
    """

    names: tuple[tuple[str, bool], ...]
    computed: bool


def scan(source: str) -> Includes:
    """Reads the include lines of a source. Lines that a conditional switches off count as well."""
    if "include" not in source and "import" not in source:
        return Includes((), False)
    names = []
    computed = "__has_include" in source
    for angled, quoted, other in _INCLUDE.findall(source):
        if other:
            computed = True
        else:
            names.append((angled or quoted, bool(quoted)))
    return Includes(tuple(names), computed)


@functools.cache
def torch_include_folder() -> str | None:
    """The folder of the installed torch's C++ headers, found without importing torch."""
    module = sys.modules.get("torch")
    origin = getattr(module, "__file__", None)
    if origin is None:
        spec = importlib.util.find_spec("torch")
        origin = spec.origin if spec else None
    if origin is None:
        return None
    folder = Path(origin).parent / "include"
    return str(folder) if (folder / "c10" / "metal").is_dir() else None


def search_path(includes: Includes, include_paths: Sequence[str]) -> tuple[str, ...]:
    """The folders to search: the caller's, then torch's if the source includes torch's headers."""
    folders = list(include_paths)
    if any(name.startswith(_TORCH_PREFIXES) for name, _ in includes.names):
        torch_folder = torch_include_folder()
        if torch_folder is not None and torch_folder not in folders:
            folders.append(torch_folder)
    return tuple(folders)


@dataclass(frozen=True)
class _File:
    stamp: tuple[int, int, int]
    digest: bytes
    includes: Includes


_files: dict[str, _File] = {}
_lock = threading.Lock()


def _read(path: str) -> _File | None:
    """The file's digest and includes; read again only if its time, size or inode changed."""
    try:
        status = os.stat(path)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = _files.get(path)
        if known is not None and known.stamp == stamp:
            return known
        content = Path(path).read_bytes()
    except OSError:
        return None
    file = _File(stamp, hashlib.sha256(content).digest(), scan(content.decode("utf-8", "replace")))
    with _lock:
        if len(_files) > 4096:
            _files.clear()
        _files[path] = file
    return file


def fingerprint(includes: Includes, folders: Sequence[str]) -> tuple[tuple[str, bytes], ...] | None:
    """The path and content digest of every file that is reached; None if that cannot be known."""
    if includes.computed:
        return None
    found: dict[str, bytes] = {}
    pending: list[tuple[Includes, str | None]] = [(includes, None)]
    while pending:
        current, folder = pending.pop()
        for name, quoted in current.names:
            places = [folder, *folders] if quoted and folder is not None else folders
            for place in places:
                path = os.path.join(place or "", name)
                if path in found:
                    break
                file = _read(path)
                if file is None:
                    continue
                if file.includes.computed:
                    return None
                found[path] = file.digest
                pending.append((file.includes, os.path.dirname(path)))
                break
    return tuple(sorted(found.items()))
