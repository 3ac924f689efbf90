"""MLX's kernels as Apple's compiler built them (`mlx-metal` wheel), against torch's operators."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from bench.figures.work import HEADS, PRODUCT, TOKENS, WIDTH, N, Work
from bench.figures.workers import Unavailable
from torch.nn import functional

import metalwright
from corpora.apple_library import gemm_parameters, mlx


def library() -> Any:
    """Fetched once, by the tests' own means."""
    try:
        path, _ = mlx()
    except RuntimeError as reason:
        raise Unavailable(str(reason)) from None
    return metalwright.load_metallib(path, device="cpu")


def softmax(loaded: Any) -> Work:
    """One threadgroup of 1024 threads per row, four elements per thread."""
    kernel = loaded.kernel("block_softmax_float32")
    x = torch.randn(N, N)
    out, expected = torch.empty_like(x), torch.empty_like(x)
    return Work(
        lambda: kernel(x, out, N, threads=(1024 * N, 1, 1), group_size=(1024, 1, 1)),
        lambda: torch.softmax(x, 1, out=expected),
        lambda: torch.testing.assert_close(out, expected),
    )


def layer_norm(loaded: Any) -> Work:
    """One threadgroup of 512 threads per row, eight elements per thread and no thread without."""
    kernel = loaded.kernel("layer_normfloat32")
    x, weight, bias = torch.randn(N, N), torch.randn(N), torch.randn(N)
    out = torch.empty_like(x)
    grid = {"threads": (512 * N, 1, 1), "group_size": (512, 1, 1)}

    def theirs() -> torch.Tensor:
        return functional.layer_norm(x, (N,), weight, bias)

    return Work(
        lambda: kernel(x, weight, bias, out, 1e-5, N, 1, 1, **grid),
        theirs,
        lambda: torch.testing.assert_close(out, theirs(), rtol=1e-3, atol=1e-4),
    )


def product(loaded: Any) -> Work:
    """`steel_gemm_fused` with tiles of 64 x 64 x 16."""
    n, (bm, bn, bk, wm, wn) = PRODUCT, (64, 64, 16, 2, 2)
    kernel = loaded.kernel(
        f"steel_gemm_fused_nn_float32_float32_bm{bm}_bn{bn}_bk{bk}_wm{wm}_wn{wn}",
        {10: False, 100: False, 110: False, 200: True, 201: True, 202: True},
    )
    a, b, out, expected = torch.randn(n, n), torch.randn(n, n), *torch.empty(2, n, n)
    parameters = np.frombuffer(gemm_parameters(n, n, n, bm, bn, bk), np.uint8)
    grid = {"threadgroups": (n // bn, n // bm, 1), "group_size": (32, wn, wm)}
    return Work(
        lambda: kernel(A=a, B=b, D=out, params=parameters, **grid),
        lambda: torch.mm(a, b, out=expected),
        lambda: torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-3),
        2.0 * n**3,
    )


def attention(loaded: Any) -> Work:
    """`steel_attention` with blocks of 32 queries and 32 keys."""
    block = 32
    constants = {200: True, 201: True, 300: False, 301: False, 302: False, 303: False}
    name = f"steel_attention_float32_bq{block}_bk{block}_bd64_bv64_wm4_wn1_maskfloat32"
    kernel = loaded.kernel(name, constants)
    q, k, v = (torch.randn(HEADS, TOKENS, WIDTH) for _ in range(3))
    out = torch.empty_like(q)
    blocks = TOKENS // block
    strides = (HEADS * TOKENS * WIDTH, TOKENS * WIDTH, WIDTH)
    parameters = np.frombuffer(
        struct.pack(
            "<6if7i12q",
            *(1, HEADS, WIDTH, TOKENS, TOKENS, 1, WIDTH**-0.5),
            *(blocks, blocks, blocks, blocks, 0, 0, 0),
            *strides * 4,
        ),
        np.uint8,
    )
    grid = {"threadgroups": (blocks, HEADS, 1), "group_size": (32, 4, 1)}

    def theirs() -> torch.Tensor:
        return functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]

    return Work(
        lambda: kernel(Q=q, K=k, V=v, O=out, params=parameters, **grid),
        theirs,
        lambda: torch.testing.assert_close(out, theirs(), rtol=1e-3, atol=1e-4),
        4.0 * HEADS * TOKENS * TOKENS * WIDTH,
    )


APPLE: dict[str, Callable[[Any], Work]] = {
    f"MLX's softmax, {N} x {N} (built by Apple's compiler)": softmax,
    f"MLX's layer norm, {N} x {N} (the same)": layer_norm,
    f"MLX's GEMM {PRODUCT} (the same)": product,
    f"MLX's attention, {HEADS} heads, {TOKENS} tokens, head {WIDTH} (the same)": attention,
}
