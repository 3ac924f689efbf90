"""Under which conditions a time was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from metalwright import _native


@dataclass(frozen=True)
class CompileOptions:
    """The options of a library that bear on the speed of its kernels."""

    math_mode: str
    math_functions: str
    language_version: str


@dataclass(frozen=True)
class Conditions:
    """What bears on a time: the device, its state, and how the kernel was compiled.

    ``details`` are facts that only some devices have, by name: "os", "msl-version", "family", ...
    ``thermal_state`` is "nominal", "fair", "serious", "critical" or "unknown"; "nominal -> fair" if
    it changed while the time was taken. ``low_power_mode`` is None where the platform does not say.
    The last three are None where several kernels are timed together.
    """

    kind: str
    name: str
    architecture: str
    clock: str
    details: Mapping[str, str] = field(default_factory=dict)
    thermal_state: str = "unknown"
    low_power_mode: bool | None = None
    math_mode: str | None = None
    math_functions: str | None = None
    language_version: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


class Observer:
    """Reads a device's state before a measurement and once more after it."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._before = _native.device_state(device)

    def conditions(self, options: CompileOptions | None = None) -> Conditions:
        """What the time taken since this object was made was taken under."""
        info = _native.device_info(self._device)
        after = _native.device_state(self._device)
        thermal = self._before.thermal_state
        if after.thermal_state != thermal:
            thermal = f"{thermal} -> {after.thermal_state}"
        return Conditions(
            kind=info.kind,
            name=info.name,
            architecture=info.architecture,
            clock=info.clock,
            details=dict(info.details),
            thermal_state=thermal,
            low_power_mode=after.low_power_mode or self._before.low_power_mode,
            **(asdict(options) if options is not None else {}),
        )
