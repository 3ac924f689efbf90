"""The worker in which a baseline is timed, call for call as the candidate is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from metalwright.evaluation.module_service import ModuleService, rehearse
from metalwright.evaluation.reference_service import UserErrors
from metalwright.problems.loading import LoadedProblem
from metalwright.problems.problem import Problem


class BaselineService(ModuleService):
    """The module is the problem's own Model: in eager mode, or compiled by torch."""

    def __init__(self) -> None:
        super().__init__()
        self._problem: LoadedProblem
        self._compiled = False

    def command_warm(self, device: str) -> dict[str, Any]:
        """What the candidate's worker has done by now."""
        self.use_device(device)
        torch.addcmul(torch.arange(1000.0), torch.ones(1000), torch.tensor(3.0))
        rehearse(self._device)
        return {"healthy": True}

    def command_load(self, folder: str, device: str, kind: str = "eager") -> dict[str, Any]:
        """Runs the problem's file. `kind` is ``eager`` or ``compile``."""
        self.use_device(device)
        self._compiled = kind == "compile"
        with self.reporting():
            self._problem = Problem.read(Path(folder)).load()
        return {}

    def construct(self, arguments: list[Any], seed: int) -> torch.nn.Module:
        """See `ModuleService`."""
        module = self._problem.build(arguments, seed)
        if self._compiled:
            # The state dict stays that of the module: compile() works in place.
            module.compile(dynamic=False)
        return module

    def reporting(self) -> UserErrors:
        """See `ModuleService`."""
        return UserErrors()
