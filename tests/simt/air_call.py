"""Calls AIR intrinsics on NumPy arrays, through the lowering, LLVM's O3 pipeline and a JIT."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
REPOSITORY = Path(__file__).resolve().parents[2]
DTYPES = {
    "f32": np.float32,
    "f16": np.float16,
    "bf16": np.uint16,
    "i1": np.uint8,
    "i8": np.uint8,
    "i16": np.uint16,
    "i32": np.uint32,
    "i64": np.uint64,
}


@cache
def _find_or_build() -> tuple[Path, str]:
    """The tool and what went wrong in building it (once, however many tests ask)."""
    named = os.environ.get("METALWRIGHT_AIR_CALL")
    if named:
        return Path(named), ""
    folder = REPOSITORY / "build" / "native-tests"
    path = folder / "csrc" / "simt" / "metalwright_air_call"
    configure = ["cmake", "-S", str(REPOSITORY), "-B", str(folder), "-G", "Ninja"]
    for command in (
        [*configure, "-DMETALWRIGHT_BUILD_TESTS=ON"],
        ["ninja", "-C", str(folder), "metalwright_air_call"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
        if done.returncode != 0:
            return path, done.stdout + done.stderr
    return path, ""


def tool() -> Path:
    """The tool metalwright_air_call: METALWRIGHT_AIR_CALL names one, else it is built (seconds)."""
    path, problem = _find_or_build()
    assert not problem, problem
    return path


def dtype_of(type_name: str) -> tuple[Any, int]:
    """The element dtype (bfloat as uint16 bits) and the number of elements, 0 for a scalar."""
    match = re.fullmatch(r"(?:v(\d+))?(\w+)", type_name)
    assert match, type_name
    return DTYPES[match[2]], int(match[1] or 0)


def run(*arguments: str, data: bytes = b"", env: dict[str, str] | None = None) -> bytes:
    done = subprocess.run(
        [str(tool()), *arguments],
        input=data,
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, **(env or {})},
    )
    if done.returncode != 0:
        raise RuntimeError(f"air_call {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout


def call_all(name: str, result: str, operands: Sequence[str], *arrays: Array) -> list[Array]:
    """Every output: the result (unless void), then each operand that starts with ">".

    Arrays have shape (n,) for scalar types and (n, elements) for vectors.
    """
    inputs = [o for o in operands if o[0] not in ">="]
    assert len(inputs) == len(arrays)
    count = len(arrays[0])
    data = [np.int64(count).tobytes()]
    for type_name, array in zip(inputs, arrays, strict=True):
        dtype, elements = dtype_of(type_name)
        assert array.size == count * max(elements, 1), (name, type_name, array.shape)
        data.append(np.ascontiguousarray(array).astype(dtype, copy=False).tobytes())
    raw = run(name, result, *operands, data=b"".join(data))
    outputs = []
    types = ([] if result == "void" else [result]) + [o[1:] for o in operands if o[0] == ">"]
    for type_name in types:
        dtype, elements = dtype_of(type_name)
        size = count * max(elements, 1) * np.dtype(dtype).itemsize
        array = np.frombuffer(raw[:size], dtype)
        outputs.append(array.reshape(count, elements) if elements else array)
        raw = raw[size:]
    assert not raw
    return outputs


def call(name: str, result: str, operands: Sequence[str], *arrays: Array) -> Array:
    """The only output of a call."""
    (output,) = call_all(name, result, operands, *arrays)
    return output


def bfloat_to_float(bits: Array) -> Array:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def float_to_bfloat(values: Array) -> Array:
    """Float64 or float32 to bfloat bits, nearest even, rounded once; NaN gives 0x7fc0."""
    with np.errstate(invalid="ignore", over="ignore"):  # signalling NaNs
        wide = np.asarray(values, np.float64)
        single = wide.astype(np.float32)
    bits = single.view(np.uint32).astype(np.int64)
    # Round to odd, so that the second rounding sees what the first dropped.
    back = single.astype(np.float64)
    inexact = (back != wide) & np.isfinite(single)
    too_far = inexact & (np.abs(back) > np.abs(wide))
    bits = np.where(too_far, bits - 1, bits)
    bits = np.where(inexact, bits | 1, bits)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(wide), 0x7FC0, rounded).astype(np.uint16)
