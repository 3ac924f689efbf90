"""Which devices there are, and which one is meant when none is named."""

from __future__ import annotations

import os

from metalwright import _native
from metalwright._native import DeviceInfo
from metalwright.errors import Error
from metalwright.runtime import errors as _errors  # noqa: F401  (hands the error types over)

# An Apple GPU if there is one: that is what the kernels are written for.
PREFERENCE = ("metal", "cuda", "cpu")


def devices() -> list[DeviceInfo]:
    """The devices that kernels can be compiled for here, the preferred one first.

    Several of a kind are told apart by their position among them: "metal", "metal:1", ...
    """
    rank = {kind: position for position, kind in enumerate(PREFERENCE)}
    return sorted(_native.devices(), key=lambda info: rank.get(info.kind, len(rank)))


def device_info(device: str) -> DeviceInfo:
    """What the device called `device` says of itself.

    Raises:
        Error: ``no-such-device``.
    """
    return _native.device_info(device)


def default_device() -> str:
    """The device used when none is named: METALWRIGHT_DEVICE, or the first of `devices()`.

    So on a Mac that is its GPU, and on any other machine the CPU. The tensors of a call play no
    part in it: a kernel is compiled before it is called.

    Raises:
        Error: ``no-such-device`` if this build has no device at all.
    """
    named = os.environ.get("METALWRIGHT_DEVICE")
    if named:
        return named
    present = devices()
    if not present:
        raise Error(
            "no-such-device",
            "this build of metalwright has no device",
            "It was built without LLVM (METALWRIGHT_CPU=OFF) on a machine without Metal.",
        )
    return present[0].kind
