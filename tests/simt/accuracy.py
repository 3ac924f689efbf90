"""The worst error of a Metal function against MPFR: arguments, exact results, what counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exact import (
    FORMATS,
    TRANSCENDENTAL,
    Doubles,
    bfloat_to_float,
    correct,
    round_to,
    same,
    transcendental,
    units,
)
from .metal_accuracy import Bound, promised
from .metal_functions import EVERY, call

SEED = 20250605
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 2.0, 3.0, -3.0]
# Two Metal functions are measured by another's reference.
REFERENCE = {"sincos": "sin", "sincos cosine": "cos"}
# The rows of the tables that a second result belongs to.
ROW = {"sincos cosine": "sincos", "frexp exponent": "frexp", "modf whole": "modf"}


def _corners(type_name: str) -> Doubles:
    form = FORMATS[type_name]
    largest = (2 - 2.0 ** (1 - form.precision)) * 2.0 ** (form.beyond - 1)
    tiny = form.smallest_normal * 2.0 ** (1 - form.precision)
    edges = [largest, form.smallest_normal, form.smallest_normal - tiny, tiny, 3 * tiny]
    return np.array([*SPECIAL, *edges, *(-np.array(edges))])


@cache
def one_argument(type_name: str) -> Doubles:
    """Every half, every bfloat; of floats all exponents alike, and the usual ranges densely."""
    if type_name != "float":
        bits = np.arange(65536, dtype=np.uint16)
        values = bits.view(np.float16) if type_name == "half" else bfloat_to_float(bits)
        with np.errstate(invalid="ignore"):  # signalling NaN
            return values.astype(np.float64)
    random = np.random.default_rng(SEED)
    patterns = np.arange(0, 2**32, 426_883, dtype=np.uint64).astype(np.uint32).view(np.float32)
    patterns = patterns[~np.isnan(patterns)]
    near_quadrants = np.arange(1, 300) * (np.pi / 2)
    values = np.concatenate(
        [
            patterns,
            random.uniform(-20, 20, 6000),
            random.uniform(-1, 1, 6000),
            random.uniform(0.5, 2, 4000),
            random.uniform(-104, 104, 3000),
            np.exp2(random.uniform(-149, 1, 2000)),
            near_quadrants,
            _corners("float"),
        ]
    )
    return round_to("float", values)


@cache
def arguments(type_name: str, name: str) -> tuple[Doubles, ...]:
    """The columns of arguments with which a function is measured."""
    arity = EVERY[name][0]
    if arity == 1:
        return (one_argument(type_name),)
    random = np.random.default_rng(SEED + 1)
    form = FORMATS[type_name]
    count = 6000

    def patterns() -> Doubles:
        magnitude = np.exp2(random.uniform(form.least - form.precision, form.beyond, count))
        return magnitude * random.choice([-1.0, 1.0], count)

    def moderate(low: float, high: float) -> Doubles:
        return random.uniform(low, high, count)

    corners = _corners(type_name)
    if name == "ldexp":
        x = np.concatenate([patterns(), patterns(), corners])
        steps = random.integers(-180, 180, 2 * count).astype(np.float64)
        n = np.concatenate([steps, np.zeros(len(corners))])
        return round_to(type_name, x), round_to(type_name, n)
    grids = np.meshgrid(*([corners] * 2))
    columns = [
        [patterns(), moderate(-10, 10), moderate(0, 10), moderate(0.9, 1.1)] for _ in range(arity)
    ]
    if name in ("pow", "powr"):
        columns[0] = [np.abs(c) if name == "powr" else c for c in columns[0]]
        columns[1] = [moderate(-3, 3), np.rint(moderate(-9, 9)), moderate(-40, 40), patterns()]
    if name == "fma":
        # The last bits of the product decide, and near cancellation.
        columns[2] = [patterns(), moderate(-100, 100), -(columns[0][2] * columns[1][2]), patterns()]
        # Sums next to the middle of two halves, which float cannot tell from the middle.
        j = np.arange(1, 64) / 1024.0
        for sign in (-1.0, 1.0):
            columns[0].append(1 + j)
            columns[1].append((1 - j + j * j * (sign < 0)) * 2.0**-11)
            columns[2].append(np.where(np.arange(1, 64) % 2, 1 + 2.0**-10, 1.0))
    result = []
    for i, parts in enumerate(columns):
        grid = grids[i].ravel() if i < 2 else np.resize(corners, grids[0].size)
        result.append(round_to(type_name, np.concatenate([*parts, grid])))
    return tuple(result)


@cache
def exact_results(type_name: str, name: str, flushed: bool = False) -> Doubles:
    """MPFR's results, to 53 bits; with `flushed` for subnormal arguments taken as zeros."""
    columns = arguments(type_name, name)
    if flushed:
        columns = tuple(_flush(type_name, column) for column in columns)
    reference = REFERENCE.get(name, name)
    if reference in TRANSCENDENTAL:
        if not flushed:
            return transcendental(reference, *columns)
        result = exact_results(type_name, name).copy()
        changed = _subnormal_argument(type_name, name)
        result[changed] = transcendental(reference, *(column[changed] for column in columns))
        return result
    return correct(type_name, reference, *columns)


