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
