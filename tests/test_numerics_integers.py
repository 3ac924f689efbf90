"""Metal's integer functions, called from Metal source: every 8-bit argument, corners of the wider
types, scalars and vectors, both engines."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

metalwright = pytest.importorskip("metalwright", reason="needs the compiled extension")
pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

from tests.simt.metal_functions import engine_of  # noqa: E402

pytestmark = pytest.mark.native

Array = NDArray[Any]
TYPES = {
    "char": np.int8,
    "uchar": np.uint8,
    "short": np.int16,
    "ushort": np.uint16,
    "int": np.int32,
    "uint": np.uint32,
    "long": np.int64,
    "ulong": np.uint64,
}


def clamped(v: int, w: int, s: bool) -> int:
    return min(max(v, -(2 ** (w - 1)) if s else 0), 2 ** (w - s) - 1)


def rotated(a: int, n: int, w: int) -> int:
    a, n = a % 2**w, n % w
    return (a << n) | (a >> (w - n))


def field(a: int, offset: int, bits: int, w: int, s: bool) -> int:
    value = (a >> offset) % 2**bits
    return value - 2**bits if s and bits and value >> (bits - 1) else value


def inserted(a: int, b: int, offset: int, bits: int) -> int:
    mask = (2**bits - 1) << offset
    return (a & ~mask) | ((b << offset) & mask)


# name: (arguments, Metal, Python on integers with the width and whether signed). A result counts
# modulo 2^width.
FUNCTIONS: dict[str, tuple[int, str, Callable[..., int]]] = {
    "abs": (1, "abs(a)", lambda w, s, a: abs(a)),
    "clz": (1, "clz(a)", lambda w, s, a: w - (a % 2**w).bit_length()),
    "ctz": (1, "ctz(a)", lambda w, s, a: w if a == 0 else (a & -a).bit_length() - 1),
    "popcount": (1, "popcount(a)", lambda w, s, a: (a % 2**w).bit_count()),
    "reverse_bits": (1, "reverse_bits(a)", lambda w, s, a: int(f"{a % 2**w:0{w}b}"[::-1], 2)),
    "absdiff": (2, "V(absdiff(a, b))", lambda w, s, a, b: abs(a - b)),
    "addsat": (2, "addsat(a, b)", lambda w, s, a, b: clamped(a + b, w, s)),
    "subsat": (2, "subsat(a, b)", lambda w, s, a, b: clamped(a - b, w, s)),
    "hadd": (2, "hadd(a, b)", lambda w, s, a, b: (a + b) >> 1),
    "rhadd": (2, "rhadd(a, b)", lambda w, s, a, b: (a + b + 1) >> 1),
    "mulhi": (2, "mulhi(a, b)", lambda w, s, a, b: (a * b) >> w),
    "max": (2, "max(a, b)", lambda w, s, a, b: max(a, b)),
    "min": (2, "min(a, b)", lambda w, s, a, b: min(a, b)),
    "rotate": (2, "rotate(a, b)", lambda w, s, a, b: rotated(a, b, w)),
    "madhi": (3, "madhi(a, b, c)", lambda w, s, a, b, c: ((a * b) >> w) + c),
    "madsat": (3, "madsat(a, b, c)", lambda w, s, a, b, c: clamped(a * b + c, w, s)),
    "max3": (3, "max3(a, b, c)", lambda w, s, a, b, c: max(a, b, c)),
    "min3": (3, "min3(a, b, c)", lambda w, s, a, b, c: min(a, b, c)),
    "median3": (3, "median3(a, b, c)", lambda w, s, a, b, c: sorted((a, b, c))[1]),
    "clamp": (
        3,
        "clamp(a, min(b, c), max(b, c))",
        lambda w, s, a, b, c: min(max(a, min(b, c)), max(b, c)),
    ),
}
# Offset and count are drawn so that their sum is at most the width, as the specification asks.
FIELDS: dict[str, tuple[str, Callable[..., int]]] = {
    "extract_bits": (
        "extract_bits(a, offset, bits)",
        lambda w, s, a, b, offset, bits: field(a, offset, bits, w, s),
    ),
    "insert_bits": (
        "insert_bits(a, b, offset, bits)",
        lambda w, s, a, b, offset, bits: inserted(a, b, offset, bits),
    ),
}
_KERNEL = """kernel void {name}{n}(device const {type}* x, device const {type}* y,
    device const {type}* z, device const uchar2* fields, device {type}* result,
    uint i [[thread_position_in_grid]]) {{
  typedef {vector} V;
  V a({load_x}), b({load_y}), c({load_z});
  uint offset = fields[{n} * i].x, bits = fields[{n} * i].y;
  (void)b, (void)c, (void)offset, (void)bits;
  V value = V({expression});
  {store}
}}
"""


@cache
def library(type_name: str, engine: str | None) -> Any:
    source = f"#include <metal_stdlib>\nusing namespace metal; // {engine}\n"
    expressions = {n: e for n, (_, e, _f) in FUNCTIONS.items()} | {
        n: e for n, (e, _f) in FIELDS.items()
    }
    for name, expression in expressions.items():
        for n in (1, 2, 3, 4):
            lists = {f"load_{p}": ", ".join(f"{p}[{n} * i + {k}]" for k in range(n)) for p in "xyz"}
            store = " ".join(f"result[{n} * i + {k}] = value[{k}];" for k in range(n))
            source += _KERNEL.format(
                name=name,
                n=n,
                type=type_name,
                vector=type_name if n == 1 else f"vec<{type_name}, {n}>",
                expression=expression,
                store="result[i] = value;" if n == 1 else store,
                **lists,
            )
    return metalwright.compile(source, device="cpu")


def run(
    type_name: str, name: str, columns: list[Array], fields: Array, n: int, engine: str | None
) -> Array:
    result = np.zeros(len(columns[0]), TYPES[type_name])
    with engine_of(engine):
        kernel = library(type_name, engine).kernel(f"{name}{n}")
        kernel(*columns, fields, result, threads=len(result) // n)
    return result


def corners(type_name: str, count: int, seed: int) -> Array:
    random = np.random.default_rng(seed)
    information = np.iinfo(TYPES[type_name])
    width = information.bits
    ends = [0, 1, 2, information.max, information.max - 1, information.min, information.min + 1]
    words = random.integers(information.min, information.max, count, TYPES[type_name], True)
    return np.concatenate(
        [
            np.array(ends, TYPES[type_name]),
            words >> random.integers(0, width, count).astype(words.dtype),
        ]
    )


def arguments(type_name: str, arity: int) -> list[Array]:
    """8 bits: every argument, every pair, every pair with two third ones; wider: the corners."""
    information = np.iinfo(TYPES[type_name])
    if information.bits == 8:
        every = np.arange(information.min, information.max + 1).astype(TYPES[type_name])
        thirds = np.array([information.min + 1, 100])
        parts = [every, every if arity > 1 else every[:1], thirds if arity > 2 else every[:1]]
        grids = np.meshgrid(*parts, indexing="ij")
        return [np.ascontiguousarray(g.ravel().astype(TYPES[type_name])) for g in grids]
    columns = [corners(type_name, 401, 11 + k) for k in range(3)]
    ends = columns[0][:7]
    pairs = np.meshgrid(ends, ends, ends)
    return [np.concatenate([c, p.ravel()]) for c, p in zip(columns, pairs, strict=True)]


def placed(columns: list[Array], width: int) -> Array:
    random = np.random.default_rng(5)
    offset = random.integers(0, width, len(columns[0]))
    bits = (random.random(len(offset)) * (width - offset + 1)).astype(np.int64)
    return np.stack([offset, bits], 1).astype(np.uint8)


def want(name: str, type_name: str, columns: list[Array], fields: Array) -> Array:
    width = np.iinfo(TYPES[type_name]).bits
    signed = type_name[0] != "u"
    unsigned = np.dtype(f"u{width // 8}")
    rows = zip(*(c.tolist() for c in columns), fields.tolist(), strict=True)
    if name in FIELDS:
        model = FIELDS[name][1]
        values = [model(width, signed, a, b, *place) for a, b, _c, place in rows]
    else:
        arity, _, model = FUNCTIONS[name]
        values = [model(width, signed, *row[:arity]) for row in rows]
    got: Array = np.array([v % 2**width for v in values], unsigned).view(TYPES[type_name])
    return got


@pytest.mark.parametrize("type_name", list(TYPES))
@pytest.mark.parametrize("name", [*FUNCTIONS, *FIELDS])
def test_an_integer_function_is_the_one_on_integers(name: str, type_name: str) -> None:
    arity = 2 if name in FIELDS else FUNCTIONS[name][0]
    columns = arguments(type_name, arity)
    fields = placed(columns, np.iinfo(TYPES[type_name]).bits)
    expected = want(name, type_name, columns, fields)
    np.testing.assert_array_equal(run(type_name, name, columns, fields, 1, None), expected)


@pytest.mark.parametrize("type_name", list(TYPES))
@pytest.mark.parametrize("name", [*FUNCTIONS, *FIELDS])
def test_vectors_and_the_checked_engine_give_the_same_integers(name: str, type_name: str) -> None:
    columns = [corners(type_name, 401, 11 + k)[:408] for k in range(3)]
    places = placed(columns, np.iinfo(TYPES[type_name]).bits)
    for n, engine in ((2, None), (3, "checked"), (4, "simdgroup")):
        fields = np.repeat(places[::n], n, axis=0)  # one offset and count for a whole vector
        expected = want(name, type_name, columns, fields)
        got = run(type_name, name, columns, fields, n, engine)
        np.testing.assert_array_equal(got, expected, f"vectors of {n}, engine {engine}")


@pytest.mark.parametrize("type_name", ["int", "uint"])
def test_24_bit_products_are_exact_in_their_range(type_name: str) -> None:
    low, high = (-(2**23), 2**23 - 1) if type_name == "int" else (0, 2**24 - 1)
    values = np.array([low, low + 1, high, high - 1, 0, 1, 12345, 54321])
    x, y, z = (g.ravel().astype(TYPES[type_name]) for g in np.meshgrid(values, values, values))
    source = f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const {type_name}* x, device const {type_name}* y,
    device const {type_name}* z, device {type_name}* product, device {type_name}* sum,
    uint i [[thread_position_in_grid]]) {{
  product[i] = mul24(x[i], y[i]);
  sum[i] = mad24(x[i], y[i], z[i]);
}}
"""
    product, total = np.zeros_like(x), np.zeros_like(x)
    metalwright.compile(source, device="cpu").k(x, y, z, product, total, threads=len(x))
    exact = x.astype(object) * y.astype(object)
    for got, wanted in ((product, exact), (total, exact + z.astype(object))):
        expected = np.array([v % 2**32 for v in wanted], np.uint32).view(TYPES[type_name])
        np.testing.assert_array_equal(got, expected)
