"""Inputs and weights that make the usual shortcuts fail. Runs in workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_SPIKE_EVERY = 97


def _constant(x: torch.Tensor) -> torch.Tensor:
    return x.new_full(x.shape, x.flatten()[0].item())


def _spikes(x: torch.Tensor) -> torch.Tensor:
    flat = x.clone().flatten()
    flat[::_SPIKE_EVERY] *= 64 if x.dtype is torch.float16 else 1e4
    return flat.reshape(x.shape)


def _tiny(x: torch.Tensor) -> torch.Tensor:
    # Denormals of the dtype, where it has them.
    return x * (torch.finfo(x.dtype).smallest_normal / 8)


# By the name that the evidence gives.
VARIANTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "negated": torch.neg,
    "large": lambda x: x * (16 if x.dtype is torch.float16 else 1000),
    "small": lambda x: x * 1e-3,
    "constant": _constant,
    "zeros": torch.zeros_like,
    "spikes": _spikes,
    "denormal": _tiny,
}
STRIDED = "non-contiguous"


def transform(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The value with `change` applied to its floating-point tensors."""
    if isinstance(value, torch.Tensor):
        return change(value) if value.is_floating_point() and value.numel() else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(transform(item, change) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(transform(item, change) for item in value)
    if isinstance(value, dict):
        return {key: transform(item, change) for key, item in value.items()}
    return value


def strided(value: Any) -> Any:
    """The same values, every tensor of at least two elements with gaps between its elements."""
    if isinstance(value, torch.Tensor):
        if value.numel() < 2 or value.dim() == 0:
            return value
        room = value.new_empty((*value.shape[:-1], 2 * value.shape[-1]))
        view = room[..., ::2]
        view.copy_(value)
        return view
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(strided(item) for item in value)
    if isinstance(value, dict):
        return {key: strided(item) for key, item in value.items()}
    return value


def moved(value: Any, seed: int, roundings: float = 1.0) -> Any:
    """Floating-point tensors with every element up or down by so many rounding errors."""
    generator = torch.Generator().manual_seed(seed)

    def move(x: torch.Tensor) -> torch.Tensor:
        sign = torch.randint(0, 2, x.shape, generator=generator).to(x.dtype) * 2 - 1
        return x * (1 + sign * (roundings * torch.finfo(x.dtype).eps))

    return transform(value, move)


def redraw_weights(state: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Other weights of the same kind: no affine parameter stays at its default.

    Buffers stay, but for running statistics: what else they hold, such as masks and tables, is
    part of the problem.
    """
    generator = torch.Generator().manual_seed(seed)

    def noise(x: torch.Tensor) -> torch.Tensor:
        return torch.randn(x.shape, generator=generator).to(x.dtype)

    result = {}
    for name, value in state.items():
        last = name.rpartition(".")[2]
        if not value.is_floating_point() or value.numel() == 0:
            result[name] = value
        elif last == "running_var":
            result[name] = value * (0.5 + torch.rand(value.shape, generator=generator))
        elif last == "running_mean":
            result[name] = value + 0.3 * noise(value)
        else:
            spread = value.std().item() if value.numel() > 1 else 0.0
            scale = 0.1 * (spread if 0 < spread < 1 else 1.0)
            result[name] = value * (1 + 0.3 * noise(value)) + scale * noise(value)
    return result
