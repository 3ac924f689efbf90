"""What the Metal specification promises of floating-point results, as data.

Source: Apple, "Metal Shading Language Specification", version 4 (2025-06-05), section 8.4, tables
8.1 (float), 8.2 (float, fast math), 8.3 (half) and 8.4, 8.5 (bfloat). A unit in the last place is
that section's: the distance of the two floats around the exact value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """How far a result may be from the exact value.

    `units`: units in the last place. `grows`: additional units, floor(grows * |x|). `absolute`: an
    absolute error that is allowed instead, where `absolute_where` holds. `where`: the arguments for
    which anything is promised. Both take the arguments. `exact`: correctly rounded, or without
    error: every bit is given.
    """

    text: str
    units: float = 0.0
    grows: float = 0.0
    absolute: float | None = None
    absolute_where: Callable[..., NDArray[np.bool_]] | None = None
    where: Callable[..., NDArray[np.bool_]] | None = None
    exact: bool = False


CORRECT = Bound("correctly rounded", exact=True)
NO_ERROR = Bound("0 ulp", exact=True)
UNDEFINED = Bound("undefined", units=math.inf, where=lambda x, *rest: np.zeros(x.shape, bool))


def ulp(units: float) -> Bound:
    return Bound(f"{units:g} ulp", units)


def within(low: float, high: float) -> Callable[..., NDArray[np.bool_]]:
    return lambda x, *rest: (x >= low) & (x <= high)


def normal_magnitude(x: Doubles, *rest: Doubles) -> NDArray[np.bool_]:
    """The last argument, a divisor, is in the domain of the tables' quotients."""
    divisor = np.abs(rest[-1] if rest else x)
    return (divisor >= 2.0**-126) & (divisor <= 2.0**126)


def as_implemented(formula: str, units: float, grows: float = 0.0) -> Bound:
    """The table gives a formula, not an error: any result at least as close as it is conforming.

    `units` is what the formula's parts may add up to, or the precise table's bound where our result
    is the precise one.
    """
    return Bound(f"as {formula}", units, grows)


ARITHMETIC = dict.fromkeys(("x + y", "x - y", "x * y", "1 / x", "x / y"), CORRECT)

# Table 8.1; half's table 8.3 has the same rows.
EXACT_FUNCTIONS: dict[str, Bound] = {
    "ceil": CORRECT,
    "copysign": NO_ERROR,
    "fabs": NO_ERROR,
    "fdim": CORRECT,
    "floor": CORRECT,
    "fma": CORRECT,
    "fmax": NO_ERROR,
    "fmin": NO_ERROR,
    "fmod": NO_ERROR,
    "fract": CORRECT,
    "frexp": NO_ERROR,
    "ilogb": NO_ERROR,
    "ldexp": CORRECT,
    "modf": NO_ERROR,
    "nextafter": NO_ERROR,
    "rint": CORRECT,
    "round": CORRECT,
    "rsqrt": CORRECT,
    "sqrt": CORRECT,
    "trunc": CORRECT,
}
FLOAT: dict[str, Bound] = {
    **ARITHMETIC,
    **EXACT_FUNCTIONS,
    **dict.fromkeys(("acos", "acosh", "asin", "asinh", "cos", "cosh", "cospi"), ulp(4)),
    **dict.fromkeys(("exp", "exp2", "exp10", "log", "log2", "log10"), ulp(4)),
    **dict.fromkeys(("sin", "sincos", "sinh", "sinpi"), ulp(4)),
    **dict.fromkeys(("atan", "atanh", "tanh"), ulp(5)),
    **dict.fromkeys(("atan2", "tan", "tanpi"), ulp(6)),
    **dict.fromkeys(("pow", "powr"), ulp(16)),
}
HALF: dict[str, Bound] = {
    **ARITHMETIC,
    **EXACT_FUNCTIONS,
    **dict.fromkeys([name for name in FLOAT if FLOAT[name].units], ulp(1)),
    # Not in table 8.3. Ours are held to what the other functions are.
    "pow": replace(ulp(1), text="none (1 ulp held)"),
    "powr": replace(ulp(1), text="none (1 ulp held)"),
}


def absolute(error: float, low: float, high: float, text: str) -> Bound:
    inside = within(low, high)
    return Bound(text, absolute=error, absolute_where=inside, where=inside)


