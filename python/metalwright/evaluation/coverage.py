"""Watching one call of a module: torch's operators, its own kernels, how these are launched."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from metalwright.evaluation.exchange import tensors_of
from metalwright.runtime import record
from metalwright.runtime.recording import DispatchRecord, trimmed

# Operators that only look at memory in another way, or get some.
_NO_WORK = {
    *("view", "_unsafe_view", "t", "transpose", "permute", "expand", "unsqueeze", "squeeze"),
    *("alias", "detach", "slice", "select", "as_strided", "reshape", "split", "unbind"),
    *("lift_fresh", "empty", "empty_like", "new_empty", "empty_strided", "_reshape_alias"),
}
_CLOSE = 1e-5


class Watch(TorchDispatchMode):
    """Counts operators and, by the formulas of torch's FLOP counter, their operations.

    With `answer`, also looks which of the results equals it.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch's FlopCounterMode is of the kind that says True, and that loads torch._dynamo: two
        # seconds in each worker. Nothing is compiled under this mode.
        return False

    def __init__(self, answer: Any = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: Counter[str] = Counter()
        self.flops = 0
        self.answered_by = ""
        self._answers = [
            value.detach().clone().flatten()
            for _, value in tensors_of(answer, "output")
            if value.is_floating_point() and value.numel() > 1 and bool(value.min() != value.max())
        ]
        self._looking = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += int(formula(*args, **(kwargs or {}), out_val=result))
        if name.split(".")[0] not in _NO_WORK:
            self.names[name] += 1
            if self._answers and not self.answered_by and not self._looking:
                self._looking = True
                try:
                    self._look(name, result)
                finally:
                    self._looking = False
        return result

    def _look(self, name: str, result: Any) -> None:
        for _, value in tensors_of(result, "result"):
            for answer in self._answers:
                if value.numel() != answer.numel() or value.dtype != answer.dtype:
                    continue
                if torch.allclose(value.flatten(), answer, rtol=_CLOSE, atol=0, equal_nan=True):
                    self.answered_by = name


def watch_call(module: torch.nn.Module, arguments: list[Any]) -> tuple[Any, dict[str, Any]]:
    """Calls the module; returns its output and what was seen, as plain data."""
    watch = Watch()
    start = time.perf_counter()
    with record() as recorded, watch:
        output = module(*arguments)
    seconds = time.perf_counter() - start
    kernels: dict[str, dict[str, Any]] = {}
    for entry in recorded:
        name = entry.kernel.name
        if name not in kernels:
            kernels[name] = {"name": name, "dispatches": 0, "seconds": 0.0, **_launch(entry)}
        row = kernels[name]
        row["dispatches"] += 1
        row["seconds"] += entry.seconds or 0.0
    return output, {
        "kernels": list(kernels.values())[:64],
        "operators": dict(watch.names.most_common(64)),
        "library_flops": watch.flops,
        "seconds": seconds,
        "device_seconds": recorded.seconds,
    }


def _launch(entry: DispatchRecord) -> dict[str, Any]:
    """How a kernel was launched, from its first dispatch."""
    return {
        "threads": trimmed(entry.grid),
        "group_size": trimmed(entry.group_size),
        "max_threads_per_threadgroup": entry.kernel.max_threads_per_threadgroup,
        "threadgroup_memory": entry.threadgroup_memory,
    }
