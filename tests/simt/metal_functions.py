"""Metal's functions called from Metal source, one kernel each, on the CPU device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import metalwright

from .exact import bfloat_to_float

Array = NDArray[Any]

_OF_ONE = (
    "acos acosh asin asinh atan atanh ceil cos cosh cospi exp exp2 exp10 fabs floor fract "
    "log log2 log10 rint round rsqrt sin sinh sinpi sqrt tan tanh tanpi trunc"
)
_OF_TWO = "atan2 copysign fdim fmax fmin fmod nextafter pow powr"
# name: (arguments, expression). `{n}` is the namespace, `T` the type; a, b and c are the arguments.
FUNCTIONS: dict[str, tuple[int, str]] = {
    "x + y": (2, "a + b"),
    "x - y": (2, "a - b"),
    "x * y": (2, "a * b"),
    "1 / x": (1, "T(1) / a"),
    "x / y": (2, "a / b"),
    "fma": (3, "{n}fma(a, b, c)"),
    "ldexp": (2, "{n}ldexp(a, int(b))"),
    "sincos": (1, "{n}sincos(a, other)"),
    "frexp": (1, "{n}frexp(a, exponent)"),
    "modf": (1, "{n}modf(a, other)"),
    "ilogb": (1, "{n}ilogb(a)"),
    **{name: (1, f"{{n}}{name}(a)") for name in _OF_ONE.split()},
    **{name: (2, f"{{n}}{name}(a, b)") for name in _OF_TWO.split()},
}
# The second results, which have no rows of their own in the specification's tables.
SECOND: dict[str, tuple[int, str]] = {
    "sincos cosine": (1, "({n}sincos(a, other), other)"),
    "frexp exponent": (1, "({n}frexp(a, exponent), T(exponent))"),
    "modf whole": (1, "({n}modf(a, other), other)"),
}
EVERY = FUNCTIONS | SECOND
NAMESPACES = {"": "", "precise": "precise::", "fast": "fast::"}
# Without an element-wise vector form: C-like results through references, and operators of scalars.
WIDTHS = (2, 3, 4)

_HEAD = """#include <metal_stdlib>
using namespace metal;
typedef {type} T;
typedef {stored} S;
#define IN(x) {load}
#define OUT(x) {store}
"""
_SIGNATURE = """kernel void {kernel}(device const S* x [[buffer(0)]],
    device const S* y [[buffer(1)]], device const S* z [[buffer(2)]],
    device S* result [[buffer(3)]], uint i [[thread_position_in_grid]]) {{
"""
_SCALAR = """  T a = IN(x[i]), b = IN(y[i]), c = IN(z[i]), other;
  int exponent;
  (void)b, (void)c, (void)other, (void)exponent;
  T value = T({expression});
  result[i] = OUT(value);
}}
"""
# Thread i computes elements i, i + 1, ... as one vector of each width.
_FOR_WIDTH = """  {
    typedef vec<T, WIDTH> V;
    V a, b, c, other, value;
    vec<int, WIDTH> exponent;
    for (uint k = 0; k < WIDTH; ++k) {
      a[k] = IN(x[i + k]), b[k] = IN(y[i + k]), c[k] = IN(z[i + k]);
    }
    (void)b, (void)c, (void)other, (void)exponent;
    value = V(EXPRESSION);
    for (uint k = 0; k < WIDTH; ++k)
      result[at++] = OUT(T(value[k]));
  }
"""


def kernel_name(name: str, namespace: str, vectors: bool) -> str:
    words = "".join(
        {"+": "plus", "-": "minus", "*": "times", "/": "over", " ": "_"}.get(c, c) for c in name
    )
    return f"k_{words}_{namespace}" + ("_vectors" if vectors else "")


def _kernel(kernel: str, expression: str, vectors: bool) -> str:
    head = _SIGNATURE.format(kernel=kernel)
    if not vectors:
        return head + _SCALAR.format(expression=expression)
    blocks = ""
    for n in WIDTHS:
        written = expression.replace("int(b)", f"vec<int, {n}>(b)").replace("T(", "V(")
        blocks += _FOR_WIDTH.replace("EXPRESSION", written).replace("WIDTH", str(n))
    return head + "  uint at = 9 * i;\n" + blocks + "}\n"


@cache
def _library(type_name: str, math_mode: str, vectors: bool, engine: str | None) -> Any:
    load = "as_type<bfloat>(x)" if type_name == "bfloat" else "x"
    store = "as_type<ushort>(x)" if type_name == "bfloat" else "x"
    stored = "ushort" if type_name == "bfloat" else type_name
    source = _HEAD.format(type=type_name, stored=stored, load=load, store=store)
    # Which engine runs a kernel is no part of what a library is cached by.
    source += f"// {engine}\n"
    for name, (_, expression) in EVERY.items():
        if type_name == "bfloat" and name == "nextafter":
            continue  # a float's neighbour comes back
        for namespace, prefix in NAMESPACES.items():
            if "{n}" not in expression and namespace:
                continue
            kernel = kernel_name(name, namespace, vectors)
            written = expression.replace("{n}", prefix)
            source += _kernel(kernel, written, vectors)
    return metalwright.compile(source, math_mode=math_mode, device="cpu")


@contextmanager
def engine_of(engine: str | None) -> Iterator[None]:
    """Kernels made here run on "checked" or "simdgroup"; None is the device's choice."""
    before = os.environ.pop("METALWRIGHT_CPU_ENGINE", None)
    if engine is not None:
        os.environ["METALWRIGHT_CPU_ENGINE"] = engine
    try:
        yield
    finally:
        os.environ.pop("METALWRIGHT_CPU_ENGINE", None)
        if before is not None:
            os.environ["METALWRIGHT_CPU_ENGINE"] = before


def stored(type_name: str, values: Array) -> Array:
    """`values`, each one of the type's, as the kernels take them."""
    if type_name == "bfloat":
        bits = values.astype(np.float32).view(np.uint32) >> 16
        return np.ascontiguousarray(bits.astype(np.uint16))
    with np.errstate(invalid="ignore"):  # NaN
        return np.ascontiguousarray(
            values.astype(np.float32 if type_name == "float" else np.float16)
        )


def wide(type_name: str, result: Array) -> NDArray[np.float64]:
    return (bfloat_to_float(result) if type_name == "bfloat" else result).astype(np.float64)


def call(
    type_name: str,
    name: str,
    *arguments: Array,
    math_mode: str = "safe",
    namespace: str = "",
    vectors: bool = False,
    engine: str | None = None,
) -> NDArray[np.float64]:
    """The function's results as doubles: one per argument, or with `vectors` nine per place.

    Arguments are doubles with values of the type.
    """
    columns = [stored(type_name, column) for column in arguments]
    columns += [columns[0]] * (3 - len(columns))
    library = _library(type_name, math_mode, vectors, engine)
    count = len(columns[0]) - 3 if vectors else len(columns[0])
    result = np.zeros(9 * count if vectors else count, columns[0].dtype)
    with engine_of(engine):
        kernel = library.kernel(kernel_name(name, namespace, vectors))
        kernel(*columns, result, threads=count, deadline=60.0)
    return wide(type_name, result)


def vector_places(count: int) -> NDArray[np.int64]:
    """For each result of a call with vectors, the index of the argument that it belongs to."""
    offsets = np.concatenate([np.arange(n) for n in WIDTHS])
    return (np.arange(count - 3)[:, None] + offsets).ravel()
