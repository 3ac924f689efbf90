"""Conversions between Metal's types, called from Metal source: section 8.6 of the specification."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

metalwright = pytest.importorskip("metalwright", reason="needs the compiled extension")
pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

from tests.simt.exact import bfloat_to_float, round_to  # noqa: E402
from tests.simt.metal_functions import engine_of, stored, wide  # noqa: E402

pytestmark = pytest.mark.native

Array = NDArray[Any]
INTEGERS = {
    "char": np.int8,
    "uchar": np.uint8,
    "short": np.int16,
    "ushort": np.uint16,
    "int": np.int32,
    "uint": np.uint32,
    "long": np.int64,
    "ulong": np.uint64,
}
FLOATS = ("float", "half", "bfloat")
MODES = ("safe", "relaxed", "fast")
# Math mode, engine, scalars or vectors.
WAYS = [
    ("safe", None, "scalar"),
    ("safe", None, "vector"),
    ("safe", "checked", "scalar"),
    ("safe", "simdgroup", "vector"),
    ("relaxed", None, "scalar"),
    ("fast", None, "scalar"),
    ("fast", "simdgroup", "scalar"),
]


@cache
def library(source: str, target: str, mode: str, engine: str | None) -> Any:
    def bits(name: str) -> str:
        return "ushort" if name == "bfloat" else name

    load = "as_type<bfloat>(x[i])" if source == "bfloat" else "x[i]"
    store = "as_type<ushort>({})" if target == "bfloat" else "{}"
    forms = {
        "scalar": store.format(f"{target}({load})"),
        "vector": store.format(f"vec<{target}, 4>(vec<{source}, 4>({load}))[i % 4]"),
    }
    text = f"#include <metal_stdlib>\nusing namespace metal; // {engine}\n" + "".join(
        f"kernel void {name}(device const {bits(source)}* x, device {bits(target)}* y,\n"
        f"    uint i [[thread_position_in_grid]]) {{ y[i] = {expression}; }}\n"
        for name, expression in forms.items()
    )
    return metalwright.compile(text, math_mode=mode, device="cpu")


def convert(
    source: str, target: str, x: Array, mode: str, engine: str | None = None, form: str = "scalar"
) -> Array:
    taken = x.astype(INTEGERS[source]) if source in INTEGERS else stored(source, x)
    types = {"float": np.float32, "half": np.float16, "bfloat": np.uint16, **INTEGERS}
    result = np.zeros(len(x), types[target])
    with engine_of(engine):
        library(source, target, mode, engine).kernel(form)(taken, result, threads=len(x))
    return result if target in INTEGERS else wide(target, result)


def every_small_float(type_name: str) -> Array:
    bits = np.arange(65536, dtype=np.uint16)
    values = bits.view(np.float16) if type_name == "half" else bfloat_to_float(bits)
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("type_name", ["half", "bfloat"])
def test_every_half_and_bfloat_becomes_the_same_float_and_comes_back(
    type_name: str, mode: str
) -> None:
    x = every_small_float(type_name)
    if mode == "fast":
        x = x[np.isfinite(x)]
    got = convert(type_name, "float", x, mode)
    np.testing.assert_array_equal(got, x)
    np.testing.assert_array_equal(np.signbit(got)[~np.isnan(x)], np.signbit(x)[~np.isnan(x)])
    back = convert("float", type_name, x, mode)
    np.testing.assert_array_equal(back, x)


@pytest.mark.parametrize(("mode", "engine", "form"), WAYS)
@pytest.mark.parametrize("type_name", ["half", "bfloat"])
def test_floats_around_every_middle_of_two_neighbours_round_to_the_even_one(
    type_name: str, mode: str, engine: str | None, form: str
) -> None:
    values = every_small_float(type_name)
    values = np.unique(values[np.isfinite(values)])
    lower, upper = values[:-1], values[1:]
    if engine == "checked" or form == "vector":
        lower, upper = lower[::17], upper[::17]
    middles = ((lower + upper) / 2).astype(np.float32)
    np.testing.assert_array_equal(middles.astype(np.float64) * 2, lower + upper)
    above = np.nextafter(middles, np.float32(np.inf))
    below = np.nextafter(middles, np.float32(-np.inf))
    # The middle between the largest number and the first that would be out of range.
    largest = values[-1] + (values[-1] - values[-2]) / 2
    edge = np.array([largest, np.nextafter(np.float32(largest), np.float32(0)), -largest])
    x = np.concatenate([middles, above, below, edge]).astype(np.float64)
    want = round_to(type_name, x)
    got = convert("float", type_name, x, mode, engine, form)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


def test_nan_and_infinity_survive_conversions_between_floating_types() -> None:
    x = np.array([np.nan, np.inf, -np.inf, -0.0])
    for source in FLOATS:
        for target in FLOATS:
            got = convert(source, target, x, "safe")
            np.testing.assert_array_equal(got, x)
            assert np.signbit(got[3])


def boundaries(target: str) -> Array:
    """Doubles around the ends of an integer type's range, ties, fractions, and special values."""
    information = np.iinfo(INTEGERS[target])
    low, high = float(information.min), float(information.max)
    near = [v + d for v in (low, high) for d in (-2, -1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 1, 2)]
    powers = [s * 2.0**k for k in range(-3, 70) for s in (1, -1)]
    small = [0.0, -0.0, 0.5, 0.75, 1.5, 2.5, -0.5, -1.5, -2.5, 1e-45, -1e-45, 65504.0, -65504.0]
    return np.array([*near, *powers, *small, 3e38, -3e38])


