"""The worker that measures what a device does at most: copying and multiplying."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from metalwright.evaluation.service import synchronize, torch_device
from metalwright.runtime import Kernel
from metalwright.runtime import compile as compile_metal

SIZES = (1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26)
_SECONDS = 0.03
_MATMUL = 768
_SOURCE = """
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
_FMA_THREADS = 1 << 13


class PeaksService:
    """Methods are requests; see `metalwright.evaluation.worker`."""

    def command_peaks(self, device: str) -> dict[str, Any]:
        """Bytes per second by the bytes touched, and operations per second; the best of several.

        Both torch and a kernel of our own try: what either can do, the device can.
        """
        place = torch_device(device)
        library = compile_metal(_SOURCE, device=device)
        bandwidth = {}
        for size in SIZES:
            x = torch.ones(size // 8, device=place)
            out = torch.empty_like(x)
            best = min(_copies(library.kernel("copy"), x, out, place))
            bandwidth[str(size)] = 2 * x.nbytes / best
        left = torch.ones(_MATMUL, _MATMUL, device=place)
        sums = torch.empty(_FMA_THREADS, device=place)
        rates = [
            2 * _MATMUL**3 / _fastest(lambda: left @ left, place),
            2
            * 16
            * 256
            * _FMA_THREADS
            / _fastest(
                lambda: library.kernel("multiply_add")(sums, 0.5, threads=_FMA_THREADS), place
            ),
        ]
        return {"bandwidth": bandwidth, "flop_rate": max(rates)}


def _copies(kernel: Kernel, x: torch.Tensor, out: torch.Tensor, place: torch.device) -> list[float]:
    def ours() -> None:
        kernel(out, x, threads=x.numel() // 4, check=False)

    return [_fastest(lambda: out.copy_(x), place), _fastest(ours, place)]


def _fastest(work: Callable[[], Any], place: torch.device) -> float:
    best = float("inf")
    end = time.perf_counter() + _SECONDS
    while time.perf_counter() < end or best == float("inf"):
        start = time.perf_counter()
        work()
        synchronize(place)
        best = min(best, time.perf_counter() - start)
    return best
