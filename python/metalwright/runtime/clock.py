"""A clock that goes only while kernels run."""

from __future__ import annotations

from metalwright import _native
from metalwright.errors import Error
from metalwright.runtime.conditions import Conditions, Observer


class DeviceClock:
    """Counts the device seconds of every kernel that the process dispatches.

    Called, it gives the seconds since it was made. It stands still between dispatches, and goes on
    until `close`.
    """

    __name__ = "device_clock"

    def __init__(self) -> None:
        self._entries: list[_native._Dispatched] = []
        self._seconds = 0.0
        self._dispatches = 0
        self._observers = {info.kind: Observer(info.kind) for info in _native.devices()}
        self._used: dict[str, None] = {}  # in the order of their first dispatch
        _native.add_recorder(self._entries)

    def __call__(self) -> float:
        """The device seconds so far.

        Raises:
            Error: ``no-device-time`` if the device did not time one of the dispatches.
        """
        entries, self._entries[:] = self._entries[:], []
        for kernel, seconds, *_ in entries:
            if seconds is None:
                raise Error(
                    "no-device-time",
                    f"kernel '{kernel.name}' ran without a time on the device clock",
                    'Kernels in torch\'s stream have none: leave stream_order("in-stream").',
                )
            self._seconds += seconds
            self._used.setdefault(getattr(kernel, "device", ""))
        self._dispatches += len(entries)
        return self._seconds

    @property
    def dispatches(self) -> int:
        """How many kernels were dispatched up to the last reading."""
        return self._dispatches

    def conditions(self) -> tuple[Conditions, ...]:
        """What was measured under, one for each device that ran a kernel."""
        return tuple(self._observers[kind].conditions() for kind in self._used)

    def close(self) -> None:
        """Stops counting."""
        _native.remove_recorder(self._entries)
