"""Running a kernel once under Metal's validation layers, in a process of its own."""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalwright import _native
from metalwright.errors import Error
from metalwright.runtime.buffer import Buffer
from metalwright.runtime.library import Constants
from metalwright.runtime.validation_findings import (
    SHADER_VALIDATION_BANNER,
    Finding,
    parse_findings,
)

# The layers read these when the device is made, which is why they need a fresh process.
ENVIRONMENT = {
    "MTL_DEBUG_LAYER": "1",
    "MTL_SHADER_VALIDATION": "1",
    "MTL_SHADER_VALIDATION_REPORT_TO_STDERR": "1",  # else they go to the system's log
}


@dataclass(frozen=True)
class ValidationReport:
    """What Metal's validation layers said about one run of a kernel.

    ``error`` is what the run itself raised ("code: message"), or how the process ended, or None.
    ``stderr`` is everything that the process wrote there.
    """

    kernel: str
    findings: tuple[Finding, ...]
    error: str | None
    stderr: str

    @property
    def is_clean(self) -> bool:
        """Whether the kernel ran to its end and nothing was found."""
        return not self.findings and self.error is None


@dataclass(frozen=True)
class Packed:
    """A tensor or array as the fresh process makes it anew: the elements that it reaches."""

    dtype: str
    elements: int
    data: bytes


def _pack_tensor(tensor: Any) -> Packed:
    import torch

    tensor = tensor.detach()
    reach = 1 + sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
    )
    flat = tensor.as_strided((reach,), (1,)).cpu()
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Packed(dtype, reach, flat.view(torch.uint8).numpy().tobytes())


def _pack_array(array: np.ndarray[Any, Any]) -> Packed:
    if any(stride < 0 for stride in array.strides):
        raise Error("negative-stride", "validate() takes no array that runs backwards in memory")
    reach = 1 + sum(
        (size - 1) * (stride // array.itemsize)
        for size, stride in zip(array.shape, array.strides, strict=True)
    )
    flat = np.lib.stride_tricks.as_strided(array, (reach,), (array.itemsize,))
    return Packed(array.dtype.name, reach, flat.tobytes())


def _pack(value: object) -> object:
    if isinstance(value, Buffer):
        return Packed(value.dtype, math.prod(value.shape), value.to_bytes())
    if isinstance(value, np.ndarray):
        return _pack_array(value)
    if type(value).__module__.partition(".")[0] == "torch" or hasattr(value, "untyped_storage"):
        return _pack_tensor(value)
    return value


def _element_count(value: object) -> int | None:
    """How many elements a tensor, array or buffer has; None for anything else."""
    if isinstance(value, Buffer):
        return math.prod(value.shape)
    if isinstance(value, np.ndarray):
        return int(value.size)
    numel = getattr(value, "numel", None)
    return None if numel is None else int(numel())


def validate(
    source: str,
    kernel: str,
    *args: Any,
    device: str = "metal",
    constants: Constants | None = None,
    options: Mapping[str, Any] | None = None,
    timeout: float = 120.0,
    **call: Any,
) -> ValidationReport:
    """Compiles and runs a kernel once under Metal's debug layer and shader validation.

    The layers are chosen when a device is made, so this is done in a fresh process, with copies of
    the arguments: each tensor or array becomes a `Buffer` that ends with its last element, because
    an access is judged by the length of the buffer and torch's are longer than its tensors. What
    the kernel writes is dropped.

    Args:
        source: Metal Shading Language.
        kernel: The kernel's name.
        args: Its arguments, as for a call.
        device: A Metal device.
        constants: Function constants by index or name.
        options: Further keywords of `metalwright.compile`, such as ``math_mode``.
        timeout: Seconds for all of it. The layers make kernels many times slower.
        call: The keywords of the call: ``threads=``, ``group_size=``, arguments by name, ...

    Raises:
        Error: ``not-a-metal-device``, ``no-such-device``; ``validation-unavailable`` if the shader
            layer did not report for duty, ``validation-timeout``. What the kernel itself does
            wrong is in the report.
    """
    _native.MetalFacilities(device)  # raises unless it is a Metal device
    if call.get("threads") is None and call.get("threadgroups") is None:
        counts = (_element_count(value) for value in (*args, *call.values()))
        call["threads"] = next((count for count in counts if count is not None), None)
    job = {
        "source": source,
        "kernel": kernel,
        "device": device,
        "constants": None if constants is None else dict(constants),
        "options": dict(options or {}),
        "args": [_pack(value) for value in args],
        "call": {name: _pack(value) for name, value in call.items()},
    }
    with tempfile.TemporaryDirectory(prefix="metalwright-validate-") as folder:
        task, result = Path(folder) / "job", Path(folder) / "result"
        task.write_bytes(pickle.dumps(job))
        try:
            done = subprocess.run(
                [sys.executable, "-m", "metalwright.runtime.validation_worker", task, result],
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise Error(
                "validation-timeout",
                f"kernel '{kernel}' did not end in {timeout:g} s under validation",
            ) from None
        error = result.read_text(encoding="utf-8") if result.exists() else _ended(done.returncode)
    stderr = done.stderr.decode("utf-8", "replace")
    findings = parse_findings(stderr)
    if SHADER_VALIDATION_BANNER not in stderr and not findings:
        raise Error(
            "validation-unavailable",
            f"the process did not say '{SHADER_VALIDATION_BANNER}', so nothing was validated"
            + (f"; it failed: {error}" if error else ""),
            f"stderr:\n{stderr.strip()[-2000:]}" if stderr.strip() else "",
        )
    return ValidationReport(kernel, findings, error or None, stderr)


def _ended(status: int) -> str:
    """How a process ended that wrote no result. The debug layer stops it with SIGABRT."""
    if status < 0:
        return f"process-ended: the process was ended by {signal.Signals(-status).name}"
    return f"process-ended: the process ended with status {status}"