@pytest.mark.parametrize(("mode", "engine", "form"), WAYS)
@pytest.mark.parametrize("target", list(INTEGERS))
@pytest.mark.parametrize("source", FLOATS)
def test_floats_become_integers_towards_zero_and_clamp_out_of_range(
    source: str, target: str, mode: str, engine: str | None, form: str
) -> None:
    """The specification gives the direction, and 0 for NaN; out of range this device clamps."""
    x = round_to(source, boundaries(target))
    if mode != "fast":
        x = np.concatenate([x, [np.nan, np.inf, -np.inf]])
    x = x[np.isfinite(x)] if mode == "fast" else x
    information = np.iinfo(INTEGERS[target])
    want = [
        0
        if np.isnan(v)
        else information.max
        if v == np.inf
        else information.min
        if v == -np.inf
        else min(max(int(v), int(information.min)), int(information.max))
        for v in x
    ]
    got = convert(source, target, x, mode, engine, form)
    np.testing.assert_array_equal(got, np.array(want, INTEGERS[target]))


def integers_near_ties(source: str) -> list[int]:
    """Integers of the type whose nearest float, half or bfloat is a matter of their last bits."""
    information = np.iinfo(INTEGERS[source])
    found = {0, 1, -1, int(information.max), int(information.min), 65504, 65519, 65520, 65521}
    for power in range(63):
        for step in (8, 11, 24):
            if power >= step:
                middle = 2**power + 2 ** (power - step)
                odd = middle + 2 ** (power - step + 1)
                found |= {m + d for m in (middle, odd) for d in (-1, 0, 1)}
    found |= {-v for v in found}
    return sorted(v for v in found if information.min <= v <= information.max)


def nearest(type_name: str, value: int) -> float:
    """The value rounded once, ties to even."""
    precision, beyond = {"float": (24, 128), "half": (11, 16), "bfloat": (8, 128)}[type_name]
    if value == 0:
        return 0.0
    step = Fraction(2) ** max(abs(value).bit_length() - precision, -200)
    rounded = round(Fraction(value) / step) * step  # Python rounds ties to even
    return float(rounded) if abs(rounded) < 2**beyond else float(np.copysign(np.inf, value))


@pytest.mark.parametrize("form", ["scalar", "vector"])
@pytest.mark.parametrize("target", FLOATS)
@pytest.mark.parametrize("source", list(INTEGERS))
def test_integers_become_the_nearest_float_rounded_once(
    source: str, target: str, form: str
) -> None:
    x = integers_near_ties(source)
    want = np.array([nearest(target, v) for v in x])
    for mode in ("safe",) if form == "vector" else MODES:
        values, expected = np.array(x, INTEGERS[source]), want
        if mode == "fast":
            values, expected = values[np.isfinite(want)], want[np.isfinite(want)]
        got = convert(source, target, values, mode, form=form)
        np.testing.assert_array_equal(got, expected)
