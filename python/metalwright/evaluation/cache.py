"""Where figures of this machine are kept between runs."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """METALWRIGHT_CACHE, or the user's cache folder."""
    named = os.environ.get("METALWRIGHT_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "metalwright"


def machine() -> str:
    """What figures depend on besides the device: host, processor, how many cores we may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.node()} {platform.machine()} {cores}"


def read(name: str) -> Any:
    """The content of a file of the cache; None if there is none that can be read."""
    try:
        return json.loads((cache_folder() / name).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def write(name: str, content: Any) -> None:
    """Keeps content. A cache that cannot be written to only costs time."""
    path = cache_folder() / name
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(partial, path)