_CIRCLE = absolute(2.0**-13, -math.pi, math.pi, "2^-13 absolute on [-pi, pi]")
_HALF_TURNS = absolute(2.0**-13, -1, 1, "2^-13 absolute on [-1, 1]")
# Table 8.2: the functions of metal::fast, and what plain names mean where fast functions are on.
FLOAT_FAST: dict[str, Bound] = {
    **FLOAT,
    "1 / x": replace(ulp(1), text="1 ulp for |x| in [2^-126, 2^126]", where=normal_magnitude),
    "x / y": replace(ulp(2.5), text="2.5 ulp for |y| in [2^-126, 2^126]", where=normal_magnitude),
    "acos": replace(ulp(5), text="5 ulp on [-1, 1]", where=within(-1, 1)),
    "acosh": as_implemented("log(x + sqrt(x*x - 1))", 4),
    "asin": replace(
        ulp(5),
        text="5 ulp on [-1, 1], |x| >= 2^-125",
        where=lambda x: (np.abs(x) <= 1) & (np.abs(x) >= 2.0**-125),
    ),
    "asinh": as_implemented("log(x + sqrt(x*x + 1))", 4),
    "atan": ulp(5),
    "atanh": as_implemented("0.5 * log((1 + x) / (1 - x))", 5),
    "atan2": replace(
        as_implemented("atan(y/x), atan(y/x) +- pi", 6), where=lambda y, x: (x != 0) & (y != 0)
    ),
    "cos": _CIRCLE,
    "sin": _CIRCLE,
    "sincos": _CIRCLE,
    "cospi": _HALF_TURNS,
    "sinpi": _HALF_TURNS,
    "cosh": as_implemented("0.5 * (exp(x) + exp(-x))", 4),
    "sinh": as_implemented("0.5 * (exp(x) - exp(-x))", 4),
    "exp": Bound("3 + floor(|2x|) ulp", 3, 2),
    "exp2": Bound("3 + floor(|2x|) ulp", 3, 2),
    # exp2's bound at z = x * log2(10), and what rounding z does: half a unit of z is up to
    # |z| * 2^-24, which moves the result by |z| * ln 2 units at most.
    "exp10": as_implemented("exp2(x * log2(10))", 3, (2 + math.log(2)) * math.log2(10)),
    "fmod": UNDEFINED,
    "log": Bound(
        "2^-21 absolute on [0.5, 2], else 3 ulp",
        3,
        absolute=2.0**-21,
        absolute_where=within(0.5, 2),
        where=lambda x: x > 0,
    ),
    "log2": Bound(
        "2^-22 absolute on [0.5, 2], else 2 ulp",
        2,
        absolute=2.0**-22,
        absolute_where=within(0.5, 2),
        where=lambda x: x > 0,
    ),
    "log10": replace(as_implemented("log2(x) * log10(2)", 4), where=lambda x: x > 0),
    "pow": replace(
        as_implemented("exp2(y * log2(x))", 16), where=lambda x, y: (x > 0) | ((x == 0) & (y != 0))
    ),
    "powr": replace(
        as_implemented("exp2(y * log2(x))", 16), where=lambda x, y: (x > 0) | ((x == 0) & (y != 0))
    ),
    "rsqrt": ulp(2),
    # x times 2 units of the root's inverse, which can count double in the product, and a rounding.
    "sqrt": as_implemented("x * rsqrt(x)", 4.5),
    "tan": as_implemented("sin(x) * (1 / cos(x))", 6),
    "tanh": as_implemented("(t - 1) / (t + 1), t = exp(2x)", 5),
    "tanpi": as_implemented("tan(x * pi)", 6),
}
# Tables 8.4 and 8.5 have arithmetic only, and the library has no functions of bfloat: the argument
# becomes a float, and a float comes back. Stored as bfloat it is rounded once more.
BFLOAT: dict[str, Bound] = {
    **ARITHMETIC,
    **{
        name: replace(ulp(1), text="none (1 ulp held)")
        for name in FLOAT
        if name not in ARITHMETIC and name not in ("ilogb", "nextafter")
    },
}
BFLOAT_FAST: dict[str, Bound] = {
    **{name: replace(bound, where=FLOAT_FAST[name].where) for name, bound in BFLOAT.items()},
    "1 / x": replace(ulp(0.6), text="0.6 ulp for |x| in [2^-126, 2^126]", where=normal_magnitude),
    "x / y": replace(ulp(0.6), text="0.6 ulp for |y| in [2^-126, 2^126]", where=normal_magnitude),
}


def promised(type_name: str, fast: bool) -> dict[str, Bound]:
    """The table of `type_name` ("float", "half", "bfloat") with precise or with fast functions."""
    if type_name == "half":
        return HALF
    if type_name == "bfloat":
        return BFLOAT_FAST if fast else BFLOAT
    return FLOAT_FAST if fast else FLOAT
