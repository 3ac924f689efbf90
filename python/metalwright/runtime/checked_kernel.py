"""Kernels that were compiled for the sanitiser."""

from __future__ import annotations

from typing import Any

from metalwright import _native
from metalwright.runtime.kernel import Kernel, TorchKernel
from metalwright.runtime.sanitizer import CheckFinding, make_finding, note_dispatch


class CheckedMixin:
    """What a kernel for the sanitiser adds: dispatches report what they find."""

    name: str
    _findings: tuple[CheckFinding, ...]
    _source: str
    _file_name: str

    def set_source(self, source: str, file_name: str) -> None:
        """The text that findings quote, and what they call it."""
        self._source, self._file_name, self._findings = source, file_name, ()

    @property
    def findings(self) -> tuple[CheckFinding, ...]:
        """What the latest dispatch found, errors first."""
        return self._findings

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Runs the kernel as `Kernel` does.

        Raises:
            CheckError: something was found that is an error.
        """
        self.run(1, *args, **kwargs)

    def run(self, repeats: int, /, *args: Any, **kwargs: Any) -> _native.Timing:
        """Runs the kernel once, whatever `repeats` says; raises as a call does."""
        self._findings = ()
        timing: _native.Timing = super().run(repeats, *args, **kwargs)  # type: ignore[misc]
        self._findings = tuple(
            make_finding(finding, self.name, self._source, self._file_name)
            for finding in timing.findings
        )
        note_dispatch(self.name, self._findings)
        return timing


class CheckedKernel(CheckedMixin, Kernel):
    """A kernel of a library that was compiled with ``check=True``."""


class CheckedTorchKernel(CheckedMixin, TorchKernel):
    """The same with torch's calling convention."""
