"""Finds the maths library's polynomials: minimax fits by Remez exchange in 60-digit arithmetic.

Run as `python fit_polynomials.py` to print every coefficient that stands in the C files, lowest
order first, with the largest relative error of the fit (as a power of two) before they are rounded;
then the constants by which trigonometric.c counts quadrants.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import mpmath as mp  # type: ignore[import-untyped]

mp.mp.dps = 60
Function = Callable[[mp.mpf], mp.mpf]


def remez(
    function: Function, low: float, high: float, degree: int, weight: Function | None = None
) -> tuple[list[mp.mpf], mp.mpf]:
    """Find the polynomial of `degree` with the least max |weight * (p - function)| on [low, high].

    Returns its coefficients, lowest order first, and that maximum.

    `weight` is 1/function (relative error) unless given.
    """
    a, b = mp.mpf(low), mp.mpf(high)
    weigh = weight or (lambda x: 1 / function(x))
    count = degree + 2
    nodes = [
        (a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)
    ]
    grid = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * i / 1200) for i in range(1201)]
    grid = [x if x != 0 else (b - a) / mp.mpf(10) ** 9 for x in grid]
    values = [(x, function(x), weigh(x)) for x in grid]
    coefficients: list[mp.mpf] = []
    worst = mp.mpf(0)
    for _ in range(12):
        matrix = mp.matrix(count, count)
        right = mp.matrix(count, 1)
        for row, x in enumerate(nodes):
            for column in range(degree + 1):
                matrix[row, column] = weigh(x) * x**column
            matrix[row, degree + 1] = (-1) ** row
            right[row] = weigh(x) * function(x)
        solution = mp.lu_solve(matrix, right)
        coefficients = [solution[i] for i in range(degree + 1)]
        errors = [(x, w * (mp.polyval(coefficients[::-1], x) - f)) for x, f, w in values]
        worst = max(abs(e) for _, e in errors)
        extrema: list[tuple[mp.mpf, mp.mpf]] = []
        for x, e in errors:  # the largest error of each run of one sign
            if extrema and mp.sign(e) == mp.sign(extrema[-1][1]):
                if abs(e) > abs(extrema[-1][1]):
                    extrema[-1] = (x, e)
            else:
                extrema.append((x, e))
        while len(extrema) > count:
            extrema.pop(0 if abs(extrema[0][1]) < abs(extrema[-1][1]) else -1)
        if len(extrema) < count:
            break
        nodes = [x for x, _ in extrema]
        if abs(worst - abs(solution[degree + 1])) < worst * mp.mpf("1e-4"):
            break
    return coefficients, worst


LN2 = mp.log(2)
HALF_LN2 = float(LN2 / 2)


def small(x: mp.mpf, closed: Function, coefficients: list[mp.mpf]) -> mp.mpf:
    """`closed(x)`, or the Taylor polynomial where |x| is so small that the closed form cancels."""
    if abs(x) < mp.mpf("1e-6"):
        return mp.polyval(coefficients[::-1], x)
    return closed(x)


def fact(n: int) -> mp.mpf:
    """n!."""
    return mp.factorial(n)


def exp_tail(x: mp.mpf) -> mp.mpf:
    """(e^x - 1 - x) / x^2."""
    return small(x, lambda t: (mp.exp(t) - 1 - t) / t**2, [1 / fact(k + 2) for k in range(6)])


def expm1_over(x: mp.mpf) -> mp.mpf:
    """(e^x - 1) / x."""
    return small(x, lambda t: mp.expm1(t) / t, [1 / fact(k + 1) for k in range(6)])


def exp2_over(x: mp.mpf) -> mp.mpf:
    """(2^x - 1) / x."""
    return expm1_over(x * LN2) * LN2


def log_over(x: mp.mpf) -> mp.mpf:
    """log(1 + x) / x."""
    return small(x, lambda t: mp.log1p(t) / t, [mp.mpf(-1) ** k / (k + 1) for k in range(6)])


def log_tail(x: mp.mpf) -> mp.mpf:
    """(log(1 + x) - x + x^2/2) / x^3."""
    return small(
        x,
        lambda t: (mp.log1p(t) - t + t**2 / 2) / t**3,
        [mp.mpf(-1) ** k / (k + 3) for k in range(6)],
    )


def sin_tail(z: mp.mpf) -> mp.mpf:
    """(sin(r)/r - 1) / z, z = r^2."""
    r = mp.sqrt(abs(z))
    return small(
        z,
        lambda t: (mp.sin(r) / r - 1) / t,
        [mp.mpf(-1) ** (k + 1) / fact(2 * k + 3) for k in range(5)],
    )


def cos_tail(z: mp.mpf) -> mp.mpf:
    """(cos(r) - 1) / z."""
    r = mp.sqrt(abs(z))
    return small(
        z,
        lambda t: (mp.cos(r) - 1) / t,
        [mp.mpf(-1) ** (k + 1) / fact(2 * k + 2) for k in range(5)],
    )


def atan_tail(z: mp.mpf) -> mp.mpf:
    """(atan(r)/r - 1) / z."""
    r = mp.sqrt(abs(z))
    return small(
        z,
        lambda t: (mp.atan(r) / r - 1) / t,
        [mp.mpf(-1) ** (k + 1) / (2 * k + 3) for k in range(5)],
    )


def asin_tail(z: mp.mpf) -> mp.mpf:
    """(asin(r)/r - 1) / z."""
    r = mp.sqrt(abs(z))
    taylor = [mp.binomial(2 * k, k) / (mp.mpf(4) ** k * (2 * k + 1)) for k in range(1, 6)]
    return small(z, lambda t: (mp.asin(r) / r - 1) / t, taylor)


def tan_tail(z: mp.mpf) -> mp.mpf:
    """(tan(r)/r - 1) / z."""
    r = mp.sqrt(abs(z))
    return small(
        z, lambda t: (mp.tan(r) / r - 1) / t, [mp.mpf(1) / 3, mp.mpf(2) / 15, mp.mpf(17) / 315]
    )


Q2 = float((mp.pi / 4 * mp.mpf("1.001")) ** 2)
# As far as the reduced argument goes where the argument is near 2^102.
WIDE = float((mp.pi / 4 * mp.mpf("1.104")) ** 2)
M1, M2 = float(mp.sqrt(mp.mpf("0.5")) - 1), float(mp.sqrt(2) - 1)

# name: (function, low, high, degree, weight). A weight turns the error of the part that is fitted
# into the relative error of the whole function.
FITS: dict[str, tuple[Function, float, float, int, Function | None]] = {
    "exp float: (e^r-1-r)/r^2": (
        exp_tail,
        -HALF_LN2 * 1.01,
        HALF_LN2 * 1.01,
        4,
        lambda x: x * x / mp.exp(x),
    ),
    "expm1 float: (e^r-1-r)/r^2": (
        exp_tail,
        -HALF_LN2 * 1.01,
        HALF_LN2 * 1.01,
        5,
        lambda x: abs(x) / expm1_over(x),
    ),
    "exp2 float: (2^r-1)/r": (exp2_over, -0.501, 0.501, 6, lambda x: abs(x) / mp.power(2, x)),
    "exp2 fast: (2^r-1)/r": (exp2_over, -0.501, 0.501, 5, lambda x: abs(x) / mp.power(2, x)),
    "exp double: (e^r-1)/r": (
        expm1_over,
        -HALF_LN2 * 1.01,
        HALF_LN2 * 1.01,
        7,
        lambda x: abs(x) / mp.exp(x),
    ),
    "expm1 double: (e^r-1)/r": (expm1_over, -HALF_LN2 * 1.01, HALF_LN2 * 1.01, 8, None),
    "exp2 double: (2^r-1)/r": (exp2_over, -0.501, 0.501, 7, lambda x: abs(x) / mp.power(2, x)),
    "log float: (log(1+f)-f+f^2/2)/f^3": (log_tail, M1, M2, 7, lambda x: x * x / log_over(x)),
    "log double: log(1+f)/f": (log_over, M1, M2, 13, None),
    "sin double: (sin(r)/r-1)/r^2": (sin_tail, 0, Q2, 3, None),
    "cos double: (cos(r)-1)/r^2": (cos_tail, 0, Q2, 3, lambda z: z / mp.cos(mp.sqrt(z))),
    "sin float: (sin(r)/r-1)/r^2": (
        sin_tail,
        0,
        Q2,
        2,
        lambda z: z / (mp.sin(mp.sqrt(z)) / mp.sqrt(z)),
    ),
    "sin float, wide: (sin(r)/r-1)/r^2": (
        sin_tail,
        0,
        WIDE,
        3,
        lambda z: z / (mp.sin(mp.sqrt(z)) / mp.sqrt(z)),
    ),
    "cos float: (cos(r)-1)/r^2": (cos_tail, 0, Q2, 3, lambda z: z / mp.cos(mp.sqrt(z))),
    "tan double: (tan(r)/r-1)/r^2": (tan_tail, 0, Q2 / 4, 5, lambda z: z),
    "atan double: (atan(r)/r-1)/r^2": (atan_tail, 0, 1.0, 15, lambda z: z),
    "asin double: (asin(r)/r-1)/r^2": (asin_tail, 0, 0.2501, 9, lambda z: z),
}


# The least |x|, as a power of two, for which a pair of constants is used, and its base: all such x
# are multiples of 2^base.
QUADRANTS = {-149: None, 47: 24, 74: 48, 102: 79}


def quadrant_constants(base: int | None) -> tuple[float, float]:
    """2/pi in two parts: modulo 4 / 2^base, or whole with both parts positive without a base."""
    whole = 2 / mp.pi
    if base is None:
        high = math.nextafter(float(whole), 0.0)
    else:
        whole -= mp.ldexp(mp.nint(mp.ldexp(whole, base - 2)), 2 - base)
        high = float(whole)
    return high, float(whole - high)


def main(names: list[str]) -> None:
    """Print the fits whose names contain one of `names`; all without any."""
    for name, (function, low, high, degree, weight) in FITS.items():
        if names and not any(n in name for n in names):
            continue
        coefficients, error = remez(function, low, high, degree, weight)
        print(
            f"{name}: degree {degree} on [{low:.6g}, {high:.6g}], "
            f"error 2^{float(mp.log(error, 2)):.1f}"
        )
        is_float = " float" in name or " fast" in name
        for coefficient in coefficients:
            print(f"  {mp.nstr(coefficient, 10 if is_float else 18)}")
    if not names or "quadrants" in names:
        for least, base in QUADRANTS.items():
            high, low = quadrant_constants(base)
            print(f"quadrants from 2^{least}: {high.hex()}, {low.hex()}")


if __name__ == "__main__":
    main(sys.argv[1:])
