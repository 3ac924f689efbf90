"""Metal's floating-point functions, called from Metal source, against MPFR and the bounds of the
specification's tables: every half and bfloat of one-argument functions, dense floats, all modes."""

from __future__ import annotations

import gmpy2
import numpy as np
import pytest

runtime = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

from tests.simt.accuracy import arguments, exact_results, excluded, measure, one_argument  # noqa: E402
from tests.simt.exact import FORMATS, round_to, same  # noqa: E402
from tests.simt.metal_functions import EVERY, call, vector_places  # noqa: E402

pytestmark = pytest.mark.native

# Math mode and namespace. Without a namespace, safe mode means precise functions and the others
# mean fast ones.
WAYS = {
    "float": [("safe", ""), ("safe", "fast"), ("relaxed", ""), ("fast", ""), ("fast", "precise")],
    "half": [("safe", ""), ("fast", "")],
    "bfloat": [("safe", ""), ("fast", "")],
}


def functions(type_name: str, namespace: str = "") -> list[str]:
    missing = ("nextafter", "ilogb") if type_name == "bfloat" else ()
    return [n for n in EVERY if n not in missing and (not namespace or "{n}" in EVERY[n][1])]


CASES = [
    pytest.param(type_name, name, mode, namespace, id=f"{type_name}-{mode}-{namespace}::{name}")
    for type_name, ways in WAYS.items()
    for mode, namespace in ways
    for name in functions(type_name, namespace)
]


@pytest.mark.parametrize(("type_name", "name", "mode", "namespace"), CASES)
def test_a_function_is_within_the_bound_of_the_specification(
    type_name: str, name: str, mode: str, namespace: str
) -> None:
    worst, bound = measure(type_name, name, mode, namespace)
    assert worst.excess <= 1, f"promised {bound.text}; {worst}"


@pytest.mark.parametrize(("type_name", "name"), [(t, name) for t in WAYS for name in functions(t)])
def test_every_element_of_a_vector_is_the_scalar_result(type_name: str, name: str) -> None:
    columns = [column[-600:] for column in arguments(type_name, name)]
    scalar = call(type_name, name, *columns)
    places = vector_places(len(columns[0]))
    got = call(type_name, name, *columns, vectors=True)
    counted = ~excluded(type_name, name)[-600:][places]
    wrong = np.flatnonzero(counted & ~same(got, scalar[places]))
    assert wrong.size == 0, [columns[0][places[i]] for i in wrong[:3]]


@pytest.mark.parametrize("engine", ["checked", "simdgroup"])
@pytest.mark.parametrize("name", functions("float"))
def test_every_engine_gives_the_same_bits(engine: str, name: str) -> None:
    for type_name in ("float", "half") if EVERY[name][0] == 3 else ("float",):
        columns = [column[-600:] for column in arguments(type_name, name)]
        usual = call(type_name, name, *columns)
        other = call(type_name, name, *columns, engine=engine)
        wrong = np.flatnonzero(~same(other, usual) & ~excluded(type_name, name)[-600:])
        assert wrong.size == 0, [columns[0][i] for i in wrong[:3]]


def test_rsqrt_is_correctly_rounded_for_every_significand() -> None:
    x = np.arange(0x3F800000, 0x40800000, dtype=np.uint32).view(np.float32).astype(np.float64)
    got = call("float", "rsqrt", x)
    exact = 1 / np.sqrt(x)
    want = round_to("float", exact)
    # Where a double cannot tell on which side of the middle the root lies, MPFR can.
    last = np.spacing(want.astype(np.float32)).astype(np.float64)
    close = np.flatnonzero(np.abs(np.abs(exact - want) / last - 0.5) < 1e-6)
    assert 0 < close.size < 1000
    with gmpy2.context(precision=24):
        want[close] = [float(gmpy2.rec_sqrt(gmpy2.mpfr(v))) for v in x[close]]
    np.testing.assert_array_equal(got, want)


