"""The maths library against float64 and mpmath, called as AIR intrinsics."""

from __future__ import annotations

import platform
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from .air_call import Array, bfloat_to_float, call, call_all, float_to_bfloat, run

pytestmark = pytest.mark.native

Reference = Callable[[Array], Array]
RANDOM = np.random.default_rng(20240607)


def quarter_turns(x: Array) -> tuple[Array, Array]:
    """pi * x as a number of quarter turns modulo 4 and the exact rest times pi."""
    with np.errstate(all="ignore"):
        n = np.rint(2 * x)
        return n % 4, (x - n / 2) * np.pi


def sin_pi(x: Array) -> Array:
    n, r = quarter_turns(x)
    y = np.select(
        [n == 0, n == 1, n == 2, n == 3], [np.sin(r), np.cos(r), -np.sin(r), -np.cos(r)], np.nan
    )
    return np.where(y == 0, np.copysign(0, x), y)


def cos_pi(x: Array) -> Array:
    n, r = quarter_turns(x)
    y = np.select(
        [n == 0, n == 1, n == 2, n == 3], [np.cos(r), -np.sin(r), -np.cos(r), np.sin(r)], np.nan
    )
    return y + 0.0


def tan_pi(x: Array) -> Array:
    n, r = quarter_turns(x)
    return np.where(n % 2 == 0, np.tan(r), np.where(np.isfinite(x), -1 / np.tan(r), np.nan))


# name: (float64 reference, bound in units in the last place). A correctly rounded result has 0.5.
ONE_ARGUMENT: dict[str, tuple[Reference, float]] = {
    "exp": (np.exp, 1.0),
    "exp2": (np.exp2, 0.9),
    "exp10": (lambda x: np.power(10.0, x), 0.51),
    "log": (np.log, 0.9),
    "log2": (np.log2, 0.51),
    "log10": (np.log10, 0.51),
    "sin": (np.sin, 1.5),
    "cos": (np.cos, 1.5),
    "tan": (np.tan, 0.54),
    "sinpi": (sin_pi, 0.51),
    "cospi": (cos_pi, 0.51),
    "tanpi": (tan_pi, 0.51),  # signs of zeros and of poles are open
    "asin": (np.arcsin, 0.51),
    "acos": (np.arccos, 0.51),
    "atan": (np.arctan, 0.51),
    "asinpi": (lambda x: np.arcsin(x) / np.pi, 0.51),
    "acospi": (lambda x: np.arccos(x) / np.pi, 0.51),
    "atanpi": (lambda x: np.arctan(x) / np.pi, 0.51),
    "sinh": (np.sinh, 0.51),
    "cosh": (np.cosh, 0.51),
    "tanh": (np.tanh, 1.0),
    "asinh": (np.arcsinh, 0.51),
    "acosh": (np.arccosh, 0.51),
    "atanh": (np.arctanh, 0.51),
    "sqrt": (np.sqrt, 0.5),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 0.501),
    "fabs": (np.abs, 0.0),
    "floor": (np.floor, 0.0),
    "ceil": (np.ceil, 0.0),
    "trunc": (np.trunc, 0.0),
    "rint": (np.rint, 0.0),
    "round": (lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x), 0.0),
}

SPECIAL = np.array(
    [
        *[0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5, -0.5, 1.5, 2, -2, 1e-45, -1e-45],
        *[1.1754944e-38, 3.4028235e38, -3.4028235e38, 88.72284, -103.97208],
        *[0.49999997, 0.99999994, 8388609.0],
    ],
    np.float32,
)


