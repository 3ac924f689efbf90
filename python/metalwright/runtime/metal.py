"""What only Metal devices have: GPU traces, counter samples, the archive of pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from metalwright import _native
from metalwright.errors import Error
from metalwright.runtime import errors as _errors  # noqa: F401  (hands the error types over)


class Usable(NamedTuple):
    """Whether something works here, found out by trying it; if not, why."""

    usable: bool
    reason: str


@contextmanager
def capture(path: str | os.PathLike[str], *, device: str = "metal") -> Iterator[Path]:
    """Writes a GPU trace of everything that the device runs in the block, for Xcode.

    The process must have been started with MTL_CAPTURE_ENABLED=1 in its environment. The trace has
    no counter values until Xcode replays it.

    Args:
        path: Where the trace goes: ends in ``.gputrace``, and nothing is there yet.
        device: A Metal device.

    Raises:
        Error: ``capture-not-enabled``, ``capture-path``, ``capture-active``, ``capture-failed``,
            ``not-a-metal-device``, ``no-such-device``.
    """
    target = Path(path).absolute()
    facilities = _native.MetalFacilities(device)
    facilities.start_capture(str(target))
    try:
        yield target
    except BaseException:
        # What the block raised matters more than a trace that could not be finished.
        with suppress(Error):
            facilities.stop_capture()
        raise
    facilities.stop_capture()


def counter_samples(device: str = "metal") -> Usable:
    """Whether the device's counter samples can be trusted as a second clock, found out by trying.

    Raises:
        Error: ``not-a-metal-device``, ``no-such-device``.
    """
    test = _native.MetalFacilities(device).counter_samples()
    return Usable(test.usable, test.reason)


def in_stream(device: str = "metal") -> Usable:
    """Whether kernels can go into torch's stream with the torch that is installed.

    Raises:
        Error: ``not-a-metal-device``, ``no-such-device``, ``no-torch-stream``.
    """
    from metalwright.runtime.torch_stream import introduce_torch

    introduce_torch(device)
    test = _native.MetalFacilities(device).in_stream()
    return Usable(test.usable, test.reason)


def self_test(device: str = "metal", *, seconds: float = 30.0) -> Usable:
    """Whether the device still compiles and runs a small kernel, within `seconds`.

    Raises:
        Error: ``not-a-metal-device``, ``no-such-device``.
    """
    test = _native.MetalFacilities(device).self_test(seconds)
    return Usable(test.usable, test.reason)
