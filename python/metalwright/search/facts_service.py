"""The worker that looks at a problem: its operators, shapes, bytes, and the device's peaks."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from metalwright.evaluation.exchange import tensors_of
from metalwright.evaluation.reference_service import UserErrors
from metalwright.evaluation.service import TORCH_DEVICES, to_device
from metalwright.problems.problem import Problem
from metalwright.runtime import compile as compile_metal
from metalwright.runtime import devices

# Operators that only look at memory in another way; they tell nothing about the work.
_VIEWS = {
    *("view", "_unsafe_view", "t", "transpose", "permute", "expand", "unsqueeze", "squeeze"),
    *("alias", "detach", "slice", "select", "as_strided", "reshape", "split", "unbind"),
    *("lift_fresh", "_to_copy"),
}
_PEAKS = """
#include <metal_stdlib>
using namespace metal;
kernel void copy(device float4* out, device const float4* x, uint i [[thread_position_in_grid]]) {
  out[i] = x[i];
}
kernel void multiply_add(device float* out, constant float& a, uint i [[thread_position_in_grid]]) {
  float v[16];
  for (int j = 0; j < 16; ++j) v[j] = i + j;
  for (int k = 0; k < 256; ++k) {
    for (int j = 0; j < 16; ++j) v[j] = fma(v[j], a, 1.0f);
  }
  float sum = 0;
  for (int j = 0; j < 16; ++j) sum += v[j];
  out[i] = sum;
}
"""
_COPY_BYTES = 64 << 20
_FMA_THREADS = 1 << 15
_PEAK_SECONDS = 0.3


class FactsService:
    """Methods are requests; see `metalwright.evaluation.worker`."""

    def command_facts(self, folder: str, device: str) -> dict[str, Any]:
        """Runs the problem's module once and says what it did."""
        place = torch.device(TORCH_DEVICES[device])
        with UserErrors():
            problem = Problem.read(Path(folder)).load()
            module = problem.build(problem.init_inputs(0), 0).to(place)
            inputs = to_device(problem.inputs(0), place)
            log = _Log()
            with FlopCounterMode(display=False) as counter, log:
                output = problem.call(module, inputs, 0)
        given = list(tensors_of(inputs, "input"))
        returned = list(tensors_of(output, "output"))
        state = [
            (name, value)
            for name, value in module.state_dict().items()
            if isinstance(value, torch.Tensor)
        ]
        # Each of these has to be read or written at least once, whatever the kernels do.
        touched = [value for _, value in (*given, *returned, *state)]
        return {
            "inputs": [_describe(name, value) for name, value in given],
            "outputs": [_describe(name, value) for name, value in returned],
            "parameters": [_describe(name, value) for name, value in state],
            "operators": log.lines(),
            "signature": dict(log.names),
            "bytes": sum(value.numel() * value.element_size() for value in touched),
            "flops": counter.get_total_flops(),
        }

    def command_device(self, device: str) -> dict[str, Any]:
        """The device's limits and what it does at most, measured with two simple kernels."""
        info = next(info for info in devices() if info.kind == device)
        place = torch.device(TORCH_DEVICES[device])
        library = compile_metal(_PEAKS, device=device)
        x = torch.ones(_COPY_BYTES // 4, device=place)
        out = torch.empty_like(x)
        copy = _fastest(
            lambda: library.kernel("copy").time(
                out, x, threads=x.numel() // 4, repeats=5, warmup=0.02, check=False
            )
        )
        sums = torch.empty(_FMA_THREADS, device=place)
        fma = _fastest(
            lambda: library.kernel("multiply_add").time(
                sums, 0.5, threads=_FMA_THREADS, repeats=5, warmup=0.02
            )
        )
        return {
            "kind": info.kind,
            "name": info.name,
            "architecture": info.architecture,
            "compute_units": info.compute_units,
            "max_threads": info.max_threads_per_threadgroup,
            "threadgroup_memory": info.max_threadgroup_memory,
            "width": info.thread_execution_width,
            "max_buffers": info.max_buffers,
            "copy_bandwidth": 2 * _COPY_BYTES / copy,
            "fma_rate": 2 * 16 * 256 * _FMA_THREADS / fma,
        }


def _fastest(measure: Any) -> float:
    end = time.monotonic() + _PEAK_SECONDS
    best = float(measure().median)
    while time.monotonic() < end:
        best = min(best, float(measure().median))
    return best


class _Log(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operator with the shapes that it was given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: Counter[str] = Counter()
        self._lines: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if name.split(".")[0] not in _VIEWS:
            self.names[name] += 1
            shapes = ", ".join(_shape(value) for value in args)
            line = f"{name}({shapes}) -> {_shape(result)}"
            if self._lines and self._lines[-1][0] == line:
                self._lines[-1] = (line, self._lines[-1][1] + 1)
            else:
                self._lines.append((line, 1))
        return result

    def lines(self) -> list[str]:
        """One line per operator; repetitions counted."""
        return [line + (f" ({count} times)" if count > 1 else "") for line, count in self._lines]


def _shape(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{_DTYPES.get(value.dtype, str(value.dtype))}{list(value.shape)}"
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, torch.Tensor) for item in value):
            return "(" + ", ".join(_shape(item) for item in value) + ")"
        return str(list(value))
    return repr(value)[:40]


_DTYPES = {
    torch.float32: "f32",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.bool: "bool",
}


def _describe(name: str, value: torch.Tensor) -> str:
    text = f"{name} {_shape(value)}"
    return text if value.is_contiguous() else f"{text} with strides {list(value.stride())}"
