"""Exact values of Metal's functions by MPFR, correct rounding, and errors in units of last place.

Arguments and results are NumPy arrays of doubles: every float, half and bfloat is one. MPFR gives
53 bits, a reference error below 2^-28 of a float's last place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gmpy2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Format:
    """A binary format: bits of precision with the hidden one, exponent of the smallest normal and
    of the first power of two that it does not reach."""

    precision: int
    least: int
    beyond: int

    @property
    def smallest_normal(self) -> float:
        return 2.0**self.least


FORMATS = {
    "float": Format(24, -126, 128),
    "half": Format(11, -14, 16),
    "bfloat": Format(8, -126, 128),
}


def bfloat_to_float(bits: Array) -> Array:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def round_to(type_name: str, values: Doubles) -> Doubles:
    """The nearest value of the type, ties to even."""
    with np.errstate(all="ignore"):
        if type_name != "bfloat":
            narrow = np.float32 if type_name == "float" else np.float16
            return values.astype(narrow).astype(np.float64)
        # In steps of the last place: exact in double, whatever the exponent.
        _, exponent = np.frexp(values)
        step = np.exp2(np.maximum(exponent - 8, -133).astype(np.float64))
        rounded = np.rint(values / step) * step
        rounded = np.where(np.abs(rounded) >= 2.0**128, np.copysign(np.inf, values), rounded)
        return np.where(np.isfinite(values), rounded, values)


def units(type_name: str, got: Doubles, want: Doubles) -> Doubles:
    """|got - want| in units of the last place of `want`; infinite where one alone is NaN.

    Infinity counts as the first power of two out of range; signs of zeros do not count.
    """
    form = FORMATS[type_name]
    limit = 2.0**form.beyond
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(np.clip(np.abs(want), 0, limit / 2))
        last = np.exp2(np.maximum(exponent - 1, form.least) - (form.precision - 1.0))
        error = np.abs(np.clip(got, -limit, limit) - np.clip(want, -limit, limit)) / last
    both = np.isnan(got) & np.isnan(want)
    return np.where(both, 0.0, np.where(np.isnan(error), np.inf, error))


def same(got: Doubles, want: Doubles, signs: bool = True) -> NDArray[np.bool_]:
    """Where two results are one value: NaN is NaN, and zeros have their signs if `signs`."""
    equal = (got == want) | (np.isnan(got) & np.isnan(want))
    return equal & (np.isnan(want) | (np.signbit(got) == np.signbit(want))) if signs else equal


# ---------------------------------------------------------------------------------- by MPFR

# The products with pi have 1,100 bits: the fraction of a double's turns is exact before.
_PI_BITS = 160


def _turns(x: gmpy2.mpfr) -> gmpy2.mpfr:
    return gmpy2.fmod(x, gmpy2.mpfr(2))  # exact


def _sinpi(x: gmpy2.mpfr) -> gmpy2.mpfr:
    if not gmpy2.is_finite(x):
        return gmpy2.nan()
    r = _turns(x)
    if r == gmpy2.rint(r):
        return gmpy2.mpfr(0)
    # Towards the nearest half turn, so that nothing cancels.
    n = gmpy2.rint(2 * r)
    with gmpy2.context(precision=_PI_BITS):
        angle = (r - n / 2) * gmpy2.const_pi()
        value = [gmpy2.sin, gmpy2.cos][int(n) % 2](angle)
        return -value if int(n) % 4 >= 2 else value


def _cospi(x: gmpy2.mpfr) -> gmpy2.mpfr:
    if not gmpy2.is_finite(x):
        return gmpy2.nan()
    r = abs(_turns(x))
    with gmpy2.context(precision=_PI_BITS):
        return _sinpi(r + gmpy2.mpfr("0.5"))


def _tanpi(x: gmpy2.mpfr) -> gmpy2.mpfr:
    cosine = _cospi(x)
    return gmpy2.inf() if cosine == 0 else _sinpi(x) / cosine


def _powr(x: gmpy2.mpfr, y: gmpy2.mpfr) -> gmpy2.mpfr:
    """IEEE 754's powr: e^(y log x), which has no value at 0^0, inf^0 and 1^inf."""
    one_sided = (y == 0 and (x == 0 or gmpy2.is_infinite(x))) or (x == 1 and gmpy2.is_infinite(y))
    unordered = gmpy2.is_nan(x) or gmpy2.is_nan(y)
    return gmpy2.nan() if x < 0 or one_sided or unordered else abs(x) ** y


def _rsqrt(x: gmpy2.mpfr) -> gmpy2.mpfr:
    return 1 / x if x == 0 else gmpy2.rec_sqrt(x)  # IEEE 754: the sign of a zero is kept