def ulp_errors(got: Array, want: Array, bits: int = 24, least: int = -126) -> Array:
    """|got - want| in units of the last place of a format with `bits` of precision.

    Infinity where the classes (NaN, infinity, sign of zero) differ.
    """
    with np.errstate(all="ignore"):
        value = got.astype(np.float64)
        exponent = np.floor(np.log2(np.where(want == 0, 1, np.abs(want))))
        exponent = np.maximum(np.where(np.isfinite(exponent), exponent, 0), least)
        error = np.abs(value - want) / np.exp2(exponent - (bits - 1))
    # From half a unit above the largest number on, infinity is the rounded result.
    largest = 2.0 ** (128 if bits in (24, 8) else 16)
    overflows = np.abs(want) >= largest * (1 - 2.0 ** -(bits + 1))
    same = (np.isnan(value) & np.isnan(want)) | ((value == want) & (want != 0))
    same |= (want == 0) & (value == 0) & (np.signbit(value) == np.signbit(want))
    same |= overflows & np.isinf(value) & (np.signbit(value) == np.signbit(want))
    error = np.where(same, 0, error)
    error = np.where((want == 0) & (value == 0) & ~same, np.inf, error)
    return np.where(np.isnan(error), np.inf, error)


def signless(name: str, y: Array) -> Array:
    """`y` without the signs that are open for a function: tanpi at its zeros and poles."""
    return np.where((y == 0) | np.isinf(y), np.abs(y), y) if name == "tanpi" else y


def all_exponents(stride: int = 2053) -> Array:
    """Floats at even steps through all bit patterns (each exponent and sign thousands of times)."""
    return np.arange(0, 2**32, stride, dtype=np.uint64).astype(np.uint32).view(np.float32)


def check(
    got: Array, want: Array, bound: float, inputs: Array, bits: int = 24, least: int = -126
) -> None:
    errors = ulp_errors(got, want, bits, least)
    worst = int(np.argmax(errors))
    assert errors[worst] <= bound, (
        f"{errors[worst]:.4f} ulp at {inputs[worst]!r}: {got[worst]!r}, not {want[worst]!r}"
    )


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_float_result_is_within_its_bound_over_all_exponents(name: str) -> None:
    reference, bound = ONE_ARGUMENT[name]
    x = np.concatenate(
        [
            all_exponents(),
            SPECIAL,
            RANDOM.uniform(-20, 20, 300_000).astype(np.float32),
            RANDOM.uniform(-1, 1, 300_000).astype(np.float32),
            RANDOM.uniform(0.5, 2, 200_000).astype(np.float32),
        ]
    )
    x = x[~np.isnan(x)]
    x = np.append(x, np.float32("nan"))
    with np.errstate(all="ignore"):
        want = reference(x.astype(np.float64))
    check(
        signless(name, call(f"air.{name}.f32", "f32", ["f32"], x)), signless(name, want), bound, x
    )


MP: dict[str, Callable[[mpmath.mpf], mpmath.mpf]] = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.power(2, x),
    "exp10": lambda x: mpmath.power(10, x),
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "sinpi": mpmath.sinpi,
    "cospi": mpmath.cospi,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "asinh": mpmath.asinh,
    "acosh": mpmath.acosh,
    "atanh": mpmath.atanh,
}


def multiples_of_half_pi() -> Array:
    """Floats next to multiples of pi/2, small and huge: hardest for an argument reduction."""
    counts = np.concatenate([np.arange(1, 200), 2.0 ** np.arange(8, 127)])
    near = (counts * (np.pi / 2)).astype(np.float32)
    near = near[np.isfinite(near)]
    around = np.concatenate(
        [near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf))]
    )
    # 16367173 * 2^72 is the float closest to a multiple of pi/2 in relative terms.
    return np.concatenate([around, -around[::3], np.array([16367173 * 2.0**72], np.float32)])


@pytest.mark.parametrize("name", MP)
def test_float_result_is_within_its_bound_of_mpmath(name: str) -> None:
    x = np.concatenate([all_exponents(9_999_991), RANDOM.uniform(-3, 3, 200).astype(np.float32)])
    if name in ("sin", "cos", "tan"):
        x = np.concatenate([x, multiples_of_half_pi()])
    x = x[np.isfinite(x) & (x != 0)]
    if name in ("exp", "exp2", "exp10", "sinh", "cosh"):
        x = x[np.abs(x) < 200]  # beyond, the result is an infinity, zero or 1 (and mpmath is slow)
    if name in ("sinpi", "cospi"):
        x = x[
            np.rint(2.0 * x.astype(np.float64)) != 2.0 * x.astype(np.float64)
        ]  # exact results, whose signs mpmath does not have
    domain = {"log": x > 0, "log2": x > 0, "log10": x > 0, "acosh": x >= 1}
    domain |= dict.fromkeys(("asin", "acos", "atanh"), np.abs(x) < 1)
    x = x[domain.get(name, np.ones(len(x), bool))]
    with mpmath.workprec(400):
        # 400 bits: sin(2^127) loses 127 of them. Rounded to double with a wide exponent range.
        want = np.array([float(MP[name](mpmath.mpf(float(v)))) for v in x])
    check(call(f"air.{name}.f32", "f32", ["f32"], x), want, ONE_ARGUMENT[name][1], x)


