"""Kernels as Apple's compiler built them, in public wheels (see wheels.py); about 330 MB in all."""

import os
import random
import re
import shutil
import struct
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import IO, Any

from .wheels import fetched

MLX = "mlx-metal==0.32.4"
PLATFORM = "macosx_14_0_arm64"


def _unpack_mlx(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        wanted = [n for n in archive.namelist() if n.endswith((".h", "mlx.metallib"))]
        archive.extractall(folder, wanted)


def mlx() -> tuple[Path, Path]:
    """MLX's .metallib, and the folder of its headers for ``#include``."""
    folder = fetched(MLX, _unpack_mlx, platform=PLATFORM)
    (library,) = folder.rglob("mlx.metallib")
    kernels = next(path for path in folder.rglob("kernels") if (path / "unary_ops.h").is_file())
    return library, next(p for p in kernels.parents if p.name == "include")


def _unpack_torch(wheel: Path, folder: Path) -> None:
    """Cuts the containers out of the library: they begin with MTLB and their own size."""
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open("torch/lib/libtorch_cpu.dylib") as packed,
        tempfile.TemporaryFile(dir=folder.parent) as library,
    ):
        shutil.copyfileobj(packed, library, 1 << 22)
        for number, (start, size) in enumerate(_containers(library)):
            library.seek(start)
            (folder / f"{number}.metallib").write_bytes(library.read(size))


def _containers(library: IO[bytes]) -> list[tuple[int, int]]:
    size = library.seek(0, os.SEEK_END)
    library.seek(0)
    data = library.read()
    found, at = [], -1
    while (at := data.find(b"MTLB", at + 1)) >= 0:
        length = struct.unpack_from("<Q", data, at + 16)[0] if at + 24 <= size else 0
        if 1000 < length <= size - at:
            found.append((at, length))
    return found


def torch(version: str) -> tuple[Path, Path]:
    """The two .metallib files in torch's macOS wheel: of AIR 2.6 and of AIR 2.8."""
    folder = fetched(f"torch=={version}", _unpack_torch, platform=PLATFORM, is_large=True)
    first, second = sorted(folder.glob("*.metallib"))
    return first, second


def families(names: tuple[str, ...]) -> dict[str, list[str]]:
    """Kernels whose names differ in numbers only."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[re.sub(r"\d+", "#", name)].append(name)
    return found


def sample(library: Any, seed: int, count: int) -> list[str]:
    """Kernels in which every intrinsic of the library occurs, and of random families one each.

    ``METALWRIGHT_CORPUS=full``: one of every family, which are over a thousand in each library.
    """
    chosen = dict.fromkeys(use.example for use in library.intrinsics())
    numbers = random.Random(seed)
    of_family = families(library.kernel_names)
    names = sorted(of_family)
    numbers.shuffle(names)
    is_full = os.environ.get("METALWRIGHT_CORPUS") == "full"
    for family in names:
        if not is_full and len(chosen) >= count:
            break
        chosen.setdefault(numbers.choice(of_family[family]))
    return list(chosen)


def failures_to_compile(library: Any, names: list[str]) -> list[str]:
    """What cannot be described and compiled for the CPU, with the reason."""
    failures = []
    for name in names:
        try:
            constants = {c.index: 1 for c in library.describe(name).function_constants}
            assert library.kernel(name, constants).code("asm")
        except Exception as error:
            failures.append(f"{name}: {error}")
    return failures


def gemm_parameters(m: int, n: int, k: int, tile_m: int, tile_n: int, tile_k: int) -> bytes:
    """What MLX's gemm kernels take: sizes, leading dimensions, tiles, batch strides, swizzle."""
    return struct.pack(
        "<8i3q3i4x",
        *(m, n, k, k, n, n, -(-n // tile_n), -(-m // tile_m), 0, 0, 0, 0, k // tile_k, 0),
    )
