"""Throughput of the maths library against glibc and libmvec, in nanoseconds per element.

One core, data in L1.

    python bench/maths_throughput.py PATH/TO/metalwright_air_call

The tool is built by `cmake -DMETALWRIGHT_BUILD_TESTS=ON` and `ninja metalwright_air_call`. glibc's
functions are called one by one (no fast-math); libmvec's are what clang's vectoriser calls under
-ffast-math, with errors of up to 4 units in the last place.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

COUNT = 4096
RANGES = {
    "exp": (-10, 10),
    "exp2": (-10, 10),
    "log": (0.01, 100),
    "log2": (0.01, 100),
    "sin": (-30, 30),
    "cos": (-30, 30),
    "tan": (-30, 30),
    "tanh": (-5, 5),
    "pow": (0.01, 10),
    "atan": (-5, 5),
    "asin": (-1, 1),
    "asinh": (-5, 5),
    "fmod": (-10, 10),
    "rsqrt": (0.1, 100),
}


def library(tool: str, name: str) -> float | None:
    """Nanoseconds per element of `air.<name>.f32`."""
    low, high = RANGES[name.removeprefix("fast_")]
    arity = 2 if name.removeprefix("fast_") in ("pow", "fmod") else 1
    generator = np.random.default_rng(1)
    arrays = [generator.uniform(low, high, COUNT).astype(np.float32) for _ in range(arity)]
    data = np.int64(COUNT).tobytes() + b"".join(a.tobytes() for a in arrays)
    command = [tool, "--time", f"air.{name}.f32", "f32", *["f32"] * arity]
    return float(subprocess.run(command, input=data, capture_output=True, check=True).stdout)


def peers(flags: list[str], libraries: list[str]) -> dict[str, float]:
    """The C library's times under some compiler flags; empty where that does not build."""
    clang = shutil.which("clang-19") or shutil.which("clang")
    if clang is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "peers")
        source = str(Path(__file__).with_name("maths_peers.c"))
        flags = ["-O3", "-march=native", "-mprefer-vector-width=512", *flags]
        built = subprocess.run([clang, *flags, source, "-o", program, *libraries], check=False)
        if built.returncode != 0:
            return {}
        lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout
        return {line.split()[0]: float(line.split()[1]) for line in lines.splitlines()}


def main() -> None:
    """Print the table."""
    tool = sys.argv[1]
    glibc = peers(["-fno-math-errno"], ["-lm"])
    libmvec = peers(["-ffast-math", "-fveclib=libmvec"], ["-lmvec", "-lm"])
    print("| function | precise | fast_ | glibc | libmvec |\n|---|---|---|---|---|")
    for name in RANGES:
        cells = [f"{library(tool, name):.2f}", f"{library(tool, 'fast_' + name):.2f}"]
        cells += [f"{table[name]:.2f}" if name in table else "" for table in (glibc, libmvec)]
        print(f"| `{name}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