ALL_16_BITS = np.arange(65536, dtype=np.uint16)


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_every_half_is_rounded_once_from_a_good_float(name: str) -> None:
    x = ALL_16_BITS.view(np.float16)
    with np.errstate(all="ignore"):
        want = ONE_ARGUMENT[name][0](x.astype(np.float64))
    got = call(f"air.{name}.f16", "f16", ["f16"], x)
    check(signless(name, got), signless(name, want), 0.5002, x, bits=11, least=-14)


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_every_bfloat_is_rounded_once_from_a_good_float(name: str) -> None:
    x = bfloat_to_float(ALL_16_BITS)
    with np.errstate(all="ignore"):
        want = ONE_ARGUMENT[name][0](x.astype(np.float64))
    got = bfloat_to_float(call(f"air.{name}.bf16", "bf16", ["bf16"], ALL_16_BITS))
    check(signless(name, got), signless(name, want), 0.5001, x, bits=8)


def pairs(count: int = 200_000) -> tuple[Array, Array]:
    """Random bit patterns, moderate values and every pair of special values."""
    left, right = np.meshgrid(
        SPECIAL, np.append(SPECIAL, np.array([3, -3, 4, 0.25, 16777217], np.float32))
    )
    x = np.concatenate(
        [
            RANDOM.integers(0, 2**32, count, dtype=np.uint32).view(np.float32),
            RANDOM.uniform(-10, 10, count).astype(np.float32),
            RANDOM.uniform(0, 10, count).astype(np.float32),
            left.ravel(),
        ]
    )
    y = np.concatenate(
        [
            RANDOM.integers(0, 2**32, count, dtype=np.uint32).view(np.float32),
            RANDOM.integers(-10, 10, count).astype(np.float32),
            RANDOM.uniform(-30, 30, count).astype(np.float32),
            right.ravel(),
        ]
    )
    return x, y


@pytest.mark.parametrize(
    ("name", "reference", "bound"),
    [
        ("pow", np.power, 0.51),
        ("atan2", np.arctan2, 0.51),
        ("fmod", np.fmod, 0.0),
        ("copysign", np.copysign, 0.0),
        ("fmin", np.fmin, 0.0),
        ("fmax", np.fmax, 0.0),
    ],
)
def test_two_argument_function(
    name: str, reference: Callable[[Array, Array], Array], bound: float
) -> None:
    x, y = pairs()
    if name in ("fmin", "fmax"):  # which zero of two is returned is open
        keep = ~((x == 0) & (y == 0))
        x, y = x[keep], y[keep]
    with np.errstate(all="ignore"):
        want = reference(x.astype(np.float64), y.astype(np.float64))
    got = call(f"air.{name}.f32", "f32", ["f32", "f32"], x, y)
    check(got, want, bound, np.stack([x, y], 1))


def test_pow_is_within_its_bound_of_mpmath_where_results_are_extreme() -> None:
    x = np.concatenate(
        [np.exp2(RANDOM.uniform(-149, 128, 800)), 1 + RANDOM.uniform(-1e-4, 1e-4, 800)]
    ).astype(np.float32)
    x = x[x != 1]
    y = (RANDOM.uniform(-149, 128, x.size) / np.log2(x.astype(np.float64))).astype(np.float32)
    keep = np.isfinite(y)
    x, y = x[keep], y[keep]
    with mpmath.workprec(200):
        want = np.array(
            [float(mpmath.power(float(a), float(b))) for a, b in zip(x, y, strict=True)]
        )
    check(call("air.pow.f32", "f32", ["f32", "f32"], x, y), want, 0.51, np.stack([x, y], 1))


