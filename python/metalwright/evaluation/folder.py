"""Where exchange files lie: folders in a memory file system that do not outlive their use."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_STALE_SECONDS = 60.0


@contextlib.contextmanager
def exchange_folder() -> Iterator[Path]:
    """A folder for exchange files, in a memory file system where there is one; removed at the end.

    Folders that a killed process has left behind are removed as well.
    """
    shared = Path("/dev/shm")
    root = shared if shared.is_dir() and os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
    _remove_stale(root)
    folder = Path(tempfile.mkdtemp(prefix=f"metalwright-{os.getpid()}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(root: Path) -> None:
    for folder in root.glob("metalwright-*-*"):
        pid = folder.name.split("-")[1]
        with contextlib.suppress(OSError):
            old = time.time() - folder.stat().st_mtime > _STALE_SECONDS
            if (
                pid.isdigit()
                and old
                and folder.stat().st_uid == os.getuid()
                and not _runs(int(pid))
            ):
                shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
