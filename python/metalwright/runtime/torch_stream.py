"""Telling a Metal device which torch is in the process, so that the two keep one order."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from metalwright import _native

_introduced: set[tuple[str, int]] = set()


def introduce_torch(device: str) -> None:
    """Tells the Metal device called `device` of torch, once, if torch has an mps device here.

    From then on the device lets torch's stream finish before an isolated dispatch, and may put
    kernels into it. The native half calls this before a kernel first meets torch's stream: when an
    mps tensor is bound, or in `stream_order("in-stream")`.

    Raises:
        Error: ``no-torch-stream`` if torch's functions are not found.
    """
    registration = (device, _native.registry_generation())
    torch = sys.modules.get("torch")
    if registration in _introduced or torch is None or not torch.backends.mps.is_available():
        return
    version = re.match(r"(\d+)\.(\d+)", torch.__version__)
    assert version is not None, torch.__version__
    assert torch.__file__ is not None
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.dylib"
    _native.MetalFacilities(device).use_torch(int(version[1]), int(version[2]), str(library))
    _introduced.add(registration)


_native.set_introduce_torch(introduce_torch)