def test_powr_has_no_result_where_the_power_is_undefined() -> None:
    x = np.array([-1, 0, np.inf, 1, 0, 0, 2, np.nan, 4], np.float32)
    y = np.array([2, 0, 0, np.inf, 3, -1, 0.5, 0, 0.5], np.float32)
    want = np.array([np.nan] * 4 + [0, np.inf, np.sqrt(2), np.nan, 2])
    check(call("air.powr.f32", "f32", ["f32", "f32"], x, y), want, 0.51, x)


@pytest.mark.parametrize("type_name", ["f32", "f16", "bf16"])
def test_nextafter_steps_in_the_types_own_grid(type_name: str) -> None:
    x, y = pairs(20_000)
    if type_name == "bf16":
        xb, yb = float_to_bfloat(x), float_to_bfloat(y)
        got = call("air.nextafter.bf16", "bf16", ["bf16", "bf16"], xb, yb)
        xf, yf = bfloat_to_float(xb), bfloat_to_float(yb)
        with np.errstate(invalid="ignore"):
            away = (xf < yf) == (xf > 0)
        want = np.where(away, xb + np.uint16(1), xb - np.uint16(1))
        want = np.where(xf == 0, (yb & 0x8000) | 1, want)
        want = np.where(xf == yf, yb, want)
        unordered = np.isnan(xf) | np.isnan(yf)
        assert np.isnan(bfloat_to_float(got[unordered])).all()
        np.testing.assert_array_equal(got[~unordered], want[~unordered])
        return
    dtype = {"f32": np.float32, "f16": np.float16}[type_name]
    with np.errstate(all="ignore"):
        x, y = x.astype(dtype), y.astype(dtype)
        want = np.nextafter(x, y)
    got = call(f"air.nextafter.{type_name}", type_name, [type_name] * 2, x, y)
    np.testing.assert_array_equal(got, want)
    if type_name == "f32":  # NumPy's own half version does not give zeros the sign of C's
        zero = got == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


def test_ldexp_rounds_once_into_the_subnormal_range() -> None:
    x = np.concatenate(
        [RANDOM.integers(0, 2**32, 50_000, dtype=np.uint32).view(np.float32), SPECIAL]
    )
    n = RANDOM.integers(-320, 320, len(x)).astype(np.int32)
    n[:4] = [2**31 - 1, -(2**31), 1000, -1000]
    with np.errstate(all="ignore"):
        want = np.ldexp(x.astype(np.float64), np.clip(n, -600, 600)).astype(np.float32)
    got = call("air.ldexp.f32", "f32", ["f32", "i32"], x, n)
    np.testing.assert_array_equal(got, want)


def test_functions_with_two_results() -> None:
    x = np.concatenate(
        [RANDOM.integers(0, 2**32, 50_000, dtype=np.uint32).view(np.float32), SPECIAL]
    )
    sine, cosine = call_all("air.sincos.f32", "f32", ["f32", ">f32"], x)
    np.testing.assert_array_equal(sine, call("air.sin.f32", "f32", ["f32"], x))
    np.testing.assert_array_equal(cosine, call("air.cos.f32", "f32", ["f32"], x))
    with np.errstate(all="ignore"):
        fraction, whole = np.modf(x)
        mantissa, exponent = np.frexp(x)
    got_fraction, got_whole = call_all("air.modf.f32", "f32", ["f32", ">f32"], x)
    np.testing.assert_array_equal(got_fraction, fraction)
    np.testing.assert_array_equal(got_whole, whole)
    got_mantissa, got_exponent = call_all("air.frexp.f32", "f32", ["f32", ">i32"], x)
    np.testing.assert_array_equal(got_mantissa, mantissa)
    finite = np.isfinite(x)
    np.testing.assert_array_equal(got_exponent.view(np.int32)[finite], exponent[finite])
    ilogb = call("air.ilogb.f32", "i32", ["f32"], x).view(np.int32)
    normal = finite & (x != 0)
    np.testing.assert_array_equal(ilogb[normal], exponent[normal] - 1)


