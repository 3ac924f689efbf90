"""Files out of public wheels: fetched once and kept in a cache, never part of the repository.

The cache is ``metalwright/corpora`` in the user's cache folder (``XDG_CACHE_HOME``, or
``~/.cache``). With ``METALWRIGHT_LARGE_DOWNLOADS=0`` what is not there and is larger than 100 MB is
not fetched.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "metalwright" / "corpora"


def fetched(
    requirement: str,
    unpack: Callable[[Path, Path], None],
    *,
    platform: str | None = None,
    is_large: bool = False,
) -> Path:
    """The folder with what `unpack` made of the wheel; raises RuntimeError with the reason."""
    folder = _cache() / requirement.replace("==", "-")
    if folder.is_dir():
        return folder
    if is_large and os.environ.get("METALWRIGHT_LARGE_DOWNLOADS") == "0":
        raise RuntimeError(f"{requirement} is not in {folder.parent} and may not be downloaded")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        unpacked = Path(name) / "unpacked"
        unpacked.mkdir()
        unpack(_download(requirement, Path(name), platform), unpacked)
        try:
            unpacked.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    return folder


def _download(requirement: str, folder: Path, platform: str | None) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    command += ["--disable-pip-version-check", "--only-binary=:all:"]
    if platform:
        # Any interpreter that the release has a wheel for: only the files inside are of interest.
        command += ["--platform", platform, "--python-version", "3.12", "--implementation", "cp"]
        command += ["--abi", "cp312", "--abi", "none"]
    try:
        done = subprocess.run(
            [*map(str, command), requirement], capture_output=True, text=True, timeout=300
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{requirement} could not be downloaded in five minutes") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise RuntimeError(f"{requirement} could not be downloaded: {lines[-1]}")
    (wheel,) = folder.glob("*.whl")
    return wheel