def _flush(type_name: str, x: Doubles) -> Doubles:
    return np.where(np.abs(x) < FORMATS[type_name].smallest_normal, np.copysign(0.0, x), x)


@cache
def _subnormal_argument(type_name: str, name: str) -> NDArray[np.bool_]:
    least = FORMATS[type_name].smallest_normal
    columns = arguments(type_name, name)
    return np.any([(np.abs(x) < least) & (x != 0) for x in columns], axis=0)


@dataclass(frozen=True)
class Worst:
    """The largest error found: in units of the last place, absolute where the bound is, and as a
    multiple of the bound (`excess`, at `at`).
    """

    units: float
    absolute: float
    excess: float
    at: tuple[float, ...]
    got: float
    want: float


def excluded(type_name: str, name: str) -> NDArray[np.bool_]:
    """Where the specification leaves the result open."""
    columns = arguments(type_name, name)
    x = columns[0]
    if name in ("ilogb", "frexp exponent"):
        # Extreme integers for zeros, infinities and NaN do not fit the type; exponents have a test.
        return (x == 0) | ~np.isfinite(x)
    if name == "tanpi":
        with np.errstate(all="ignore"):
            return np.isfinite(x) & (np.rint(2 * x) == 2 * x)  # poles and their signs
    return np.zeros(len(x), bool)


def measure(
    type_name: str, name: str, math_mode: str, namespace: str = "", engine: str | None = None
) -> tuple[Worst, Bound]:
    """The worst error of a function against what is promised of it.

    In relaxed and fast mode, results may be those of subnormal numbers flushed to zero (section
    8.5); in fast mode only finite arguments and results count.
    """
    fast = namespace == "fast" or (namespace == "" and math_mode != "safe")
    bound = promised(type_name, fast)[ROW.get(name, name)]
    columns = arguments(type_name, name)
    got = call(type_name, name, *columns, math_mode=math_mode, namespace=namespace, engine=engine)
    want = exact_results(type_name, name)
    counts = ~excluded(type_name, name)
    if bound.where is not None:
        counts &= bound.where(*columns)
    if fast or math_mode == "fast":
        finite = np.isfinite(want) & (np.abs(want) < 2.0 ** (FORMATS[type_name].beyond - 1))
        counts &= finite & np.all([np.isfinite(x) for x in columns], axis=0)
    if name == "fract" and type_name == "bfloat":
        counts &= want != 0  # a float below 1 rounds to 1 where it is stored
    errors = [_errors(type_name, bound, got, want, columns)]
    if math_mode != "safe" or fast:
        least = FORMATS[type_name].smallest_normal
        flushed = exact_results(type_name, name, flushed=True)
        small = lambda w: np.where(np.abs(w) < least, 0.0, w)  # noqa: E731
        for other in (small(want), flushed, small(flushed)):
            errors.append(_errors(type_name, bound, got, other, columns))
    excess = np.min([e[0] for e in errors], axis=0)
    unit = np.min([e[1] for e in errors], axis=0)
    distance = np.min([e[2] for e in errors], axis=0)
    excess, unit, distance = (np.where(counts, e, 0.0) for e in (excess, unit, distance))
    worst = int(np.argmax(excess))
    inside = np.zeros(len(unit), bool)
    if bound.absolute_where is not None:
        inside = bound.absolute_where(*columns)
    return (
        Worst(
            float(unit[~inside].max(initial=0)),
            float(distance[inside].max(initial=0)),
            float(excess[worst]),
            tuple(float(x[worst]) for x in columns),
            float(got[worst]),
            float(want[worst]),
        ),
        bound,
    )


def _errors(
    type_name: str, bound: Bound, got: Doubles, want: Doubles, columns: tuple[Doubles, ...]
) -> tuple[Any, Any, Any]:
    unit = units(type_name, got, want)
    with np.errstate(all="ignore"):
        distance = np.abs(got - want)
    distance = np.where(np.isnan(distance) | np.isinf(distance), 0.0, distance)
    if bound.exact:
        return np.where(same(got, want, signs=False), 0.0, np.inf), unit, distance
    with np.errstate(all="ignore"):
        allowed = np.full(len(unit), float(bound.units))
        if bound.grows:
            allowed += np.floor(bound.grows * np.abs(columns[0]))
        excess = np.where(unit == 0, 0.0, unit / np.where(allowed == 0, 1e-300, allowed))
    excess = np.where(np.isnan(excess), np.inf, excess)
    if bound.absolute is not None and bound.absolute_where is not None:
        inside = bound.absolute_where(*columns)
        excess = np.where(
            inside, np.where(np.isnan(got), np.inf, distance / bound.absolute), excess
        )
    return excess, unit, distance
