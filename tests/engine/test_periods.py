"""Positions that are divided by constants: the loop over threads is cut where they begin anew.

Both engines have to give the same bits, and NumPy says which: for each thread, the elements of a
table that its indices choose.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

PERIODS = (3, 4, 7, 8, 16, 31, 32, 48, 100, 768, 2048, 4096)

# The indices of a thread, in MSL; `x` and `y` are its position, `s` is the same as int. They read
# the same in Python if `/` rounds down, which it does for what is not negative.
INDICES = {
    "remainder": ("x % P",),
    "quotient": ("x / P",),
    "both": ("x % P", "x / P"),
    "two levels": ("x % P", "x / P % 12", "x / (P * 12)"),
    "inner remainder": ("x % (P * 6) / (P * 2)", "x % (P * 6) % (P * 3)"),
    "signed": ("s % P", "s / P"),
    "signed two levels": ("s % P", "s / P % 5", "s / (P * 5)", "s % (P * 4) / (P * 2)"),
    "mixed": ("s % P", "x / P", "s / (P * 2) % 3", "x % (P * 2)"),
    "strangers": ("x % P", "x % (P + 1)", "x / 5", "x % 6"),
    "common divisor": ("x % (P * 4)", "x / (P * 6)"),
    "bits": ("x & 63", "(x >> 6) & 7", "(x & ~127u) / 4", "x & 1984", "(s >> 5) & 31"),
    "shifted bits": (
        "x / 32 * 64 + x % 32",
        "x % 64 * 4",
        "(x >> 2) & 56",
        "(x << 3) & 0x3e0",
        "x / 64 % 8 * 16",
        "x * 4 & 1020",
    ),
    "long": ("ulong(x) % P", "long(s) / P", "ulong(x) / (ulong(P) * 3)"),
    "sums": ("x % P + y * P", "x / P * 3 + 1", "x % P * 2"),
}


def source_of(indices: tuple[str, ...], period: int) -> str:
    reads = "".join(
        f"  r = r * 31 + table[({index.replace('P', str(period))}) & 8191];\n" for index in indices
    )
    return f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const uint* table, device uint* out, uint2 p [[thread_position_in_grid]],
              uint2 grid [[threads_per_grid]]) {{
  uint x = p.x, y = p.y; int s = x;
  uint r = 0;
{reads}  out[y * grid.x + x] = r;
}}"""


def expected(
    indices: tuple[str, ...], period: int, x: Any, y: Any, table: np.ndarray
) -> np.ndarray:
    result = np.zeros(x.shape, np.uint64)
    for index in indices:
        text = index.replace("P", str(period)).replace("/", "//").replace("127u", "127")
        text = re.sub(r"\b(?:u?long)\b", "", text)
        value = eval(text, {"x": x, "y": y, "s": x})  # the table above
        result = (result * 31 + table[value & 8191]) & 0xFFFFFFFF
    return result.astype(np.uint32)


def run(engine: str, source: str, *arguments: Any, **grid: Any) -> Any:
    os.environ["METALWRIGHT_CPU_ENGINE"] = engine
    try:
        kernel = metalwright.compile(source, device="cpu", file_name=engine or "loop").kernel("k")
        kernel(*arguments, **grid)
        assert f"engine: {engine or 'vector-loop'}" in kernel.explain()
        return kernel
    finally:
        del os.environ["METALWRIGHT_CPU_ENGINE"]


@pytest.mark.parametrize("name", INDICES)
def test_divided_positions(name: str) -> None:
    table = np.random.default_rng(6).integers(0, 1 << 32, 8192, np.uint32)
    indices = INDICES[name]
    for period in PERIODS:
        source = source_of(indices, period)
        # Whole units and parts of them, several to a row and several rows to one.
        for width, height in ((70_003, 1), (1000, 7), (33, 40), (4096, 2)):
            y, x = np.mgrid[:height, :width]
            out = np.zeros((height, width), np.uint32)
            kernel = run("", source, table, out, threads=(width, height))
            # The size of units follows from the time that the first dispatch took.
            again = np.zeros_like(out)
            kernel(table, again, threads=(width, height))
            want = expected(indices, period, x, y, table)
            np.testing.assert_array_equal(out, want, err_msg=f"period {period}, {width}x{height}")
            np.testing.assert_array_equal(again, want)
    # The other engine, for one of each.
    out = np.zeros((7, 1000), np.uint32)
    run("checked", source_of(indices, 48), table, out, threads=(1000, 7), group_size=(100, 1))
    y, x = np.mgrid[:7, :1000]
    np.testing.assert_array_equal(out, expected(indices, 48, x, y, table))


