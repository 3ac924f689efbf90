"""A lowered module as plain data: what stands between the compiler and the text of a candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

InputKind = Literal["user", "parameter", "buffer", "constant", "embedded"]


@dataclass(frozen=True)
class GraphInput:
    """One tensor that the host code starts from.

    ``symbol`` is its name in the host code. ``target`` says where it comes from: for a parameter,
    buffer or constant attribute its dotted name in the module; for an embedded constant a key of
    `LoweredModule.embedded`; for a user input its place as a Python expression over the arguments.
    """

    symbol: str
    kind: InputKind
    target: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class FixedInput:
    """An argument that is no tensor: its value is part of the generated code."""

    expression: str
    value: Any


@dataclass(frozen=True)
class MetalKernel:
    """One kernel: the name of its entry point, its complete source, the operators fused in it."""

    name: str
    source: str
    operators: tuple[str, ...]


@dataclass(frozen=True)
class LoweredModule:
    """What the compiler made of one call of a module.

    ``host`` is the body of the compiler's own host function, as Python text over the symbols of
    ``inputs`` that ends in ``return (...)``. ``outputs`` is the structure of the module's result: a
    Python expression in which ``{0}``, ``{1}``, ... stand for the tensors returned by ``host``.
    ``mutated`` are symbols of inputs into which the last results of ``host``, beyond those that
    ``outputs`` names, are to be copied. ``parameters`` are the names that the arguments of the call
    have in the module's ``forward``.
    """

    kernels: tuple[MetalKernel, ...]
    host: str
    inputs: tuple[GraphInput, ...]
    fixed: tuple[FixedInput, ...]
    outputs: str
    parameters: tuple[str, ...]
    embedded: dict[str, Any]
    mutated: tuple[str, ...]
    uses_random: bool
    training: bool | None
