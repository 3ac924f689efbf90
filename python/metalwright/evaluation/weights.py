"""Giving a module the reference's weights, also where it calls them by other names."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def copy_weights(
    own: Mapping[str, torch.Tensor],
    weights: Mapping[str, torch.Tensor],
    drawn: Mapping[str, torch.Tensor],
) -> tuple[list[str], dict[str, str]]:
    """Copies `weights` into `own`, in place: by name, else to what has the same values.

    `drawn` are the reference's weights as its constructor drew them. The module's constructor has
    run under the same seed, so a tensor of its own that equals one of these, as it is, transposed
    or in another shape, is that one under another name. Returns the names of those copied, and own
    names by the reference's where they differ.
    """
    copied, renamed = [], {}
    free = {name for name in own if name not in weights}
    with torch.no_grad():
        for name, value in weights.items():
            mine = own.get(name)
            if mine is not None and (mine.shape, mine.dtype) == (value.shape, value.dtype):
                mine.copy_(value)
                copied.append(name)
                continue
            for other in sorted(free):
                form = _form(own[other], drawn[name])
                if form is not None:
                    own[other].copy_(value.t() if form == "transposed" else _as(value, own[other]))
                    renamed[name] = other
                    free.discard(other)
                    break
    return copied, renamed


def _form(mine: torch.Tensor, value: torch.Tensor) -> str | None:
    if mine.dtype != value.dtype or mine.numel() != value.numel() or mine.numel() == 0:
        return None
    here = mine.detach().cpu()
    if torch.equal(here.flatten(), value.flatten()):
        return "reshaped"
    if value.dim() == 2 and here.shape == value.t().shape and torch.equal(here, value.t()):
        return "transposed"
    return None


def _as(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return value.reshape(like.shape)
