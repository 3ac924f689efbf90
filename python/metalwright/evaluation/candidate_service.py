"""The worker in which a candidate runs. Everything it answers is a claim of the candidate's."""

from __future__ import annotations

import linecache
import os
import sys
import traceback
import types
from pathlib import Path
from typing import Any

import torch

import metalwright
from metalwright.errors import Error
from metalwright.evaluation import poison
from metalwright.evaluation.coverage import Watch, watch_call
from metalwright.evaluation.exchange import Layout, load_copied, tensors_of
from metalwright.evaluation.module_service import ModuleService, rehearse
from metalwright.evaluation.sandbox import is_out_of_memory
from metalwright.evaluation.service import clone, to_device
from metalwright.evaluation.worker import Refusal
from metalwright.problems.loading import set_seed
from metalwright.runtime import CompileError, Kernel, skip_kernels
from metalwright.runtime import compile as compile_metal

_MAX_TEXT = 20_000
_SELF_TEST = """
#include <metal_stdlib>
kernel void self_test(device float* out, device const float* x, constant float& factor,
                      uint i [[thread_position_in_grid]]) {
  out[i] = metal::fma(x[i], factor, float(i));
}
"""


def compile_self_test(device: str) -> Kernel:
    """The kernel that tests a device; the run time keeps what it has compiled."""
    return compile_metal(_SELF_TEST, device=device).kernel("self_test")


class CandidateService(ModuleService):
    """The module is a candidate file's ModelNew."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[str, Any] = {}
        self._file = ""
        self._answer: Any = None
        self._checking: Any = None
        self._report: Any = None

    def command_warm(self, device: str) -> dict[str, Any]:
        """Makes everything ready that does not depend on the candidate, and tests the device.

        The first kernel and the first operator of a process cost a tenth of a second; a device that
        the candidate before has left in a bad state is noticed here, before anything is blamed.
        """
        self.use_device(device)
        x = torch.linspace(-1.0, 1.0, 1000)
        out = torch.full((1000,), float("nan"))
        compile_self_test(device)(out, x, 3.0, threads=1000)
        rehearse(self._device)
        expected = torch.addcmul(torch.arange(1000.0), x, torch.tensor(3.0))
        return {"healthy": torch.allclose(out, expected, rtol=1e-6, atol=1e-6)}

    def command_load(self, path: str, device: str) -> dict[str, Any]:
        """Runs the candidate's file, which has to define ModelNew."""
        self.use_device(device)
        # What `metalwright.compile` takes when a candidate names no device.
        os.environ["METALWRIGHT_DEVICE"] = device
        self._file = path
        source = Path(path).read_text("utf-8")
        module = types.ModuleType("metalwright_candidate")
        module.__file__ = path
        sys.modules[module.__name__] = module
        linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
        with self.reporting():
            exec(compile(source, path, "exec"), module.__dict__)
        self._names = module.__dict__
        if not isinstance(self._names.get("ModelNew"), type):
            raise Refusal(kind="no-model", message="the candidate defines no class ModelNew")
        return {}

    def command_check(self) -> dict[str, Any]:
        """Has every kernel that is compiled from now on watched by the sanitiser, if there is one.

        Says so; `command_findings` ends it.
        """
        checking = getattr(metalwright, "checking", None)
        if checking is None:
            return {"available": False}
        self._checking = checking()
        self._report = self._checking.__enter__()
        return {"available": True}

    def command_findings(self) -> dict[str, Any]:
        """What the sanitiser has found since."""
        self._checking.__exit__(None, None, None)
        found = [str(finding.message)[:500] for finding in self._report.errors][:20]
        places = [(item.kernel, item.line, item.source_line) for item in self._report.errors][:20]
        return {
            "findings": [
                f"{kernel}, line {line}: {message}: {str(source).strip()[:200]}"
                for message, (kernel, line, source) in zip(found, places, strict=True)
            ]
        }

    def command_cover(self, inputs: str, layout: Layout, seed: int) -> dict[str, Any]:
        """Calls the module and says what the call consisted of."""
        arguments = self._arguments(inputs, layout, seed)
        with self.reporting(), torch.no_grad():
            output, seen = watch_call(self._module, arguments)
        self._answer = clone(output)
        return seen

    def command_ghost(self, inputs: str, layout: Layout, seed: int, output: str) -> dict[str, Any]:
        """Calls the module with kernels that do nothing; after `command_cover` of the same inputs.

        Says besides which operator of torch has given what was the output then.
        """
        arguments = self._arguments(inputs, layout, seed)
        watch = Watch(self._answer)
        sizes = [value.nbytes for _, value in tensors_of(self._answer, "output")]
        poison.fill_freed(sizes, self._device)
        poison.fill_all(True)
        try:
            with self.reporting(), torch.no_grad(), skip_kernels(), watch:
                result = self._module(*arguments)
        finally:
            poison.fill_all(False)
        return {**self._reply(result, output), "answered_by": watch.answered_by}

    def _arguments(self, inputs: str, layout: Layout, seed: int) -> list[Any]:
        drawn: list[Any] = to_device(load_copied(Path(inputs), layout), self._device)
        with self.reporting(), torch.no_grad():
            self._restore()
        set_seed(seed)
        return drawn

    def construct(self, arguments: list[Any], seed: int) -> torch.nn.Module:
        """See `ModuleService`."""
        set_seed(seed)
        module = self._names["ModelNew"](*arguments)
        if not isinstance(module, torch.nn.Module):
            raise TypeError("ModelNew(...) is no torch.nn.Module")
        return module

    def reporting(self) -> _Reporting:
        """See `ModuleService`."""
        return _Reporting(self._file)


class _Reporting:
    """Turns whatever the candidate raises into a refusal that describes it."""

    def __init__(self, file: str) -> None:
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (Exception, SystemExit)):
            raise Refusal(**describe_exception(error, self._file)) from None


def describe_exception(error: BaseException, file: str) -> dict[str, Any]:
    """What an exception says, with the frames that lie in `file`, as plain data."""
    text = str(error)[:_MAX_TEXT]
    diagnostics = error.diagnostics if isinstance(error, CompileError) else ()
    kind = "raised"
    if isinstance(error, CompileError):
        kind = "metal"
    elif isinstance(error, MemoryError) or is_out_of_memory(text):
        kind = "memory"
    elif isinstance(error, SyntaxError) and error.filename == file:
        kind = "python-syntax"
        text = f"line {error.lineno}: {error.msg}"
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == file
    ]
    return {
        "kind": kind,
        "type": type(error).__name__,
        "message": text,
        "code": error.code if isinstance(error, Error) else "",
        "traceback": frames[-8:],
        "diagnostics": [
            {
                "severity": item.severity,
                "file": item.file,
                "line": item.line,
                "column": item.column,
                "message": item.message,
                "source_line": item.source_line,
                "caret": item.caret,
            }
            for item in diagnostics[:50]
        ],
    }
