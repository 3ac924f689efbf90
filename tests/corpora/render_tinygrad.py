"""Renders the kernels of `tinygrad_kernels`: ``python -m corpora.render_tinygrad OUTPUT.pickle``.

In a process of its own, since tinygrad reads its settings from the environment when imported.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from corpora.tinygrad_kernels import TinygradKernel, render


def main() -> None:
    kernels: list[TinygradKernel] = list(render())
    Path(sys.argv[1]).write_bytes(pickle.dumps([kernel.__dict__ for kernel in kernels]))


if __name__ == "__main__":
    main()
