"""The conformance suite: every program in ``conformance/`` computes what Metal says it should.

A program is one ``.metal`` file. Its opening comment is Python that says what to run and what must
come out; the expectations are worked out there with NumPy or by hand, never by running a kernel.
The comment sees NumPy as ``np`` and the functions of `Check`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

runtime = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

PROGRAMS = sorted((Path(__file__).parent / "conformance").glob("*.metal"))
HEADER = re.compile(r"/\*\n(.*?)\n\*/\n", re.DOTALL)
DTYPES = {
    "f16": np.float16,
    "f32": np.float32,
    "i8": np.int8,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "u64": np.uint64,
    "b8": np.bool_,
}
# A kernel of the suite ends in milliseconds; this stops one that does not.
DEADLINE = 20.0


class Check:
    """What the opening comment of a program may call."""

    def __init__(self, source: str, name: str) -> None:
        self.source, self.name, self.checks = source, name, 0

    def run(self, kernel: str, *arguments: Any, options: dict[str, Any] | None = None, **call: Any):
        """Dispatch `kernel` on `arguments`, in place. `options` go to the compiler."""
        library = self.compile(**(options or {}))
        call.setdefault("deadline", DEADLINE)
        library.kernel(kernel)(*arguments, **call)

    def compile(self, **options: Any) -> Any:
        return runtime.compile(self.source, file_name=self.name, **options)

    def encode(self, kernel: str, argument: str | int, values: Any) -> Any:
        """The bytes of an argument buffer."""
        return runtime.argument_buffer(self.compile().kernel(kernel), argument, values)

    def same(self, actual: Any, expected: Any) -> None:
        """Equal bit for bit, but for the sign and payload of a NaN."""
        self.checks += 1
        actual, expected = np.asarray(actual), np.asarray(expected)
        np.testing.assert_array_equal(actual, expected)
        if actual.dtype.kind == "f":
            number = ~np.isnan(actual)
            signs = np.broadcast_to(np.signbit(expected), actual.shape)
            np.testing.assert_array_equal(np.signbit(actual)[number], signs[number], "signs")

    def close(self, actual: Any, expected: Any, rtol: float = 1e-6, atol: float = 0.0) -> None:
        """Within `rtol` of the expected magnitude plus `atol`; infinities and NaN must match."""
        self.checks += 1
        wide = np.float64
        np.testing.assert_allclose(
            np.asarray(actual, wide), np.asarray(expected, wide), rtol=rtol, atol=atol
        )

    def names(self) -> dict[str, Any]:
        return {
            "np": np,
            "run": self.run,
            "encode": self.encode,
            "same": self.same,
            "close": self.close,
            "zeros": lambda dtype, *shape: np.zeros(shape, DTYPES[dtype]),
            "bfloat_bits": bfloat_bits,
            "texture": runtime.Texture,
            "sampler": runtime.Sampler,
            **{name: array_of(dtype) for name, dtype in DTYPES.items()},
        }


def array_of(dtype: Any):
    """``f32(1, 2, 3)`` or ``f32([1, 2, 3])``: an array of that type."""

    def make(*values: Any) -> np.ndarray:
        single = len(values) == 1 and np.ndim(values[0]) > 0
        return np.array(values[0] if single else values).astype(dtype)

    return make


def bfloat_bits(values: Any) -> np.ndarray:
    """The bits of `values` as bfloat, to nearest even, in uint16: NumPy has no bfloat."""
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    nan = np.isnan(np.asarray(values, np.float32))
    return np.where(nan, 0x7FC0, rounded).astype(np.uint16)


@pytest.mark.parametrize("path", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_a_program_computes_what_metal_says(path: Path) -> None:
    source = path.read_text("utf-8")
    header = HEADER.match(source)
    assert header, f"{path.name} opens with a comment that says what to run"
    check = Check(source, path.name)
    # Compiled with the lines where they stand in the file, so that a failure names the right one.
    with np.errstate(all="ignore"):
        exec(compile("\n" + header[1], str(path), "exec"), check.names())
    assert check.checks > 0, f"{path.name} checks nothing"


def test_the_suite_is_as_large_as_promised() -> None:
    assert len(PROGRAMS) >= 120
