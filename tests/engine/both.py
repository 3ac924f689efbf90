"""A kernel on the fast engine and on the checked one."""

from __future__ import annotations

from typing import Any

import numpy as np


def on_both_engines(
    monkeypatch: Any, text: str, inputs: list[Any], out: np.ndarray, **grid: Any
) -> tuple[np.ndarray, np.ndarray, Any]:
    """What kernel ``k`` of `text` makes of a copy of `out`, its argument behind `inputs`, on the
    fast engine and on the checked one; and the fast engine's kernel, dispatched once."""
    import metalwright.runtime as metalwright

    found = []
    kernels = []
    for engine in ("simdgroup", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        kernel = metalwright.compile(text, device="cpu", file_name=engine).kernel("k")
        result = out.copy()
        kernel(*inputs, result, **grid)
        found.append(result)
        kernels.append(kernel)
    return found[0], found[1], kernels[0]


def threads_on_both_engines(
    monkeypatch: Any, text: str, inputs: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, Any]:
    """The same of a kernel with a thread for each element of `inputs`, and as many results, in
    threadgroups of `size`."""
    return on_both_engines(
        monkeypatch, text, [inputs], np.zeros_like(inputs), threads=len(inputs), group_size=size
    )
