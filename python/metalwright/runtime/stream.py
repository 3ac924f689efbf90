"""How a dispatch meets the work that torch has queued on the same device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from metalwright import _native
from metalwright.errors import Error

StreamOrder = Literal["isolated", "in-stream"]


@contextmanager
def stream_order(order: StreamOrder) -> Iterator[None]:
    """Sets how the kernels that this thread calls in the block meet torch's own work.

    "isolated" is the default and the order for evaluation and timing: what torch has queued is
    finished first, the kernel runs on a queue of its own, and the call returns when it has ended.

    "in-stream" is the order for use inside a model: the kernel goes into torch's stream between
    what was queued before it and what comes after, and the call returns once it is encoded. There
    is no time to report, errors of the run appear where torch waits for its stream, and arguments
    are mps tensors, memory of `metalwright.empty` or numbers. The cpu device runs what it is given
    at once, which keeps this order by nature.

    Blocks nest. The setting is the thread's own: a thread that starts inside the block is
    "isolated".

    Raises:
        Error: ``bad-option``. The calls in the block raise ``no-torch-stream`` where the installed
            torch cannot do it (it needs 2.9 or newer with an mps device), and
            ``in-stream-host-memory`` for an argument that would have to be copied.
    """
    if order not in ("isolated", "in-stream"):
        raise Error("bad-option", f"stream_order({order!r}): expected 'isolated' or 'in-stream'")
    before = _native.set_in_stream(order == "in-stream")
    try:
        yield
    finally:
        _native.set_in_stream(before)
