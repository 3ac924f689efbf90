"""What the rows measure: our kernel and torch's operator on the same tensors, ready to be called.

The kernels are those of the benchmarks beside this folder, so that there is one text of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

import metalwright
from test_copy_bandwidth import COUNT, KERNELS
from test_operators import ATTENTION, ROWS
from test_simdgroup_engine import PRODUCTS, SOFTMAX

N = 4096  # rows and columns
PRODUCT = 1024  # rows, columns and depth of the products of matrices
HEADS, TOKENS, WIDTH = 8, 1024, 64  # of attention

ADD = """
#include <metal_stdlib>
using namespace metal;
kernel void add(device const float* x, device const float* y, device float* z,
                uint i [[thread_position_in_grid]]) { z[i] = x[i] + y[i]; }
"""


@dataclass(frozen=True)
class Work:
    """Both sides write every time; `check` compares what they wrote and raises AssertionError."""

    ours: Callable[[], object]
    theirs: Callable[[], object]
    check: Callable[[], None]
    operations: float = 0  # of floating point, where a rate is wanted


def elementwise(name: str, *, in_place: bool = False) -> Work:
    """`add` or `gelu` of 16 Mi floats.

    torch's gelu allocates its result, as all who call it see; `in_place`: it has one to write to.
    """
    kernel = getattr(metalwright.compile(ADD + KERNELS, device="cpu"), name)
    torch.manual_seed(0)
    x, y, out, expected = torch.randn(COUNT), torch.randn(COUNT), *torch.empty(2, COUNT)
    inputs = (x, y) if name == "add" else (x,)

    def theirs() -> torch.Tensor:
        if name == "add":
            return torch.add(x, y, out=expected)
        if in_place:
            return torch.ops.aten.gelu.out(x, approximate="tanh", out=expected)
        return functional.gelu(x, approximate="tanh")

    return Work(
        lambda: kernel(*inputs, out, threads=COUNT, group_size=256),
        theirs,
        lambda: torch.testing.assert_close(out, theirs()),
    )


def softmax() -> Work:
    """Of each row of N x N."""
    kernel = metalwright.compile(SOFTMAX, device="cpu").softmax
    x = torch.randn(N, N)
    out, expected = torch.empty_like(x), torch.empty_like(x)
    return Work(
        lambda: kernel(x, out, N, threadgroups=N, group_size=256, arg_casts="int32"),
        lambda: torch.softmax(x, 1, out=expected),
        lambda: torch.testing.assert_close(out, expected),
    )


def rows(name: str, group: int = 256) -> Work:
    """`layer_norm`, `rms_norm`, `sum_of_rows` or `sum_of_columns` of N x N."""
    kernel = getattr(metalwright.compile(ROWS, device="cpu"), name)
    x, weight, bias = torch.randn(N, N), torch.randn(N), torch.randn(N)
    out = torch.empty(N) if name.startswith("sum") else torch.empty_like(x)
    inputs = {"layer_norm": (x, weight, bias), "rms_norm": (x, weight)}.get(name, (x,))
    is_by_thread = name == "sum_of_columns"
    sizes = (N, N) if is_by_thread else (N,)
    grid = {"threads": N} if is_by_thread else {"threadgroups": N}
    theirs = {
        "layer_norm": lambda: functional.layer_norm(x, (N,), weight, bias),
        "rms_norm": lambda: functional.rms_norm(x, (N,), weight, 1e-5),
        "sum_of_rows": lambda: torch.sum(x, 1),
        "sum_of_columns": lambda: torch.sum(x, 0),
    }[name]
    return Work(
        lambda: kernel(*inputs, out, *sizes, **grid, group_size=group, arg_casts="int32"),
        theirs,
        lambda: torch.testing.assert_close(out, theirs(), rtol=1e-3, atol=2e-3),
    )


def product(name: str) -> Work:
    """`tiled` (16 x 16 tiles in threadgroup memory) or `matrices` (simdgroup matrices)."""
    kernel = getattr(metalwright.compile(PRODUCTS, device="cpu"), name)
    tile, group = {"tiled": (16, (16, 16)), "matrices": (64, (128, 1))}[name]
    n = PRODUCT
    a, b = torch.randn(n, n), torch.randn(n, n)
    out, expected = torch.empty(n, n), torch.empty(n, n)
    grid = {"threadgroups": (n // tile, n // tile), "group_size": group}
    return Work(
        lambda: kernel(a, b, out, n, **grid, arg_casts="int32"),
        lambda: torch.mm(a, b, out=expected),
        lambda: torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-3),
        2.0 * n**3,
    )


def attention() -> Work:
    """The forward pass of HEADS heads."""
    kernel = metalwright.compile(ATTENTION, device="cpu").attention
    q, k, v = (torch.randn(HEADS, TOKENS, WIDTH) for _ in range(3))
    out = torch.empty_like(q)
    grid = {"threadgroups": (TOKENS // 32, HEADS), "group_size": 32}

    def theirs() -> torch.Tensor:
        return functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]

    return Work(
        lambda: kernel(q, k, v, out, TOKENS, **grid, arg_casts="int32"),
        theirs,
        lambda: torch.testing.assert_close(out, theirs(), rtol=1e-3, atol=1e-4),
        4.0 * HEADS * TOKENS * TOKENS * WIDTH,
    )


WORK: dict[str, Callable[[], Work]] = {
    "add": lambda: elementwise("add"),
    "gelu": lambda: elementwise("gelu"),
    "softmax": softmax,
    "layer_norm": lambda: rows("layer_norm"),
    "rms_norm": lambda: rows("rms_norm"),
    "sum_of_rows": lambda: rows("sum_of_rows", 64),
    "sum_of_rows_256": lambda: rows("sum_of_rows"),
    "sum_of_columns": lambda: rows("sum_of_columns"),
    "tiled": lambda: product("tiled"),
    "matrices": lambda: product("matrices"),
    "attention": attention,
}


def ours(name: str) -> Callable[[], object]:
    """Our side alone, checked once: for a worker process."""
    work = WORK[name]()
    work.ours()
    work.theirs()
    work.check()
    return work.ours
