"""Watching every dispatch of the process, or replacing all of them by nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, cast, overload

from metalwright import _native

if TYPE_CHECKING:
    from metalwright.runtime.kernel import Kernel


def count_threadgroups(grid: Sequence[int], group_size: Sequence[int]) -> int:
    """How many threadgroups a grid of threads is cut into, those at a ragged edge included."""
    return math.prod(-(-n // m) for n, m in zip(grid, group_size, strict=True))


def trimmed(size: tuple[int, int, int]) -> tuple[int, ...]:
    """A size without the ones at its end: (256, 1, 1) is (256,)."""
    return size[: 3 if size[2] != 1 else 2 if size[1] != 1 else 1]


class DispatchRecord(NamedTuple):
    """One dispatch: which kernel, its seconds on the device clock, and how it was launched.

    The seconds are those of all its repeats together, and None for a dispatch that the device did
    not time (one in torch's stream). ``grid`` counts threads, also where threadgroups were asked
    for; ``group_size`` is threads per threadgroup; ``threadgroup_memory`` is bytes per threadgroup,
    what the kernel declares and what was bound together.
    """

    kernel: Kernel
    seconds: float | None
    grid: tuple[int, int, int]
    group_size: tuple[int, int, int]
    threadgroup_memory: int

    @property
    def threadgroups(self) -> int:
        """How many threadgroups the grid is cut into, those at a ragged edge included."""
        return count_threadgroups(self.grid, self.group_size)


class Recording(Sequence[DispatchRecord]):
    """The dispatches since `record` was entered, in order."""

    def __init__(self) -> None:
        self._entries: list[_native._Dispatched] = []

    @property
    def seconds(self) -> float:
        """The sum of all device seconds; see `untimed` for what it leaves out."""
        return sum(entry[1] for entry in self._entries if entry[1] is not None)

    @property
    def untimed(self) -> int:
        """How many of the dispatches have no device seconds."""
        return sum(entry[1] is None for entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> DispatchRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[DispatchRecord]: ...
    def __getitem__(self, index: int | slice) -> DispatchRecord | list[DispatchRecord]:
        if isinstance(index, slice):
            return [_record(entry) for entry in self._entries[index]]
        return _record(self._entries[index])


def _record(entry: _native._Dispatched) -> DispatchRecord:
    return DispatchRecord(cast("Kernel", entry[0]), *entry[1:])


@contextmanager
def record() -> Iterator[Recording]:
    """Collects every dispatch of the process, on whatever thread, while the block runs."""
    recording = Recording()
    _native.add_recorder(recording._entries)
    try:
        yield recording
    finally:
        _native.remove_recorder(recording._entries)


@contextmanager
def skip_kernels() -> Iterator[None]:
    """Turns kernels into no-ops while the block runs: arguments are checked, nothing is executed.

    Outputs keep what they held before. A program whose results are still right did not need its
    kernels.
    """
    _native.begin_skipping()
    try:
        yield
    finally:
        _native.end_skipping()
