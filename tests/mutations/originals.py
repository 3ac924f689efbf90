"""The correct kernels: those of the conformance suite, our own, and on request rendered ones."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import metalwright


@dataclass(frozen=True)
class Original:
    """A kernel with a dispatch that is correct. Arguments are copied for each run."""

    name: str
    source: str
    kernel: str
    arguments: tuple[Any, ...]
    call: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)


def conformance() -> Iterator[Original]:
    """The dispatches of the conformance programs, the first one of each kernel."""
    import test_conformance

    for path in test_conformance.PROGRAMS:
        if path.stem.startswith("texture"):
            continue  # their arguments are objects, and textures are not watched
        source = path.read_text("utf-8")
        header = test_conformance.HEADER.match(source)
        check = _capturing(test_conformance.Check)(source, path.name)
        with np.errstate(all="ignore"):
            exec(header[1], check.names())
        yield from check.seen.values()


def _capturing(base: type) -> type:
    class Capture(base):  # type: ignore[misc,valid-type]
        def __init__(self, source: str, name: str) -> None:
            super().__init__(source, name)
            self.seen: dict[str, Original] = {}

        def run(self, kernel, *arguments, options=None, **call):
            if kernel not in self.seen and all(
                isinstance(a, (np.ndarray, np.generic, int, float, bytes)) for a in arguments
            ):
                self.seen[kernel] = Original(
                    f"{self.name.removesuffix('.metal')}.{kernel}",
                    self.source,
                    kernel,
                    copy.deepcopy(arguments),
                    dict(call),
                    dict(options or {}),
                )
            super().run(kernel, *arguments, options=options, **call)

    return Capture


HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"

REDUCE = """
kernel void k(device const T* x, device T* out, constant uint& n,
              uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]], uint g [[threadgroup_position_in_grid]]) {
  threadgroup T shared[GROUP];
  T sum = 0;
  for (uint j = 0; j < 2; ++j) {
    sum += x[i + j * (n / 2)];
  }
  shared[t] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint stride = GROUP / 2; stride > 0; stride /= 2) {
    if (t < stride) {
      shared[t] += shared[t + stride];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  if (t == 0) {
    out[g] = shared[0];
  }
}
"""
TRANSPOSE = """
kernel void k(device const T* x, device T* out, constant uint2& size,
              uint2 p [[thread_position_in_grid]], uint2 t [[thread_position_in_threadgroup]],
              uint2 g [[threadgroup_position_in_grid]]) {
  threadgroup T tile[8][9];
  uint width = size.x;
  uint height = size.y;
  tile[t.y][t.x] = x[p.y * width + p.x];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  uint row = g.x * 8 + t.y;
  uint column = g.y * 8 + t.x;
  out[row * height + column] = tile[t.x][t.y];
}
"""
PRODUCT = """
kernel void k(device const T* a, device const T* b, device T* c, constant uint& n,
              uint2 p [[thread_position_in_grid]], uint2 t [[thread_position_in_threadgroup]]) {
  threadgroup T left[8][8];
  threadgroup T right[8][8];
  T sum = 0;
  for (uint k0 = 0; k0 < n; k0 += 8) {
    left[t.y][t.x] = a[p.y * n + k0 + t.x];
    right[t.y][t.x] = b[(k0 + t.y) * n + p.x];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint j = 0; j < 8; ++j) {
      sum += left[t.y][j] * right[j][t.x];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  c[p.y * n + p.x] = sum;
}
"""
SCAN = """
kernel void k(device const T* x, device T* out, constant uint& n,
              uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]]) {
  threadgroup T shared[GROUP];
  shared[t] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint step = 1; step < GROUP; step *= 2) {
    T before = 0;
    if (t >= step) {
      before = shared[t - step];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    shared[t] += before;
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  out[i] = shared[t];
}
"""
STENCIL = """
kernel void k(device const T* x, device T* out, constant uint& n,
              uint i [[thread_position_in_grid]]) {
  if (i >= n) return;
  T window[3] = {0, 0, 0};
  for (uint j = 0; j < 3; ++j) {
    int at = int(i + j) - 1;
    if (at >= 0 && at < int(n)) {
      window[j] = x[at];
    }
  }
  T sum = 0;
  for (uint j = 0; j < 3; ++j) {
    sum += window[j];
  }
  out[i] = sum;
}
"""
NEIGHBOURS = """
kernel void k(device const T* x, device T* out, constant uint& n,
              uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]]) {
  threadgroup T shared[GROUP + 2];
  T value = x[i];
  shared[t + 1] = value;
  if (t == 0) {
    shared[0] = i > 0 ? x[i - 1] : T(0);
  }
  if (t == GROUP - 1) {
    shared[GROUP + 1] = i + 1 < n ? x[i + 1] : T(0);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = shared[t] + shared[t + 1] + shared[t + 2];
}
"""
SIMD = """
kernel void k(device const T* x, device T* out, constant uint& n,
              uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]], uint g [[threadgroup_position_in_grid]],
              uint lane [[thread_index_in_simdgroup]],
              uint s [[simdgroup_index_in_threadgroup]]) {
  threadgroup T partial[32];
  T value = x[i];
  T sum = simd_sum(value);
  if (lane == 0) {
    partial[s] = sum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t == 0) {
    T total = 0;
    for (uint j = 0; j < GROUP / 32; ++j) {
      total += partial[j];
    }
    out[g] = total;
  }
}
"""
REVERSE = """
kernel void k(device const T* x, device T* out, constant uint& n,
              uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]], uint g [[threadgroup_position_in_grid]]) {
  threadgroup T shared[GROUP];
  shared[t] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  T found = shared[GROUP - 1 - t];
  out[g * GROUP + t] = found;
}
"""
LINEAR = {
    "reduce": REDUCE,
    "scan": SCAN,
    "neighbours": NEIGHBOURS,
    "simd": SIMD,
    "reverse": REVERSE,
}
TYPES = {"float": np.float32, "int": np.int32, "half": np.float16, "uint": np.uint32}


def own() -> Iterator[Original]:
    """Reductions, scans, transpositions, products and stencils of several types and sizes."""
    random = np.random.default_rng(7)
    for type_name, dtype in TYPES.items():

        def numbers(*shape: int, dtype: Any = dtype) -> np.ndarray:
            return random.integers(1, 9, shape).astype(dtype)

        def source(text: str, group: int, type_name: str = type_name) -> str:
            macros = f"#define T {type_name}\n#define GROUP {group}\n"
            return HEADER + macros + text

        for name, text in LINEAR.items():
            for group in (64, 128):
                total = 2 * group
                size = total * 2 if name == "reduce" else total
                yield Original(
                    f"{name}_{type_name}_{group}",
                    source(text, group),
                    "k",
                    (numbers(size), np.zeros(total, dtype), size),
                    {"threads": total, "group_size": group},
                )
        for size in (30, 77):
            yield Original(
                f"stencil_{type_name}_{size}",
                source(STENCIL, 32),
                "k",
                (numbers(size), np.zeros(size, dtype), size),
                {"threads": 96, "group_size": 32},
            )
        for width, height in ((16, 8), (8, 24)):
            yield Original(
                f"transpose_{type_name}_{width}x{height}",
                source(TRANSPOSE, 64),
                "k",
                (numbers(height, width), np.zeros((width, height), dtype), (width, height)),
                {"threads": (width, height), "group_size": (8, 8)},
            )
        yield Original(
            f"product_{type_name}",
            source(PRODUCT, 64),
            "k",
            (numbers(16, 16), numbers(16, 16), np.zeros((16, 16), dtype), 16),
            {"threads": (16, 16), "group_size": (8, 8)},
        )


def tinygrad(file: Path) -> Iterator[Original]:
    """Kernels that tests/corpora rendered to `file`."""
    for kernel in pickle.loads(file.read_bytes()):
        if "bfloat16" in kernel["dtypes"]:
            continue
        yield Original(
            f"tinygrad_{kernel['name']}",
            kernel["source"],
            kernel["function"],
            (
                *(
                    np.frombuffer(bytearray(content), np.dtype(dtype))
                    for content, dtype in zip(kernel["buffers"], kernel["dtypes"], strict=True)
                ),
                *kernel["scalars"],
            ),
            {"threadgroups": kernel["threadgroups"], "group_size": kernel["group_size"]},
        )


def inductor(file: Path) -> Iterator[Original]:
    """The first dispatch of each kernel of the modules that tests/corpora rendered to `file`."""
    import torch

    from corpora.inductor_modules import CASES
    from metalwright.runtime.kernel import Kernel

    rendered = json.loads(file.read_text("utf-8"))
    seen: list[Original] = []
    known: set[tuple[str, str]] = set()

    class Recorder:
        def __init__(self, library: Any, source: str) -> None:
            self.library, self.source = library, source

        def kernel(self, name: str) -> Any:
            kernel: Kernel = self.library.kernel(name)

            def call(*arguments: Any, **keywords: Any) -> None:
                arrays = all(
                    isinstance(a, (int, float))
                    or (isinstance(a, torch.Tensor) and a.dtype != torch.bfloat16)
                    for a in arguments
                )
                if arrays and (self.source, name) not in known:
                    known.add((self.source, name))
                    copied = tuple(
                        a
                        if not isinstance(a, torch.Tensor)
                        else torch.as_strided(
                            a, (a.untyped_storage().nbytes() // a.element_size()
                                - a.storage_offset(),), (1,)
                        ).numpy().copy()
                        for a in arguments
                    )  # fmt: skip
                    seen.append(Original(f"inductor_{name}", self.source, name, copied, keywords))
                kernel(*arguments, **keywords)

            return call

    compile_source = metalwright.compile
    for case in CASES:
        _, inputs = case.make()
        module = case.make()[0]
        try:
            metalwright.compile = lambda source, **options: Recorder(  # type: ignore[assignment]
                compile_source(source, **options), source
            )
            namespace = {"__name__": "candidate"}
            exec(compile(rendered[case.name]["source"], "candidate.py", "exec"), namespace)
            candidate = namespace["ModelNew"]().train(case.train)
            candidate.load_state_dict(module.state_dict())
            candidate(*inputs)
        finally:
            metalwright.compile = compile_source
        yield from seen
        seen.clear()
