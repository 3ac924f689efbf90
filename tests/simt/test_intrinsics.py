"""AIR intrinsics but the maths library: integers, conversions, geometry, packing, atomics."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .air_call import DTYPES, Array, bfloat_to_float, call, call_all, float_to_bfloat, run

pytestmark = pytest.mark.native

RANDOM = np.random.default_rng(7)
WIDTHS = (8, 16, 32, 64)
REPOSITORY = Path(__file__).resolve().parents[2]


def integers(width: int, count: int = 400) -> list[int]:
    """Bit patterns: the corners, and random ones of every magnitude."""
    corners = [0, 1, 2, 3, 5, 2**width - 1, 2**width - 2, 2 ** (width - 1), 2 ** (width - 1) - 1]
    corners += [2 ** (width - 1) + 1, 0x55, 0xAA]
    words = RANDOM.integers(0, 2**64, count, dtype=np.uint64)
    shifts = RANDOM.integers(0, width, count)
    return [c % 2**width for c in corners] + [
        (int(w) % 2**width) >> int(s) for w, s in zip(words, shifts, strict=True)
    ]


def as_signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) else value


def clamp_to(value: int, width: int, signed: bool) -> int:
    low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    result: int = min(max(value, low), high)
    return result


def reverse(value: int, width: int) -> int:
    return int(format(value, f"0{width}b")[::-1], 2)


# name: (arguments, model on Python's integers given the width and whether signed). Results count
# modulo 2^width.
SIGN_AWARE: dict[str, tuple[int, Callable[..., int]]] = {
    "abs": (1, lambda w, s, a: abs(a)),
    "abs_diff": (2, lambda w, s, a, b: abs(a - b)),
    "min": (2, lambda w, s, a, b: min(a, b)),
    "max": (2, lambda w, s, a, b: max(a, b)),
    "min3": (3, lambda w, s, a, b, c: min(a, b, c)),
    "max3": (3, lambda w, s, a, b, c: max(a, b, c)),
    "median3": (3, lambda w, s, a, b, c: sorted((a, b, c))[1]),
    "clamp": (3, lambda w, s, a, b, c: min(max(a, b), c)),
    "add_sat": (2, lambda w, s, a, b: clamp_to(a + b, w, s)),
    "sub_sat": (2, lambda w, s, a, b: clamp_to(a - b, w, s)),
    "hadd": (2, lambda w, s, a, b: (a + b) >> 1),
    "rhadd": (2, lambda w, s, a, b: (a + b + 1) >> 1),
    "mul_hi": (2, lambda w, s, a, b: (a * b) >> w),
    "mad_hi": (3, lambda w, s, a, b, c: ((a * b) >> w) + c),
    "mad_sat": (3, lambda w, s, a, b, c: clamp_to(a * b + c, w, s)),
}
SIGN_BLIND: dict[str, tuple[int, Callable[..., int]]] = {
    "popcount": (1, lambda w, a: a.bit_count()),
    "reverse_bits": (1, lambda w, a: reverse(a, w)),
    "rotate": (2, lambda w, a, b: (a << (b % w)) | (a >> (w - b % w))),
}


def check_integers(name: str, width: int, arity: int, model: Callable[..., int]) -> None:
    columns = [RANDOM.permutation(np.array(integers(width), np.uint64)) for _ in range(arity)]
    columns = [c.astype(DTYPES[f"i{width}"]) for c in columns]
    want = [model(*(int(v) for v in row)) % 2**width for row in zip(*columns, strict=True)]
    got = call(name.format(f"i{width}"), f"i{width}", [f"i{width}"] * arity, *columns)
    np.testing.assert_array_equal(got, np.array(want, np.uint64).astype(got.dtype))
    # The same numbers as vectors of four.
    rows = len(want) // 4
    vectors = [c[: rows * 4].reshape(rows, 4) for c in columns]
    got = call(name.format(f"v4i{width}"), f"v4i{width}", [f"v4i{width}"] * arity, *vectors)
    np.testing.assert_array_equal(
        got.ravel(), np.array(want[: rows * 4], np.uint64).astype(got.dtype)
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("sign", ["s", "u"])
@pytest.mark.parametrize("name", SIGN_AWARE)
def test_integer_function_follows_the_integers(name: str, sign: str, width: int) -> None:
    arity, model = SIGN_AWARE[name]

    def signed_model(*values: int) -> int:
        values = tuple(as_signed(v, width) for v in values) if sign == "s" else values
        return model(width, sign == "s", *values)

    check_integers(f"air.{name}.{sign}.{{}}", width, arity, signed_model)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SIGN_BLIND)
def test_bit_function_follows_the_integers(name: str, width: int) -> None:
    arity, model = SIGN_BLIND[name]
    check_integers(f"air.{name}.{{}}", width, arity, lambda *v: model(width, *v))


@pytest.mark.parametrize("width", WIDTHS)
def test_shifts_take_their_amount_modulo_the_width(width: int) -> None:
    x = np.array(integers(width), np.uint64).astype(DTYPES[f"i{width}"])
    amounts = np.array(integers(width)[::-1], np.uint64).astype(x.dtype)
    pairs = [(int(a), int(n) % width) for a, n in zip(x, amounts, strict=True)]
    wants = {
        "shl": [(a << n) % (1 << width) for a, n in pairs],
        "lshr": [a >> n for a, n in pairs],
        "ashr": [(as_signed(a, width) >> n) % (1 << width) for a, n in pairs],
    }
    kind = f"i{width}"
    for name, want in wants.items():
        got = call(f"ir.{name}", kind, [kind, kind], x, amounts)
        np.testing.assert_array_equal(got, np.array(want, np.uint64).astype(got.dtype), name)
    small = run("--emit", "lowered", "ir.shl", kind, kind, f"={kind}:3").decode()
    assert " and " not in small


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("flag", ["=i1:0", "=i1:1"])
def test_zeros_are_counted_for_zero_too(width: int, flag: str) -> None:
    x = np.array(integers(width), np.uint64).astype(DTYPES[f"i{width}"])
    leading = [width - int(v).bit_length() for v in x]
    trailing = [(int(v) & -int(v)).bit_length() - 1 if v else width for v in x]
    for name, want in (("clz", leading), ("ctz", trailing)):
        np.testing.assert_array_equal(
            call(f"air.{name}.i{width}", f"i{width}", [f"i{width}", flag], x), want
        )


@pytest.mark.parametrize("sign", ["s", "u"])
def test_24_bit_products_ignore_the_upper_bits(sign: str) -> None:
    columns = [np.array(integers(32), np.uint64).astype(np.uint32) for _ in range(3)]
    a, b, c = (RANDOM.permutation(column) for column in columns)

    def low(value: int) -> int:
        value %= 2**24
        return as_signed(value, 24) if sign == "s" else value

    product = [low(int(x)) * low(int(y)) for x, y in zip(a, b, strict=True)]
    got = call(f"air.mul24.{sign}.i32", "i32", ["i32"] * 2, a, b)
    np.testing.assert_array_equal(got, [p % 2**32 for p in product])
    got = call(f"air.mad24.{sign}.i32", "i32", ["i32"] * 3, a, b, c)
    np.testing.assert_array_equal(
        got, [(p + int(z)) % 2**32 for p, z in zip(product, c, strict=True)]
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("sign", ["s", "u"])
def test_bit_fields_of_every_place_and_size(width: int, sign: str) -> None:
    places = [(o, n) for o in range(width) for n in range(width - o + 1)]
    offset = np.array([p[0] for p in places], np.uint32)
    bits = np.array([p[1] for p in places], np.uint32)
    count = len(places)
    x, y = (
        RANDOM.integers(0, 2**64, count, dtype=np.uint64).astype(DTYPES[f"i{width}"])
        for _ in range(2)
    )
    extracted, inserted = [], []
    for value, new, (o, n) in zip(x, y, places, strict=True):
        field = (int(value) >> o) % 2**n
        if sign == "s" and n and field >= 2 ** (n - 1):
            field -= 2**n
        extracted.append(field % 2**width)
        mask = (2**n - 1) << o
        inserted.append((int(value) & ~mask) | ((int(new) << o) & mask))
    kind = f"i{width}"
    got = call(f"air.extract_bits.{sign}.{kind}", kind, [kind, "i32", "i32"], x, offset, bits)
    np.testing.assert_array_equal(got, np.array(extracted, np.uint64).astype(got.dtype))
    got = call(
        f"air.insert_bits.{sign}.{kind}", kind, [kind, kind, "i32", "i32"], x, y, offset, bits
    )
    np.testing.assert_array_equal(got, np.array(inserted, np.uint64).astype(got.dtype))


# ------------------------------------------------------------------------------------ conversions

FLOATS = ("f32", "f16", "bf16")


def to_float64(values: Array, type_name: str) -> Array:
    with np.errstate(invalid="ignore"):  # signalling NaNs
        if type_name == "bf16":
            return bfloat_to_float(values).astype(np.float64)
        return values.astype(np.float64)


def sample(kind: str, type_name: str) -> Array:
    """Values of a type: every bit pattern up to 16 bits, else random patterns and corners."""
    if type_name == "i1":
        return np.array([0, 1] * 8, np.uint8)
    dtype = DTYPES[type_name]
    if type_name in ("f16", "bf16", "i8", "i16"):
        size = 256 if type_name == "i8" else 65536
        unsigned = np.arange(size, dtype=np.uint8 if size == 256 else np.uint16)
        return unsigned.view(dtype)
    if type_name == "f32":
        patterns = RANDOM.integers(0, 2**32, 40_000, dtype=np.uint32).view(np.float32)
        near = [2.0**p + d for p in (7, 8, 15, 16, 31, 32, 63, 64) for d in (-1, -0.5, 0, 0.5, 1)]
        corners = np.array(
            [*near, *(-n for n in near), np.inf, -np.inf, np.nan, 0.0, -0.0], np.float32
        )
        values: Array = np.concatenate(
            [patterns, corners, RANDOM.uniform(-300, 300, 4000).astype(np.float32)]
        )
        return values
    width = int(type_name[1:])
    ties = [(2 * k + 1) << s for s in range(width - 10) for k in range(128, 256, 9)]
    ties += [t + d for t in ties for d in (-1, 1)]
    values = np.array(
        [v % 2**width for v in integers(width, 4000) + ties + [-t for t in ties]], np.uint64
    )
    return values.astype(dtype)


def integer_values(values: Array, kind: str, type_name: str) -> list[int]:
    width = int(type_name[1:])
    plain = [int(v) for v in values]
    return [as_signed(v, width) for v in plain] if kind == "s" and width > 1 else plain


KINDS = [("f", t) for t in FLOATS] + [(k, f"i{w}") for k in "su" for w in WIDTHS] + [("u", "i1")]


@pytest.mark.parametrize("source", KINDS, ids="".join)
@pytest.mark.parametrize("target", KINDS, ids="".join)
def test_conversion_between_every_two_types(
    target: tuple[str, str], source: tuple[str, str]
) -> None:
    x = sample(*source)
    name = f"air.convert.{target[0]}.{target[1]}.{source[0]}.{source[1]}"
    got = call(name, target[1], [source[1]], x)
    if source[0] == "f":
        wide = to_float64(x, source[1])
        if target[0] == "f":
            check_float_result(got, wide, target[1])
            return
        width = int(target[1][1:])
        if width == 1:
            np.testing.assert_array_equal(got, wide != 0)
            return
        low, high = (
            (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if target[0] == "s" else (0, 2**width - 1)
        )
        # Infinities clamp like any other number; Python's integers have room for all of them.
        whole = [int(v) for v in np.nan_to_num(wide, nan=0.0, posinf=1e30, neginf=-1e30)]
        want = [min(max(v, low), high) for v in whole]
        np.testing.assert_array_equal(
            got, np.array([w % 2**width for w in want], np.uint64).astype(got.dtype)
        )
        return
    values = integer_values(x, *source)
    if target[0] == "f":
        precision = {"f32": 24, "f16": 11, "bf16": 8}[target[1]]
        wide = np.array([round_integer(v, precision) for v in values])
        check_float_result(got, wide, target[1])
        return
    width = int(target[1][1:])
    want = [int(v != 0) if width == 1 else v % 2**width for v in values]
    np.testing.assert_array_equal(got, np.array(want, np.uint64).astype(got.dtype))


def round_integer(value: int, precision: int) -> float:
    """The integer rounded to nearest even at so many bits: one rounding, then exact in float64."""
    magnitude = abs(value)
    drop = max(magnitude.bit_length() - precision, 0)
    kept, rest = magnitude >> drop, magnitude & ((1 << drop) - 1)
    half = 1 << (drop - 1) if drop else 0
    if drop and (rest > half or (rest == half and kept & 1)):
        kept += 1
    return float((kept << drop) * (1 if value >= 0 else -1))


def check_float_result(got: Array, want: Array, type_name: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if type_name == "bf16":
            bits = float_to_bfloat(want)
            nan = np.isnan(want)
            assert np.isnan(bfloat_to_float(got[nan])).all()
            np.testing.assert_array_equal(got[~nan], bits[~nan])
            return
        np.testing.assert_array_equal(got, want.astype(DTYPES[type_name]))


@pytest.mark.parametrize(
    ("suffix", "function"),
    [("rte", np.rint), ("rtz", np.trunc), ("rtp", np.ceil), ("rtn", np.floor)],
)
def test_rounding_of_a_conversion_to_integer(
    suffix: str, function: Callable[[Array], Array]
) -> None:
    x = np.concatenate([RANDOM.uniform(-100, 100, 1000), np.arange(-5, 5, 0.5)]).astype(np.float32)
    got = call(f"air.convert.s.i32.f.f32.{suffix}", "i32", ["f32"], x).view(np.int32)
    np.testing.assert_array_equal(got, function(x).astype(np.int32))


@pytest.mark.parametrize("type_name", ["f16", "bf16"])
@pytest.mark.parametrize("suffix", ["rtz", "rtp", "rtn"])
def test_directed_rounding_brackets_the_value(suffix: str, type_name: str) -> None:
    x = RANDOM.uniform(-60000, 60000, 5000).astype(np.float32)
    got = call(f"air.convert.f.{type_name}.f.f32.{suffix}", type_name, ["f32"], x)
    nearest = call(f"air.convert.f.{type_name}.f.f32", type_name, ["f32"], x)
    value, near = to_float64(got, type_name), to_float64(nearest, type_name)
    exact = x.astype(np.float64)
    inside = {"rtz": np.abs(value) <= np.abs(exact), "rtp": value >= exact, "rtn": value <= exact}[
        suffix
    ]
    assert inside.all()
    # One of the two neighbours: at most a step from the nearest.
    bits = 11 if type_name == "f16" else 8
    step = np.exp2(np.floor(np.log2(np.abs(exact))) - (bits - 1))
    assert (np.abs(value - near) <= step).all()
    assert (np.abs(value - exact) < step).all()


def test_conversion_of_vectors_goes_by_element() -> None:
    x = RANDOM.uniform(-1000, 1000, (500, 4)).astype(np.float32)
    got = call("air.convert.f.v4bf16.f.v4f32", "v4bf16", ["v4f32"], x)
    np.testing.assert_array_equal(got, float_to_bfloat(x))
    got = call("air.convert.s.v4i8.f.v4f32", "v4i8", ["v4f32"], x).view(np.int8)
    np.testing.assert_array_equal(got, np.clip(np.trunc(x), -128, 127).astype(np.int8))


# ------------------------------------------------------------------------------- floats, geometry


def test_common_functions_of_floats() -> None:
    a, b, c = (RANDOM.uniform(-4, 4, 2000).astype(np.float32) for _ in range(3))
    wide = [v.astype(np.float64) for v in (a, b, c)]
    low, high = np.minimum(a, b), np.maximum(a, b)
    one = ["f32"]
    t = np.clip((wide[2] - low) / (high.astype(np.float64) - low), 0, 1)
    cases: list[tuple[str, list[str], list[Array], Array]] = [
        ("fma", one * 3, [a, b, c], wide[0] * wide[1] + wide[2]),
        ("fmin3", one * 3, [a, b, c], np.minimum(low, c)),
        ("fmax3", one * 3, [a, b, c], np.maximum(high, c)),
        ("fmedian3", one * 3, [a, b, c], np.median([a, b, c], axis=0)),
        ("clamp", one * 3, [c, low, high], np.clip(c, low, high)),
        ("saturate", one, [a], np.clip(a, 0, 1)),
        ("sign", one, [a], np.sign(a)),
        ("step", one * 2, [a, b], np.where(b < a, 0.0, 1.0)),
        ("mix", one * 3, [a, b, c], wide[0] + (wide[1] - wide[0]) * wide[2]),
        ("smoothstep", one * 3, [low, high, c], t * t * (3 - 2 * t)),
        ("fract", one, [a], wide[0] - np.floor(wide[0])),
        ("fdim", one * 2, [a, b], np.maximum(wide[0] - wide[1], 0)),
        ("divide", one * 2, [a, b], wide[0] / wide[1]),
        ("recip", one, [a], 1 / wide[0]),
    ]
    for name, types, arrays, want in cases:
        got = call(f"air.{name}.f32", "f32", types, *arrays)
        np.testing.assert_allclose(got, want, rtol=4e-7, atol=2e-6, err_msg=name)


def test_corner_values_of_common_functions() -> None:
    x = np.array([np.nan, 0.0, -0.0, np.inf, -np.inf, -1e-30], np.float32)
    np.testing.assert_array_equal(call("air.sign.f32", "f32", ["f32"], x), [0, 0, 0, 1, -1, -1])
    np.testing.assert_array_equal(call("air.saturate.f32", "f32", ["f32"], x), [0, 0, 0, 1, 0, 0])
    fract = call("air.fract.f32", "f32", ["f32"], x)
    assert fract[5] == np.float32(1 - 2**-24)
    assert fract[5] < 1
    half = call("air.fract.f16", "f16", ["f16"], np.array([-1e-7, -0.25], np.float16))
    np.testing.assert_array_equal(half, np.array([1 - 2**-11, 0.75], np.float16))


def test_fused_multiply_add_rounds_once() -> None:
    a = np.array([1 + 2.0**-23], np.float32)
    c = np.array([-(1 + 2.0**-22)], np.float32)
    np.testing.assert_array_equal(call("air.fma.f32", "f32", ["f32"] * 3, a, a, c), [2.0**-46])


@pytest.mark.parametrize("type_name", FLOATS)
def test_classification(type_name: str) -> None:
    x = sample("f", type_name)
    value = to_float64(x, type_name)
    smallest = {"f32": 2.0**-126, "f16": 2.0**-14, "bf16": 2.0**-126}[type_name]
    finite = np.isfinite(value)
    sign = x.view({1: np.int8, 2: np.int16, 4: np.int32}[x.dtype.itemsize]) < 0
    wants = {
        "isnan": np.isnan(value),
        "isinf": np.isinf(value),
        "isfinite": finite,
        "isnormal": finite & (np.abs(value) >= smallest),
        "signbit": sign,
    }
    for name, want in wants.items():
        np.testing.assert_array_equal(
            call(f"air.{name}.{type_name}", "i1", [type_name], x), want, name
        )
    y = x[::-1].copy()
    ordered = call(f"air.isordered.{type_name}", "i1", [type_name] * 2, x, y)
    np.testing.assert_array_equal(ordered, ~(np.isnan(value) | np.isnan(value[::-1])))


@pytest.mark.parametrize(("type_name", "tolerance"), [("f32", 1e-5), ("f16", 2e-3)])
def test_geometry(type_name: str, tolerance: float) -> None:
    dtype = DTYPES[type_name]
    a, b, n = (RANDOM.uniform(-2, 2, (800, 3)).astype(dtype) for _ in range(3))
    wa, wb = a.astype(np.float64), b.astype(np.float64)
    vector, scalar = f"v3{type_name}", type_name
    unit = (n / np.linalg.norm(n.astype(np.float64), axis=1, keepdims=True)).astype(dtype)
    wn = unit.astype(np.float64)

    def dot(x: Array, y: Array) -> Array:
        total: Array = (x * y).sum(axis=1)
        return total

    def close(name: str, got: Array, want: Array) -> None:
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=name)

    close("dot", call(f"air.dot.{vector}", scalar, [vector] * 2, a, b), dot(wa, wb))
    close("cross", call(f"air.cross.{vector}", vector, [vector] * 2, a, b), np.cross(wa, wb))
    close("length", call(f"air.length.{vector}", scalar, [vector], a), np.sqrt(dot(wa, wa)))
    close(
        "distance",
        call(f"air.distance.{vector}", scalar, [vector] * 2, a, b),
        np.sqrt(dot(wa - wb, wa - wb)),
    )
    close(
        "normalize",
        call(f"air.normalize.{vector}", vector, [vector], a),
        wa / np.sqrt(dot(wa, wa))[:, None],
    )
    close(
        "reflect",
        call(f"air.reflect.{vector}", vector, [vector] * 2, a, unit),
        wa - 2 * dot(wn, wa)[:, None] * wn,
    )
    facing = np.where(dot(wb, wa)[:, None] < 0, wn, -wn)
    close(
        "faceforward", call(f"air.faceforward.{vector}", vector, [vector] * 3, unit, a, b), facing
    )
    # refract: Snell's law on unit vectors, total reflection included.
    eta = RANDOM.uniform(0.5, 2, 800).astype(dtype)
    incident = (a / np.linalg.norm(wa, axis=1, keepdims=True)).astype(dtype)
    wi, we = incident.astype(np.float64), eta.astype(np.float64)
    cosine = dot(wn, wi)
    k = 1 - we**2 * (1 - cosine**2)
    bent = we[:, None] * wi - (we * cosine + np.sqrt(np.maximum(k, 0)))[:, None] * wn
    clear = np.abs(k) > 0.02
    got = call(f"air.refract.{vector}", vector, [vector, vector, scalar], incident, unit, eta)
    np.testing.assert_allclose(
        got[clear],
        np.where(k[:, None] < 0, 0, bent)[clear],
        rtol=10 * tolerance,
        atol=10 * tolerance,
    )


def test_boolean_reductions_and_select() -> None:
    x = np.array(list(itertools.product([0, 1], repeat=3)), np.uint8)
    np.testing.assert_array_equal(call("air.any.v3i1", "i1", ["v3i1"], x), x.any(axis=1))
    np.testing.assert_array_equal(call("air.all.v3i1", "i1", ["v3i1"], x), x.all(axis=1))
    a, b = (RANDOM.uniform(0, 1, (8, 3)).astype(np.float32) for _ in range(2))
    np.testing.assert_array_equal(
        call("air.select.v3f32", "v3f32", ["v3f32", "v3f32", "v3i1"], a, b, x), np.where(x, b, a)
    )


# ---------------------------------------------------------------------------------------- packing


@pytest.mark.parametrize(
    ("name", "signed", "widths", "offsets"),
    [
        ("unorm4x8", False, [8, 8, 8, 8], [0, 8, 16, 24]),
        ("snorm4x8", True, [8, 8, 8, 8], [0, 8, 16, 24]),
        ("unorm2x16", False, [16, 16], [0, 16]),
        ("snorm2x16", True, [16, 16], [0, 16]),
        ("unorm.rgb10a2", False, [10, 10, 10, 2], [0, 10, 20, 30]),
    ],
)
def test_packing_of_normalised_values(
    name: str, signed: bool, widths: list[int], offsets: list[int]
) -> None:
    vector = f"v{len(widths)}f32"
    packed = RANDOM.integers(0, 2**32, 3000, dtype=np.uint32)
    want = np.zeros((len(packed), len(widths)))
    for i, (width, offset) in enumerate(zip(widths, offsets, strict=True)):
        field = (packed >> np.uint32(offset)).astype(np.int64) % 2**width
        if signed:
            field = np.where(field >= 2 ** (width - 1), field - 2**width, field)
        want[:, i] = np.maximum(field / (2 ** (width - signed) - 1), -1 if signed else 0)
    colour = call(f"air.unpack.{name}.{vector}", vector, ["i32"], packed)
    np.testing.assert_allclose(colour, want, rtol=1e-6, atol=1e-9)
    # Packing inverts it (but for the second pattern of -1), and clamps.
    again = call(f"air.pack.{name}.{vector}", "i32", [vector], colour)
    np.testing.assert_array_equal(
        call(f"air.unpack.{name}.{vector}", vector, ["i32"], again), colour
    )
    if not signed:
        np.testing.assert_array_equal(again, packed)
    beyond = np.full((1, len(widths)), 7.0, np.float32)
    top = call(f"air.pack.{name}.{vector}", "i32", [vector], beyond)
    np.testing.assert_array_equal(
        call(f"air.unpack.{name}.{vector}", vector, ["i32"], top), np.ones_like(beyond)
    )


# ---------------------------------------------------------------------------------------- atomics


def atomic(space: str, operation: str, type_name: str, suffix: str = "") -> tuple[str, list[str]]:
    return f"air.atomic.{space}.{operation}{suffix}.{type_name}", ["=i32:0", "=i32:2", "=i1:1"]


@pytest.mark.parametrize("space", ["global", "local"])
@pytest.mark.parametrize(
    ("operation", "suffix", "type_name", "value", "result"),
    [
        ("add", ".u", "i32", 7, lambda old, x: old + x),
        ("sub", ".s", "i32", 7, lambda old, x: old - x),
        ("and", ".u", "i32", 12, lambda old, x: old & x),
        ("or", ".u", "i32", 12, lambda old, x: old | x),
        ("xor", ".u", "i32", 12, lambda old, x: old ^ x),
        ("max", ".u", "i64", 2**40, max),
        ("min", ".u", "i32", 3, min),
        ("xchg", "", "i32", 9, lambda old, x: x),
        ("add", "", "f32", 2.5, lambda old, x: old + x),
    ],
)
def test_atomic_returns_the_old_value_and_stores_the_new(
    space: str,
    operation: str,
    suffix: str,
    type_name: str,
    value: float,
    result: Callable[..., float],
) -> None:
    # The location is a local outside the loop: its first value is not defined, later ones are.
    dtype = DTYPES[type_name]
    name, orders = atomic(space, operation, type_name, suffix)
    ir = run("--emit", "lowered", name, type_name, f">{type_name}", type_name, *orders).decode()
    instruction = {"xchg": "xchg", "max": "umax", "min": "umin"}.get(operation, operation)
    if type_name == "f32":
        instruction = "fadd"
    assert re.search(
        rf"atomicrmw {instruction} ptr %\w+, \w+ %\w+ monotonic, align {np.dtype(dtype).itemsize}",
        ir,
    )
    old, new = call_all(
        name, type_name, [f">{type_name}", type_name, *orders], np.full(16, value, dtype)
    )
    for before, after in zip(old[1:], new[:-1], strict=True):
        assert before == after  # each iteration finds what the one before left
    for before, after in zip(old.tolist()[1:], new.tolist()[1:], strict=True):
        assert after == dtype(np.array(result(before, value)).astype(dtype))


def test_signed_minimum_and_maximum_compare_as_signed() -> None:
    for operation, word in (("min", "min"), ("max", "max")):
        name, orders = atomic("global", operation, "i32", ".s")
        assert (
            f"atomicrmw {word} ptr"
            in run("--emit", "lowered", name, "i32", ">i32", "i32", *orders).decode()
        )


def test_atomic_store_load_exchange_and_compare() -> None:
    x = np.array([1, 5, 5, 9], np.uint32)
    (stored,) = call_all(
        "air.atomic.global.store.i32", "void", [">i32", "i32", "=i32:0", "=i32:2", "=i1:1"], x
    )
    np.testing.assert_array_equal(stored, x)
    ir = run(
        "--emit",
        "lowered",
        "air.atomic.global.load.f32",
        "f32",
        ">f32",
        "=i32:0",
        "=i32:2",
        "=i1:1",
    ).decode()
    assert "load atomic float" in ir
    # The location keeps 0 until the expected value matches; `expected` receives what was found.
    ir = run("--emit", "lowered", "air.atomic.local.cmpxchg.weak.f32", "f32", ">f32", ">f32", "f32",
             "=i32:0", "=i32:0", "=i32:2", "=i1:1").decode()  # fmt: skip
    assert re.search(r"cmpxchg ptr %\w+, i32 %\w+, i32 %\w+ monotonic monotonic", ir)
    assert ir.count("store i32") == 1


def test_a_fence_that_orders_becomes_one() -> None:
    strong = run(
        "--emit", "lowered", "air.atomic.fence", "void", "=i32:1", "=i32:5", "=i32:2"
    ).decode()
    relaxed = run(
        "--emit", "lowered", "air.atomic.fence", "void", "=i32:1", "=i32:0", "=i32:2"
    ).decode()
    assert "fence seq_cst" in strong
    assert "fence" not in relaxed.replace("air.atomic.fence", "")


# ------------------------------------------------------------------------------------- the driver


def test_hints_are_constants() -> None:
    x = np.arange(5, dtype=np.uint32)
    np.testing.assert_array_equal(call("air.is_uniform.i32", "i1", ["i32"], x), np.ones(5))
    name = "air.normalize_function_constant_predicate.i8"
    np.testing.assert_array_equal(
        call(name, "i8", ["i8"], np.array([0, 1, 7], np.uint8)), [0, 1, 1]
    )


@pytest.mark.parametrize(
    ("name", "result", "operands"),
    [
        ("air.os_log", "void", ["i32"]),
        ("air.no_such_function.f32", "f32", ["f32"]),
        ("air.exp.f32", "i32", ["f32"]),
        ("air.exp.f32", "f32", ["i32"]),
        ("air.pow.f32", "f32", ["f32"]),
        ("air.min.s.i32", "i32", ["i32", "i16"]),
        ("air.convert.f.f32", "f32", ["f32"]),
        ("air.convert.f.v2f32.f.f32", "v2f32", ["f32"]),
        ("air.convert.f.f32.f.f16.sideways", "f32", ["f16"]),
        ("air.dot.v3f32", "f32", ["v3f32", "v4f32"]),
        ("air.cross.v4f32", "v4f32", ["v4f32", "v4f32"]),
        ("air.atomic.global.add.u.i32", "i32", ["i32", "i32", "i32", "i32", "i1"]),
        ("air.atomic.global.nand.u.i32", "i32", [">i32", "i32", "i32", "i32", "i1"]),
        ("air.pack.unorm9x3.v4f32", "i32", ["v4f32"]),
        ("air.extract_bits.u.v2i32", "v2i32", ["v2i32", "v3i32", "i32"]),
    ],
)
def test_what_is_unknown_or_does_not_fit_is_reported_and_left(
    name: str, result: str, operands: list[str]
) -> None:
    with pytest.raises(RuntimeError, match=f"not handled: {re.escape(name)}"):
        run("--emit", "llvm", name, result, *operands)


@pytest.mark.parametrize(
    "name",
    [
        "air.simd_sum.f32",
        "air.quad_broadcast.f32",
        "air.simd_shuffle_xor.f32",
        "air.fast_simd_sum.f32",
    ],
)
def test_cross_lane_functions_are_left_without_a_word(name: str) -> None:
    assert f"@{name}" in run("--emit", "lowered", name, "f32", "f32").decode()


def test_every_family_is_documented_and_every_documented_family_exists() -> None:
    families = set(run("--families").decode().split())
    page = (REPOSITORY / "docs" / "design" / "intrinsics.md").read_text()
    rows = re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert families == documented