def test_threadgroups_that_begin_between_multiples() -> None:
    """With a built-in of the threadgroup the loop is over its threads, not over the grid."""
    source = source_of(INDICES["two levels"], 48).replace(
        "uint2 p [[", "uint2 t [[thread_position_in_threadgroup]], uint2 p [["
    )
    source = source.replace("= r;\n}", "= r + t.x;\n}")
    table = np.random.default_rng(6).integers(0, 1 << 32, 8192, np.uint32)
    y, x = np.mgrid[:5, :1003]
    out = np.zeros((5, 1003), np.uint32)
    kernel = run("", source, table, out, threads=(1003, 5), group_size=(70, 2))
    assert "threads of each threadgroup, cut at the multiples of 48" in kernel.explain()
    want = expected(INDICES["two levels"], 48, x, y, table) + (x % 70).astype(np.uint32)
    np.testing.assert_array_equal(out, want)


def test_explain_names_the_period() -> None:
    def explain(*indices: str) -> str:
        source = source_of(indices, 0)
        return str(metalwright.compile(source, device="cpu").kernel("k").explain())

    assert "cut at the multiples of 768," in explain("x % 768", "x / 768 % 12", "x / 9216")
    assert "cut at the multiples of 2048," in explain("s % 2048")
    assert "cut at" not in explain("x * 3", "y % 768")
    assert "cut at" not in explain("x % 3")  # runs of three threads cost more than they save


# Whether a remainder is in the first part of a concatenation, as programs write it; and not.
PARTS = {
    "less": ("x0 < T", "x0 >= T"),
    "signed": ("int(x0) < T", "int(x0) > T - 1"),
    "long": ("long(x0) < T", "long(x0) >= T"),
    "once": ("x0 < T", "true"),
    "another place": ("x0 < T", "x0 >= 2 * T"),
}


@pytest.mark.parametrize("name", PARTS)
def test_concatenations(name: str) -> None:
    """A branch that a whole run takes: a loop for each way."""
    first, second = PARTS[name]
    table = np.random.default_rng(8).integers(0, 1 << 32, 8192, np.uint32)
    for modulus, part in ((64, 32), (64, 16), (48, 16), (100, 40), (96, 64), (768, 256), (64, 5)):
        source = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const uint* table, device uint* out, device uint* other,
              uint2 p [[thread_position_in_grid]], uint2 grid [[threads_per_grid]]) {{
  const int T = {part};
  uint x = p.x, x0 = x % {modulus}, x1 = x / {modulus}, i = p.y * grid.x + x;
  uint r = 7, q = 9;
  if ({first}) {{ r = table[x0 + x1 * 3 & 8191]; r = r * r + table[r & 8191]; other[i] = r; }}
  if ({second}) {{ q = table[x0 - T + x1 * 5 & 8191]; q = q * 3 - table[q >> 20 & 8191]; }}
  else q = table[x1 & 8191];
  out[i] = r * 31 + q;
}}"""
        for width, height in ((5000, 3), (1001, 7), (40, 40)):
            _, x = np.mgrid[:height, :width]
            x0, x1 = x % modulus, x // modulus
            forms = [np.full(x.shape, True), np.full(x.shape, True)]
            for form, text in zip(forms, (first, second), strict=True):
                if text != "true":
                    plain = re.sub(r"\b(?:long|int)\b", "", text.replace("T", str(part)))
                    form[:] = eval(plain, {"x0": x0})  # the table above
            r = table[(x0 + x1 * 3) & 8191].astype(np.uint64)
            r = (r * r + table[r & 8191]) & 0xFFFFFFFF
            q = table[(x0 - part + x1 * 5) & 8191].astype(np.uint64)
            q = (q * 3 - table[q >> 20 & 8191]) & 0xFFFFFFFF
            q = np.where(forms[1], q, table[x1 & 8191])
            want = (np.where(forms[0], r, 7) * 31 + q) & 0xFFFFFFFF
            out, other = np.zeros((height, width), np.uint32), np.zeros((height, width), np.uint32)
            kernel = run("", source, table, out, other, threads=(width, height))
            np.testing.assert_array_equal(out, want, err_msg=f"{modulus}, {part}, {width}")
            np.testing.assert_array_equal(other, np.where(forms[0], r, 0))
        if (modulus, part) in ((64, 32), (768, 256)):
            assert f"cut at the multiples of {part}," in kernel.explain()
