"""The judge's workers on the stand-in for Apple's framework: each plays a Mac of its own.

Only the judge's own classes run here; what differs is that the device `metal` exists before they
start. Tensors are torch's on the CPU, which the Metal device copies or maps: there is no torch for
mps on this machine.
"""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager

from tests.device.conftest import standin

from metalwright.evaluation import (
    baseline_service,
    candidate_service,
    peaks_service,
    reference_service,
)
from metalwright.evaluation.launcher import Child, TemplateLauncher
from metalwright.evaluation.worker import WorkerOptions

_PLAYING: list[AbstractContextManager[None]] = []


def _play() -> None:
    package = standin()
    assert package is not None, "METALWRIGHT_METAL_STANDIN is not set"
    _PLAYING.append(package.mac())
    _PLAYING[-1].__enter__()


class CandidateService(candidate_service.CandidateService):
    """A candidate on a Mac that is played."""

    def __init__(self) -> None:
        _play()
        super().__init__()


class BaselineService(baseline_service.BaselineService):
    """The reference beside it."""

    def __init__(self) -> None:
        _play()
        super().__init__()


class ReferenceService(reference_service.ReferenceService):
    """The reference that tells what is right."""

    def __init__(self) -> None:
        _play()
        super().__init__()


class PeaksService(peaks_service.PeaksService):
    """What the device does at most."""

    def __init__(self) -> None:
        _play()
        super().__init__()


class MacLauncher(TemplateLauncher):
    """Starts the classes above instead of those that they are made of."""

    def start(self, options: WorkerOptions, requests: int, replies: int, output: int) -> Child:
        """See `Launcher`."""
        name = options.service.partition(":")[2]
        played = dataclasses.replace(options, service=f"tests.device.judged:{name}")
        return super().start(played, requests, replies, output)
