"""What reference and candidate workers have in common: devices, staged inputs, timed blocks."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from metalwright.evaluation.exchange import Layout, store
from metalwright.problems.loading import set_seed

# Where the tensors of each of metalwright's devices live in torch.
TORCH_DEVICES = {"cpu": "cpu", "metal": "mps", "cuda": "cuda"}


def torch_device(kind: str) -> torch.device:
    """Where tensors are for a device of metalwright.

    A metal device without torch's mps beside it (an Intel build of torch, the stand-in of the
    tests) takes CPU tensors, which it maps or copies.
    """
    if kind == "metal" and not torch.backends.mps.is_available():
        return torch.device("cpu")
    return torch.device(TORCH_DEVICES[kind])


def synchronize(device: torch.device) -> None:
    """Waits until everything queued on the device has run."""
    if device.type == "mps":
        torch.mps.synchronize()
    elif device.type == "cuda":
        torch.cuda.synchronize(device)


def to_device(value: Any, device: torch.device) -> Any:
    """The value with its tensors on the device; on the CPU the tensors themselves."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, (list, tuple)):
        return type(value)(to_device(item, device) for item in value)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    return value


def clone(value: Any) -> Any:
    """The value with copies of its tensors."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(clone(item) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(clone(item) for item in value)
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    return value


def timed_block(
    module: torch.nn.Module,
    rows: Sequence[list[Any]],
    seed: int,
    device: torch.device,
) -> tuple[float, list[Any]]:
    """Calls the module once for each row of arguments.

    Returns the seconds on this process's clock and all outputs. They are kept, so that nobody can
    know in advance which of them will be looked at.
    """
    outputs: list[Any] = []
    set_seed(seed)
    collecting = gc.isenabled()
    gc.disable()
    try:
        with torch.no_grad():
            synchronize(device)
            start = time.perf_counter()
            for row in rows:
                outputs.append(module(*row))
            synchronize(device)
            seconds = time.perf_counter() - start
    finally:
        if collecting:
            gc.enable()
    return seconds, outputs


def store_at(value: Any, path: str) -> Layout:
    """Writes a value into an exchange file."""
    return store(value, Path(path))