SPECIAL_RESULTS = {
    # name: (arguments, result) of precise functions, as C's Annex F and IEEE 754 have them
    "exp": [((np.inf,), np.inf), ((-np.inf,), 0.0), ((-0.0,), 1.0)],
    "exp2": [((np.inf,), np.inf), ((-np.inf,), 0.0), ((0.0,), 1.0)],
    "log": [((0.0,), -np.inf), ((-0.0,), -np.inf), ((-1.0,), np.nan), ((1.0,), 0.0)],
    "log2": [((0.0,), -np.inf), ((8.0,), 3.0), ((np.inf,), np.inf)],
    "log10": [((1000.0,), 3.0), ((-np.inf,), np.nan)],
    "sqrt": [((-0.0,), -0.0), ((-1.0,), np.nan), ((np.inf,), np.inf)],
    "rsqrt": [((0.0,), np.inf), ((-0.0,), -np.inf), ((np.inf,), 0.0), ((-1.0,), np.nan)],
    "sin": [((-0.0,), -0.0), ((np.inf,), np.nan)],
    "cos": [((0.0,), 1.0), ((-np.inf,), np.nan)],
    "tan": [((-0.0,), -0.0), ((np.inf,), np.nan)],
    "sinpi": [((-0.0,), -0.0), ((0.5,), 1.0), ((1.5,), -1.0), ((np.inf,), np.nan)],
    "cospi": [((0.5,), 0.0), ((1.0,), -1.0)],
    "atan": [((-0.0,), -0.0)],
    "asin": [((-0.0,), -0.0), ((2.0,), np.nan)],
    "acos": [((1.0,), 0.0), ((-1.5,), np.nan)],
    "sinh": [((-0.0,), -0.0), ((-np.inf,), -np.inf)],
    "cosh": [((-np.inf,), np.inf)],
    "tanh": [((-0.0,), -0.0), ((np.inf,), 1.0), ((-np.inf,), -1.0)],
    "asinh": [((-0.0,), -0.0), ((-np.inf,), -np.inf)],
    "acosh": [((1.0,), 0.0), ((0.5,), np.nan)],
    "atanh": [((-0.0,), -0.0), ((1.0,), np.inf), ((-1.0,), -np.inf), ((2.0,), np.nan)],
    "pow": [
        ((np.nan, 0.0), 1.0),
        ((1.0, np.nan), 1.0),
        ((-8.0, 3.0), -512.0),
        ((-8.0, 0.5), np.nan),
        ((-0.0, -3.0), -np.inf),
        ((-0.0, -2.0), np.inf),
        ((-0.0, 3.0), -0.0),
        ((-1.0, np.inf), 1.0),
        ((0.5, np.inf), 0.0),
        ((0.5, -np.inf), np.inf),
        ((-np.inf, -3.0), -0.0),
    ],
    "powr": [((0.0, 0.0), np.nan), ((-1.0, 2.0), np.nan), ((0.0, -1.0), np.inf)],
    "fmin": [((np.nan, 1.0), 1.0), ((1.0, np.nan), 1.0), ((np.nan, np.nan), np.nan)],
    "fmax": [((np.nan, 1.0), 1.0), ((1.0, np.nan), 1.0), ((-np.inf, -1.0), -1.0)],
    "fmod": [((5.5, 2.0), 1.5), ((-6.0, 2.0), -0.0), ((1.0, np.inf), 1.0), ((1.0, 0.0), np.nan)],
    "fdim": [((1.0, np.nan), np.nan), ((1.0, 2.0), 0.0), ((np.inf, np.inf), 0.0)],
    "fract": [((-1e-30,), 1 - 2.0**-24), ((1.25,), 0.25), ((-1.25,), 0.75)],
    "rint": [((0.5,), 0.0), ((1.5,), 2.0), ((-0.5,), -0.0), ((-2.5,), -2.0)],
    "round": [((0.5,), 1.0), ((-2.5,), -3.0), ((0.49999997,), 0.0)],
    "floor": [((-0.5,), -1.0), ((-0.0,), -0.0)],
    "ceil": [((-0.5,), -0.0), ((0.5,), 1.0)],
    "trunc": [((-0.5,), -0.0), ((1.9,), 1.0)],
    "modf": [((-np.inf,), -0.0), ((-1.5,), -0.5)],
    "frexp": [((np.inf,), np.inf), ((-0.0,), -0.0)],
    "x / y": [((1.0, 0.0), np.inf), ((1.0, -0.0), -np.inf), ((0.0, 0.0), np.nan)],
    "fma": [((np.inf, 0.0, 1.0), np.nan), ((2.0**64, 2.0**64, -np.inf), -np.inf)],
}


