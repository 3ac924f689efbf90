"""Plays a Mac: the Metal device of csrc/metal over a stand-in for Apple's framework, for tests.

    folder = os.environ["METALWRIGHT_METAL_STANDIN"]
    sys.path.insert(0, folder)
    import metalwright_standin as standin

    with standin.mac(macos=(14, 0)):            # registers the device "metal"
        standin.inject("timeout")
        ...                                     # the next command buffer fails
    # leaving the block fails if Metal's debug layer would have stopped the program

Nothing here runs on a GPU; kernels run on the CPU device.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from metalwright import _native
from metalwright.runtime import clear_cache

from . import _standin

__all__ = [
    "Misuse",
    "MisuseError",
    "clear_faults",
    "configure",
    "forget_misuse",
    "inject",
    "install",
    "live_objects",
    "mac",
    "misuses",
    "statistics",
    "uninstall",
    "wait_until_idle",
    "wait_until_stuck",
]

inject = _standin.inject
clear_faults = _standin.clear_faults
forget_misuse = _standin.clear_misuses
live_objects = _standin.live_objects
statistics = _standin.statistics
wait_until_idle = _standin.wait_until_idle
wait_until_stuck = _standin.wait_until_stuck


@dataclass(frozen=True)
class Misuse:
    """What Metal's debug layer would have stopped the program for."""

    code: str
    message: str


class MisuseError(AssertionError):
    """The code under test misused Metal."""


def misuses() -> list[Misuse]:
    """Everything recorded since `forget_misuse()`."""
    return [Misuse(code, message) for code, message in _standin.misuses()]


def configure(*, macos: tuple[int, int] | None = None, **settings: Any) -> None:
    """Changes the Mac that is played; what is not named keeps its value.

    `settings` are the members of `Settings` in tests/metal_standin/implementation/controls.h. What
    the device reads once (its name, its limits) needs `install()` afterwards.
    """
    now = _standin.settings()
    if macos is not None:
        now.macos_major, now.macos_minor = macos
    for name, value in settings.items():
        if not hasattr(now, name):
            raise TypeError(f"the stand-in has no setting {name!r}")
        setattr(now, name, value)
    _standin.set_settings(now)


def install() -> int:
    """Registers the Metal devices of the Mac that is played; gives their number.

    They replace those registered before. With no device at all, nothing is registered.
    """
    _standin.take_backend(_native.native_device("cpu"))
    uninstall()
    devices = _standin.devices()
    for capsule in devices[:1]:  # devices are named by their kind
        _native.register_device(capsule)
    return len(devices)


def uninstall() -> None:
    """Takes the Metal device away again, and the libraries that were compiled for it."""
    if any(device.kind == "metal" for device in _native.devices()):
        _native.unregister_device("metal")
        clear_cache()


@contextlib.contextmanager
def mac(*, macos: tuple[int, int] | None = None, **settings: Any) -> Iterator[None]:
    """A Mac with the default settings and those given, for one test.

    On leaving, faults are cleared, running work is waited for, the device is taken away, and the
    settings are the default ones again. Raises MisuseError if Metal was misused and the test did
    not call `forget_misuse()`.
    """
    _standin.set_settings(_standin.default_settings())
    _standin.clear_faults()
    _standin.clear_misuses()
    configure(macos=macos, **settings)
    install()
    try:
        yield
    finally:
        _standin.clear_faults()
        idle = _standin.wait_until_idle(20)
        uninstall()
        gc.collect()
        _standin.set_settings(_standin.default_settings())
        found = misuses()
        _standin.clear_misuses()
    if found:
        raise MisuseError("\n".join(f"{misuse.code}: {misuse.message}" for misuse in found))
    if not idle:
        raise AssertionError("a command buffer did not end within 20 s")
