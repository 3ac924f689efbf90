"""MLX's kernels as Apple's compiler built them: fetched from the package registry, kept nowhere."""

import struct
import subprocess
import sys
import zipfile
from pathlib import Path

REQUIREMENT = "mlx-metal==0.32.4"
PLATFORM = "macosx_14_0_arm64"


def fetch(folder: Path) -> Path:
    """Downloads the wheel and unpacks its .metallib; raises RuntimeError with the reason."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--platform", PLATFORM]
    try:
        done = subprocess.run(
            [*map(str, command), REQUIREMENT], capture_output=True, text=True, timeout=300
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{REQUIREMENT} could not be downloaded in five minutes") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise RuntimeError(f"{REQUIREMENT} could not be downloaded: {lines[-1]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("mlx.metallib")]
        return Path(archive.extract(name, folder))


def gemm_parameters(m: int, n: int, k: int, tile_m: int, tile_n: int, tile_k: int) -> bytes:
    """What the gemm kernels take: sizes, leading dimensions, tiles, batch strides, swizzle."""
    return struct.pack(
        "<8i3q3i4x",
        *(m, n, k, k, n, n, -(-n // tile_n), -(-m // tile_m), 0, 0, 0, 0, k // tile_k, 0),
    )