TRANSCENDENTAL: dict[str, Callable[..., gmpy2.mpfr]] = {
    "acos": gmpy2.acos,
    "acosh": gmpy2.acosh,
    "asin": gmpy2.asin,
    "asinh": gmpy2.asinh,
    "atan": gmpy2.atan,
    "atan2": gmpy2.atan2,
    "atanh": gmpy2.atanh,
    "cos": gmpy2.cos,
    "cosh": gmpy2.cosh,
    "cospi": _cospi,
    "exp": gmpy2.exp,
    "exp2": gmpy2.exp2,
    "exp10": gmpy2.exp10,
    "log": gmpy2.log,
    "log2": gmpy2.log2,
    "log10": gmpy2.log10,
    "pow": lambda x, y: x**y,
    "powr": _powr,
    "sin": gmpy2.sin,
    "sinh": gmpy2.sinh,
    "sinpi": _sinpi,
    "tan": gmpy2.tan,
    "tanh": gmpy2.tanh,
    "tanpi": _tanpi,
}


def transcendental(name: str, *arguments: Doubles) -> Doubles:
    function = TRANSCENDENTAL[name]
    columns = [[gmpy2.mpfr(v) for v in column.tolist()] for column in arguments]
    return np.array([float(function(*row)) for row in zip(*columns, strict=True)])


def rounded_once(type_name: str, name: str, *arguments: Doubles) -> Doubles:
    """fma and rsqrt in the type's own precision: through doubles they would be rounded twice."""
    form = FORMATS[type_name]
    function = {"fma": gmpy2.fma, "rsqrt": _rsqrt}[name]
    columns = [[gmpy2.mpfr(v) for v in column.tolist()] for column in arguments]
    context = gmpy2.context(
        precision=form.precision,
        emax=form.beyond,
        emin=form.least - form.precision + 2,
        subnormalize=True,
    )
    with context:
        return np.array([float(function(*row)) for row in zip(*columns, strict=True)])


# ---------------------------------------------------------------------------------- in doubles


def _fract(x: Doubles, type_name: str) -> Doubles:
    below_one = 1 - 2.0 ** -FORMATS[type_name].precision
    return np.minimum(round_to(type_name, x - np.floor(x)), below_one)


def _nextafter(x: Doubles, y: Doubles, type_name: str) -> Doubles:
    narrow = np.float32 if type_name == "float" else np.float16
    got = np.nextafter(x.astype(narrow), y.astype(narrow)).astype(np.float64)
    # NumPy's half version forgets the sign of a zero that it steps to; C's keeps x's.
    got = np.where((got == 0) & (x != 0), np.copysign(0.0, x), got)
    return np.where((x == 0) & (y != 0) & ~np.isnan(y), np.copysign(got, y), got)


def correct(type_name: str, name: str, *arguments: Doubles) -> Doubles:
    """The one right result of a function that is exact or correctly rounded.

    Doubles have more than twice a float's digits and two, so rounding a double's sum, product,
    quotient or root once more is rounding once.
    """
    with np.errstate(all="ignore"):
        if name in ("fma", "rsqrt"):
            return rounded_once(type_name, name, *arguments)
        if name in ("fract",):
            return _fract(arguments[0], type_name)
        if name == "nextafter":
            return _nextafter(*arguments, type_name)
        return round_to(type_name, EXACT[name](*arguments))


def _first_unless(test: Callable[[Doubles, Doubles], Array]) -> Callable[[Doubles, Doubles], Array]:
    """ "y if the test holds, otherwise x", and the other one for a NaN."""

    def extremum(x: Doubles, y: Doubles) -> Doubles:
        return np.where(np.isnan(x), y, np.where(test(x, y), y, x))

    return extremum


EXACT: dict[str, Callable[..., Doubles]] = {
    "x + y": np.add,
    "x - y": np.subtract,
    "x * y": np.multiply,
    "1 / x": lambda x: 1 / x,
    "x / y": np.divide,
    "ceil": np.ceil,
    "copysign": np.copysign,
    "fabs": np.abs,
    "fdim": lambda x, y: np.where(x <= y, 0.0, x - y),
    "floor": np.floor,
    "fmax": _first_unless(np.less),
    "fmin": _first_unless(np.greater),
    "fmod": np.fmod,
    "frexp": lambda x: np.frexp(x)[0],
    "frexp exponent": lambda x: np.frexp(x)[1].astype(np.float64),
    "ilogb": lambda x: np.frexp(x)[1] - 1.0,
    "ldexp": lambda x, n: np.ldexp(x, np.clip(n, -2000, 2000).astype(np.int32)),
    "modf": lambda x: np.modf(x)[0],
    "modf whole": np.trunc,
    "rint": np.rint,
    "round": lambda x: np.copysign(np.trunc(np.abs(x) + 0.5), x),
    "sqrt": np.sqrt,
    "trunc": np.trunc,
}