@pytest.mark.parametrize("name", SPECIAL_RESULTS)
def test_special_values_have_the_results_and_signs_of_the_standard(name: str) -> None:
    rows, want = zip(*SPECIAL_RESULTS[name], strict=True)
    columns = [np.array(column, np.float64) for column in zip(*rows, strict=True)]
    got = call("float", name, *columns)
    assert same(got, np.array(want)).all(), (got, want)


@pytest.mark.parametrize("engine", [None, "checked", "simdgroup"])
@pytest.mark.parametrize("mode", ["safe", "relaxed", "fast"])
@pytest.mark.parametrize("type_name", list(WAYS))
def test_arithmetic_keeps_subnormal_numbers(type_name: str, mode: str, engine: str | None) -> None:
    """The specification lets a device flush them; this one does not, in any mode."""
    form = FORMATS[type_name]
    tiny = form.smallest_normal * 2.0 ** (1 - form.precision)
    x = tiny * np.array([1, 2, 3, 2 ** (form.precision - 1) - 1], np.float64)
    zero, one, half = np.zeros(4), np.ones(4), np.full(4, 0.5)
    for name, columns, want in (
        ("x + y", (x, zero), x),
        ("x - y", (x, 2 * x), -x),
        ("x * y", (x, one), x),
        ("x * y", (2 * x, half), x),
        ("x / y", (2 * x, 2 * one), x),
        ("fma", (x, one, zero), x),
        ("fmax", (x, zero), x),
        ("fmin", (x, one), x),
        ("fabs", (-x,), x),
    ):
        got = call(type_name, name, *columns, math_mode=mode, engine=engine)
        np.testing.assert_array_equal(got, want, err_msg=name)


@pytest.mark.parametrize("name", ["exp", "exp2", "sqrt", "sin", "tanh", "atan", "asinh", "log2"])
def test_precise_functions_keep_subnormal_arguments_and_results(name: str) -> None:
    x = one_argument("float")
    small = (np.abs(x) < 2.0**-126) & (x != 0)
    want = exact_results("float", name)
    small |= (np.abs(want) < 2.0**-126) & (want != 0)
    assert small.sum() > 10
    nonzero = small & (np.abs(want) >= 2.0**-149)  # how close, the bounds say
    assert (call("float", name, x)[nonzero] != 0).all()


def test_fast_exponentials_flush_subnormal_results_and_precise_ones_do_not() -> None:
    x = np.array([-100.0, -95.0, -88.0])
    assert (call("float", "exp", x) > 0).all()
    assert (call("float", "exp", x, namespace="fast") == 0).all()


def test_fast_functions_are_others_than_the_precise_ones_where_that_is_faster() -> None:
    x = np.linspace(-3, 3, 2001)
    for name in ("exp", "exp2", "exp10", "sin", "cos", "tanh"):
        precise = call("float", name, x, math_mode="fast", namespace="precise")
        fast = call("float", name, x, math_mode="safe", namespace="fast")
        assert (precise != fast).any(), name
        # What a plain name means is the math mode's choice.
        np.testing.assert_array_equal(call("float", name, x, math_mode="safe"), precise)
        np.testing.assert_array_equal(call("float", name, x, math_mode="relaxed"), fast)
