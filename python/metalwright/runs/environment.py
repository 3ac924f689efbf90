"""What else decides a run's results besides the machine: the state of things when it began."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SEEDS = (
    "the judge draws inputs and weights from fresh secret seeds for every evaluation; the search's "
    "random choices come from its own seed, the problem and the slot"
)
_PARAMETERS = ("effort", "temperature", "max_tokens")


def describe_environment(device: str, search: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Facts by section, all as texts: device, system, prompts, models, seeds, git.

    `device` is the device's kind, `search` the settings of the search as plain data. No names of
    hosts or users.
    """
    return {
        "device": _device(device),
        "system": {
            "os": platform.system(),
            "release": platform.release(),
            "version": platform.version(),
        },
        "prompts": {"sha256": str(search.get("prompts", ""))},
        "models": _models(search),
        "seeds": {"policy": _SEEDS, "search seed": str(search.get("seed", 0))},
        "git": describe_git(Path.cwd()),
    }


def _device(kind: str) -> dict[str, str]:
    from metalwright.runtime.conditions import Observer

    conditions = Observer(kind).conditions()
    power = {None: "unknown", True: "on", False: "off"}[conditions.low_power_mode]
    return {
        "clock": conditions.clock,
        "thermal state": conditions.thermal_state,
        "low power mode": power,
        **{key: str(value) for key, value in conditions.details.items()},
    }


def _models(search: Mapping[str, Any]) -> dict[str, str]:
    given = [f"{name} = {search[name]}" for name in _PARAMETERS if search.get(name) is not None]
    parameters = ", ".join(given) or "the provider's defaults"
    found = {str(name): parameters for name in search.get("models", ())}
    unavailable = search.get("unavailable", {})
    return found | {str(name): f"left out: {reason}" for name, reason in unavailable.items()}


def describe_git(folder: Path) -> dict[str, str]:
    """The commit of the folder's repository and whether files differ from it; empty without one."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "?"
    changed = len(changes.splitlines()) if changes is not None else 0
    return {
        "commit": commit,
        "branch": branch,
        "state": f"{changed} files changed" if changed else "clean",
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