def test_fast_exponentials_stay_within_the_bound_that_grows_with_the_argument() -> None:
    x = np.concatenate([RANDOM.uniform(-87, 88.7, 300_000).astype(np.float32), SPECIAL])
    for name, reference, scale in (
        ("exp", np.exp, 1.0),
        ("exp2", np.exp2, 0.7),
        ("exp10", lambda v: np.power(10.0, v), 2.4),
    ):
        got = call(f"air.fast_{name}.f32", "f32", ["f32"], x)
        with np.errstate(all="ignore"):
            want = reference(x.astype(np.float64))
        normal = np.isfinite(x) & (want >= 2.0**-126) & (want < 2.0**127.9)
        errors = ulp_errors(got[normal], want[normal])
        assert (errors <= 2 + np.floor(np.abs(2 * scale * x[normal]))).all()
        assert np.isnan(got[np.isnan(x)]).all()
        assert (got[x == np.inf] == np.inf).all()
        assert (got[x == -np.inf] == 0).all()


def test_fast_sine_and_cosine_are_close_to_the_true_ones() -> None:
    x = RANDOM.uniform(-np.pi, np.pi, 200_000).astype(np.float32)
    far = RANDOM.uniform(-1000, 1000, 200_000).astype(np.float32)
    for name, reference in (("sin", np.sin), ("cos", np.cos)):
        for values, bound in ((x, 2.0**-22), (far, 2.0**-20)):
            got = call(f"air.fast_{name}.f32", "f32", ["f32"], values)
            assert np.abs(got - reference(values.astype(np.float64))).max() <= bound


@pytest.mark.parametrize(
    "name", ["log", "pow", "tanh", "rsqrt", "sqrt", "atan2", "tan", "fabs", "fmin"]
)
def test_fast_forms_without_a_shorter_way_are_still_right(name: str) -> None:
    arity = 2 if name in ("pow", "atan2", "fmin") else 1
    arrays = [RANDOM.uniform(0.01, 5, 50_000).astype(np.float32) for _ in range(arity)]
    fast = call(f"air.fast_{name}.f32", "f32", ["f32"] * arity, *arrays)
    precise = call(f"air.{name}.f32", "f32", ["f32"] * arity, *arrays)
    np.testing.assert_allclose(fast, precise, rtol=3e-7)


# Branches and calls would stop the vectoriser; these are the functions that kernels use in loops.
VECTOR = ["exp", "exp2", "log", "log2", "sin", "cos", "tan", "tanh", "sqrt", "rsqrt", "atan",
          "asin", "sinh", "asinh", "fast_exp", "fast_sin", "fast_tanh"]  # fmt: skip


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names x86 processors")
@pytest.mark.parametrize("name", [*VECTOR, "pow", "atan2"])
@pytest.mark.parametrize(("processor", "register"), [("x86-64-v4", "zmm"), ("x86-64-v3", "ymm")])
def test_a_loop_over_the_function_becomes_vector_code(
    name: str, processor: str, register: str
) -> None:
    operands = ["f32"] * (2 if name in ("pow", "atan2") else 1)
    environment = {"AIR_CALL_CPU": processor}
    ir = run("--emit", "llvm", f"air.{name}.f32", "f32", *operands, env=environment).decode()
    assert "vector.body" in ir
    assembly = run("--emit", "asm", f"air.{name}.f32", "f32", *operands, env=environment).decode()
    assert assembly.count(register) >= 4
    body = assembly.split("run:")[1].split(".Lfunc_end")[0]
    assert "call" not in body


@pytest.mark.parametrize("type_name", ["f16", "bf16"])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names x86 processors")
def test_a_loop_over_small_floats_calls_no_run_time_library(type_name: str) -> None:
    assembly = run(
        "--emit",
        "asm",
        f"air.tanh.{type_name}",
        type_name,
        type_name,
        env={"AIR_CALL_CPU": "x86-64-v3"},
    )
    body = assembly.decode().split("run:")[1].split(".Lfunc_end")[0]
    assert "call" not in body
