"""What is known of a problem and of the device before anything is generated."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProblemFacts(_Data):
    """A problem as one run of its module shows it."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    operators: tuple[str, ...]
    """One line per operator with shapes."""
    signature: dict[str, int]
    """How often each operator occurs: the problem's operator graph, as far as similarity goes."""
    bytes: int
    """What has to be read and written at least: inputs, parameters and outputs, each once."""
    flops: int
    """Of matrix products, convolutions and attention; 0 if there are none."""


class DeviceFacts(_Data):
    """A device's limits, and what it was measured to do at most."""

    kind: str
    name: str
    architecture: str = ""
    compute_units: int = 0
    max_threads: int = 1024
    threadgroup_memory: int = 32768
    width: int = 32
    max_buffers: int = 31
    copy_bandwidth: float | None = None
    """Bytes per second, read and written."""
    fma_rate: float | None = None
    """Floating-point operations per second, float32, in registers."""


def floor_seconds(facts: ProblemFacts, device: DeviceFacts) -> float | None:
    """The least time that the problem's bytes and operations take with the measured peaks.

    The larger of the two terms of the roofline model (Williams, Waterman and Patterson 2009). Data
    that stay in a cache between calls can be faster, since the bandwidth is that of large buffers.
    """
    if device.copy_bandwidth is None:
        return None
    memory = facts.bytes / device.copy_bandwidth
    arithmetic = facts.flops / device.fma_rate if device.fma_rate else 0.0
    return max(memory, arithmetic) or None


def similarity(left: dict[str, int], right: dict[str, int]) -> float:
    """How alike two operator graphs are, 0 to 1: the cosine of the angle between their counts.

    Counts go in by their square root, so that a loop of a hundred additions does not outweigh the
    one convolution beside it.
    """
    a = {name: math.sqrt(count) for name, count in left.items()}
    b = {name: math.sqrt(count) for name, count in right.items()}
    product = sum(value * b.get(name, 0.0) for name, value in a.items())
    norm = math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
    return product / norm if norm else 0.0


_MATRIX_WORDS = ("mm", "conv", "attention", "linear", "einsum", "matmul")
_REDUCTION_WORDS = (
    *("sum", "mean", "softmax", "norm", "max", "min", "var", "std", "prod", "cumsum", "pool"),
    *("loss", "logsumexp", "argm"),
)


def fitting_examples(signature: dict[str, int] | None) -> list[str]:
    """Which examples of the contract show what the problem needs."""
    names = " ".join(Counter(signature or {}))
    chosen = ["elementwise"]
    if not names or any(word in names for word in _REDUCTION_WORDS):
        chosen.append("reduction")
    if any(word in names for word in _MATRIX_WORDS):
        chosen.append("matmul")
    return chosen


def device_values(facts: DeviceFacts) -> dict[str, Any]:
    """What templates are given as ``device``."""
    return facts.model_dump()
