"""Filling memory so that what was never written cannot be right by chance."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from metalwright.evaluation.pattern import POISON_BYTE

_M_PERTURB = -6
_COPIES = 4


def fill_freed(sizes: Sequence[int], device: torch.device) -> None:
    """Fills freed blocks of these sizes (bytes) with NaN: allocates them, writes, frees them.

    An output that is allocated next gets such a block, on every device whose allocator keeps what
    is freed (glibc as workers set it, and torch's on mps and cuda).
    """
    held = []
    for size in sizes:
        for _ in range(_COPIES):
            count = max(1, size // 4)
            held.append(torch.full((count,), float("nan"), device=device))
    del held


def fill_all(on: bool) -> bool:
    """Has glibc fill every block as it is allocated, from now on or no longer; False: cannot."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    # Allocated memory gets the complement of this byte; 0 turns it off.
    return bool(libc.mallopt(_M_PERTURB, (POISON_BYTE ^ 0xFF) if on else 0))
