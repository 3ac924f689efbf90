"""The least time a problem's work takes: its bytes and operations over the device's peaks.

The peaks are measured once per machine and kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from metalwright.errors import Error
from metalwright.evaluation import cache
from metalwright.evaluation.model import Roofline, Timing

if TYPE_CHECKING:
    from metalwright.evaluation.session import Session

# A time below this share of the floor is beyond belief; above it the peaks may be a bit low.
BELIEF = 0.6
PEAKS_SERVICE = "metalwright.evaluation.peaks_service:PeaksService"


def look_at_roofline(session: Session, timing: Timing) -> tuple[Roofline, bool] | None:
    """The bound with what was reached of it, and whether the time is beyond it.

    None if the device's peaks cannot be measured.
    """
    try:
        peaks = session.peaks()
    except Error:
        return None
    if peaks is None:
        return None
    seconds = timing.candidate_seconds.median
    bound = roofline_of(session.work.bytes, session.work.flops, peaks)
    bound = bound.model_copy(
        update={
            "achieved_bandwidth": bound.bytes / seconds,
            "achieved_flop_rate": bound.flops / seconds if bound.flops else None,
        }
    )
    return bound, timing.candidate_seconds.median < BELIEF * bound.floor_seconds


def roofline_of(bytes_touched: int, flops: int, peaks: Mapping[str, Any]) -> Roofline:
    """The floor under the time of so much work."""
    table = {int(size): float(rate) for size, rate in peaks["bandwidth"].items()}
    # Caches make small amounts fast: the rate of the next smaller amount is never too low.
    smaller = [size for size in table if size <= bytes_touched] or [min(table)]
    bandwidth = max(table[size] for size in table if size >= max(smaller))
    rate = float(peaks["flop_rate"])
    return Roofline(
        bytes=bytes_touched,
        flops=flops,
        bandwidth=bandwidth,
        flop_rate=rate,
        floor_seconds=max(bytes_touched / bandwidth, flops / rate),
    )


def peaks_key(device: str, name: str) -> str:
    """Where a device's peaks are kept."""
    digest = hashlib.sha256(f"{device} {name} {cache.machine()} {torch.__version__}".encode())
    return f"peaks/{digest.hexdigest()[:32]}.json"
