"""torch's Metal kernels, as Apple's compiler built them, run on the CPU and agree with torch."""

import numpy as np
import pytest
import torch

from corpora import apple_library
from corpora.apple_library import failures_to_compile, sample

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = [pytest.mark.native, pytest.mark.torch, pytest.mark.slow]

NUMBERS = np.random.default_rng(3)
ERRORS = 15364  # bytes of c10::metal::ErrorMessages


@pytest.fixture(scope="module")
def libraries():
    """The older and the newer one: AIR 2.6 (MSL 3.1) and AIR 2.8 (MSL 4.0)."""
    try:
        paths = apple_library.torch(torch.__version__.partition("+")[0])
    except RuntimeError as reason:
        pytest.skip(str(reason))
    return [metalwright.load_metallib(path, device="cpu") for path in paths]


@pytest.fixture(scope="module")
def library(libraries):
    return libraries[1]


def test_every_intrinsic_is_known_and_a_sample_of_the_families_compiles(libraries):
    """Among the sample are kernels in which, together, every intrinsic of the library occurs."""
    older, newer = libraries
    for library in libraries:
        assert not [use.name for use in library.intrinsics() if not use.is_supported]
    names = sample(newer, 21, 180)
    assert len(names) >= 180
    failures = failures_to_compile(newer, names)
    # What the two have in common was the newer one's to show.
    known = {use.name for use in newer.intrinsics()}
    own = [use.example for use in older.intrinsics() if use.name not in known]
    failures += failures_to_compile(older, [*own, "applySYRKU", "large_m_int8pack_mm_float"])
    assert not failures, "\n".join(failures[:20])


def floats(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return NUMBERS.uniform(low, high, shape).astype(np.float32)


def longs(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def uints(*values: int) -> np.ndarray:
    return np.array(values, np.uint32)


def raw(values: list[list[int]]) -> np.ndarray:
    """A metal::array of strides, as bytes."""
    return np.array(values, np.uint64).ravel().view(np.uint8)


def wide(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).double()


def close(actual, expected, tolerance=2e-6):
    np.testing.assert_allclose(
        np.asarray(actual, np.float64), np.asarray(expected), rtol=tolerance, atol=tolerance
    )


UNARY = {
    "abs": torch.abs, "acos": torch.acos, "bessel_j0_forward": torch.special.bessel_j0,
    "copy_identity": torch.clone, "cos": torch.cos, "cosh": torch.cosh, "digamma": torch.digamma,
    "entr": torch.special.entr, "erf": torch.erf, "erfc": torch.erfc, "erfinv": torch.erfinv,
    "exp": torch.exp, "exp2": torch.exp2, "expm1": torch.expm1,
    "gelu": torch.nn.functional.gelu, "hardswish": torch.nn.functional.hardswish,
    "i0": torch.i0, "i1": torch.special.i1, "lgamma": torch.lgamma, "log": torch.log,
    "log10": torch.log10, "log1p": torch.log1p, "log2": torch.log2, "neg": torch.neg,
    "reciprocal": torch.reciprocal, "round": torch.round, "rsqrt": torch.rsqrt,
    "sigmoid": torch.sigmoid, "silu": torch.nn.functional.silu, "sin": torch.sin,
    "sinc": torch.sinc, "sinh": torch.sinh, "sqrt": torch.sqrt, "tan": torch.tan,
    "tanh": torch.tanh,
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_unary_operators(library, name):
    x = floats(1001, low=0.1, high=0.9)
    out = np.zeros_like(x)
    library.kernel(f"{name}_dense_float_float")(out, x, x.size, threads=-(-x.size // 4))
    close(out, UNARY[name](wide(x)))


BINARY = {
    "add": torch.add, "atan2": torch.atan2, "copysign": torch.copysign, "div_true": torch.div,
    "fmax": torch.fmax, "fmod": torch.fmod, "hypot": torch.hypot, "logaddexp": torch.logaddexp,
    "maximum": torch.maximum, "minimum": torch.minimum, "mul": torch.mul,
    "remainder": torch.remainder, "sub": torch.sub, "xlogy": torch.xlogy,
}  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_binary_operators(library, name):
    a, b = floats(777, low=0.1), floats(777, low=0.1)
    out = np.zeros_like(a)
    library.kernel(f"{name}_dense_float_float")(out, a, b, threads=a.size)
    # In float, as the kernel: a remainder jumps where the quotient is whole.
    close(out, BINARY[name](torch.from_numpy(a), torch.from_numpy(b)))


REDUCTIONS = {
    "sum_reduction_inner_float_float": lambda x: x.sum(1),
    "norm_l2_reduction_inner_float_float": lambda x: x.norm(dim=1),
    "max_reduction_inner_float_float": lambda x: x.amax(1),
    "min_reduction_inner_float_float": lambda x: x.amin(1),
    "argmax_reduction_inner_float_long": lambda x: x.argmax(1),
    "argmin_reduction_inner_float_long": lambda x: x.argmin(1),
    "all_reduction_inner_float_uchar": lambda x: x.bool().all(1),
    "any_reduction_inner_float_uchar": lambda x: x.bool().any(1),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_of_rows(library, name):
    x = floats(40, 700)
    kernel = library.kernel(name)
    dtype = {"float": np.float32, "long": np.int64, "uchar": np.uint8}[name.rpartition("_")[2]]
    out = np.zeros(40, dtype)
    divisor = [0.0] if len(kernel.arguments) == 4 else []
    kernel(x, out, uints(40, 700), *divisor, threads=32 * 40, group_size=256)  # a simdgroup a row
    close(out, REDUCTIONS[name](wide(x)), 2e-5)


@pytest.mark.parametrize("variant", ["single_row", "looped"])
def test_layer_norm(library, variant):
    x, weight, bias = floats(7, 384), floats(384), floats(384)
    out, mean, rstd = np.zeros_like(x), np.zeros(7, np.float32), np.zeros(7, np.float32)
    group = 96 if variant == "single_row" else 1024
    library.kernel(f"layer_norm_{variant}_float")(
        x, out, mean, rstd, 384, 1e-5, 1, 1, weight, bias, threads=group * 7, group_size=group
    )
    close(out, torch.layer_norm(wide(x), (384,), wide(weight), wide(bias), 1e-5))
    close(mean, wide(x).mean(1))


@pytest.mark.parametrize("variant", ["", "_looped"])
def test_rms_norm(library, variant):
    x, weight = floats(7, 384), floats(384)
    out = np.zeros_like(x)
    group = 1024 if variant else 96
    library.kernel(f"rms_norm{variant}_float")(
        x, weight, out, 1e-5, 384, 1, threads=group * 7, group_size=group
    )
    close(out, torch.nn.functional.rms_norm(wide(x), (384,), wide(weight), 1e-5))


def test_products_of_matrices(library):
    m, k, n = 37, 50, 45
    a, b, bias = floats(m, k), floats(k, n), floats(m, n)
    out, product = np.zeros((m, n), np.float32), a.astype(np.float64) @ b
    grid = {"threads": (48, 48), "group_size": (16, 16)}
    sizes = uints(m, k, n, 0)
    library.matmul_float(a, b, out, raw([[k, 1], [n, 1], [n, 1]]), sizes, **grid)
    close(out, product, 2e-5)
    scales = np.array([0.5, 2.0], np.float32).view(np.uint8)
    strides = raw([[k, 1], [n, 1], [n, 1], [n, 1]])
    library.addmm_float(a, b, out, bias, scales, strides, sizes, **grid)
    close(out, 0.5 * product + 2.0 * bias, 2e-5)


def test_a_batch_of_products(library):
    batch, m, k, n = 3, 20, 24, 18
    a, b = floats(batch, m, k), floats(batch, k, n)
    out = np.zeros((batch, m, n), np.float32)
    strides = raw([[1, k, m * k], [1, n, k * n], [1, n, m * n]])
    library.naive_bmm_float(
        a, b, out, strides, uints(m, k, n, batch), threads=(32, 32, batch), group_size=(16, 16, 1)
    )
    close(out, a.astype(np.float64) @ b, 2e-5)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("side", ["L", "U"])
def test_a_cholesky_factor_by_simdgroup_matrices(libraries, which, side):
    """Blocks of 32: factor one on the diagonal, solve those beside it, update the rest."""
    size, block = 128, 32
    half = floats(size, size)
    matrix = (half @ half.T + size * np.eye(size)).astype(np.float32)
    factor, info = matrix.copy(), np.zeros(1, np.int32)
    library, group = libraries[which], {"group_size": (32, 8, 1)}
    for k in range(size // block):
        step = (size, block, k)
        library.kernel(f"factorDiagonalBlock{side}")(
            factor, info, *step, threadgroups=(1, 1, 1), **group
        )
        left = size // block - 1 - k
        if left:
            library.kernel(f"applyTRSM{side}")(factor, *step, threadgroups=(1, left, 1), **group)
            library.kernel(f"applySYRK{side}")(
                factor, *step, threadgroups=(1, left * (left + 1) // 2, 1), **group
            )
    expected = np.linalg.cholesky(matrix.astype(np.float64))
    # Columns are what is contiguous for these kernels.
    close(np.tril(factor.T if side == "L" else factor), expected, 2e-4)


SCANS = {
    "cumsum": torch.cumsum, "cumprod": torch.cumprod, "logcumsumexp": torch.logcumsumexp,
}  # fmt: skip


@pytest.mark.parametrize("name", SCANS)
def test_scans(library, name):
    x = floats(6, 515, low=0.9, high=1.1)
    out = np.zeros_like(x)
    library.kernel(f"{name}_innermost_float")(x, out, 515, threads=(160, 6), group_size=(160, 1))
    close(out, SCANS[name](wide(x), 1), 2e-5)


@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_scans_with_places(library, name):
    x = floats(6, 515)
    out, places = np.zeros_like(x), np.zeros(x.shape, np.int64)
    library.kernel(f"{name}_innermost_float")(
        x, out, places, 515, threads=(160, 6), group_size=(160, 1)
    )
    values, indices = getattr(torch, name)(torch.from_numpy(x), 1)
    assert np.array_equal(out, values)
    assert np.array_equal(places, indices)


@pytest.mark.parametrize("threads", [32, 64, 256])
@pytest.mark.parametrize("suffix", ["", "_stable"])
def test_sorting(library, threads, suffix):
    x = floats(5, threads * 4 - 7)
    out, places = np.zeros_like(x), np.zeros(x.shape, np.int64)
    library.kernel(f"sort_block_float_tptg{threads}{suffix}")(
        x, out, places, x.shape[1], longs(1, x.shape[1]), False,
        threads=(threads, 5, 1), group_size=(threads, 1, 1),
    )  # fmt: skip
    assert np.array_equal(out, np.sort(x, axis=1))
    assert np.array_equal(np.take_along_axis(x, places, axis=1), out)


def test_the_largest_seven(library):
    x = floats(5, 100)
    out, places = np.zeros((5, 7), np.float32), np.zeros((5, 7), np.int64)
    library.sort_block_topk_float_tptg32(
        x, out, places, 100, longs(1, 100), True, np.array([0, 7], np.int32),
        threads=(32, 5, 1), group_size=(32, 1, 1),
    )  # fmt: skip
    values, indices = torch.topk(torch.from_numpy(x), 7, 1)
    assert np.array_equal(out, values)
    assert np.array_equal(places, indices)


@pytest.mark.parametrize("variant", ["dense", "strided"])
def test_gather(library, variant):
    x, index = floats(6, 40), NUMBERS.integers(0, 40, (6, 13))
    out, errors = np.zeros((6, 13), np.float32), np.zeros(ERRORS, np.uint8)
    kernel = library.kernel(f"gather_{variant}_float_long")
    if variant == "dense":
        kernel(out, x, index, 1, 13, 40, 0, errors, threads=out.size)
    else:
        strides = (longs(6, 13), longs(13, 1), longs(40, 1), longs(13, 1), uints(2, 1, 0, 0))
        kernel(out, x, index, *strides, 40, 0, errors, threads=out.size)
    assert np.array_equal(out, np.take_along_axis(x, index, 1))
    assert not errors.any()


@pytest.mark.parametrize("variant", ["_dense", ""])
def test_scatter(library, variant):
    source, out = floats(6, 13), np.zeros((6, 40), np.float32)
    index = np.stack([NUMBERS.permutation(40)[:13] for _ in range(6)]).astype(np.int64)
    errors, expected = np.zeros(ERRORS, np.uint8), np.zeros_like(out)
    kernel = library.kernel(f"scatter_set{variant}_float_long")
    if variant:
        kernel(out, source, index, 1, 13, 40, 0, errors, threads=index.size)
    else:
        strides = (longs(6, 13), longs(40, 1), longs(13, 1), longs(13, 1), uints(2, 1, 0, 0))
        kernel(out, source, index, *strides, 40, 0, errors, threads=index.size)
    np.put_along_axis(expected, index, source, 1)
    assert np.array_equal(out, expected)
    assert not errors.any()


def test_an_index_out_of_range_is_reported_by_the_kernel(library):
    """What c10::metal::ErrorMessages is for; torch reads it after the kernel."""
    x, index = floats(1, 4), np.array([[1, 9]])
    out, errors = np.zeros((1, 2), np.float32), np.zeros(ERRORS, np.uint8)
    library.gather_dense_float_long(out, x, index, 1, 2, 4, 0, errors, threads=2)
    assert errors[:4].view(np.uint32)[0] == 1
    assert b"out of bounds" in errors.tobytes()


def test_selecting_rows_through_a_pointer_in_memory(library):
    x, index, out = floats(50, 8), NUMBERS.integers(0, 50, 20), np.zeros((20, 8), np.float32)
    pointers = np.array([index.ctypes.data], np.uint64)
    library.index_select_32bit(
        out.view(np.int32), x.view(np.int32), pointers, longs(8, 20), longs(4, 32), longs(4, 0),
        longs(0, 8), longs(50), longs(32), uints(2, 1, out.size, 0), np.zeros(ERRORS, np.uint8),
        threads=out.size,
    )  # fmt: skip
    assert np.array_equal(out, x[index])


def test_repetition_search_filling_and_cross_products(library):
    repeats = NUMBERS.integers(0, 4, 30)
    ends = np.cumsum(repeats)
    out = np.zeros(ends[-1], np.int64)
    library.repeat_interleave_int64_t(repeats, ends, out, 1, threads=30)
    assert np.array_equal(out, np.repeat(np.arange(30), repeats))
    bounds, values, places = np.sort(floats(40)), floats(60), np.zeros(60, np.int32)
    library.searchsorted_float_int(values, bounds, places, 60, 40, 60, 0, 1, threads=60)
    assert np.array_equal(places, np.searchsorted(bounds, values))
    x, mask = floats(100), NUMBERS.random(100) < 0.5
    expected = np.where(mask, np.float32(3.5), x)
    library.masked_fill_scalar_dense_32bit(
        x.view(np.int32), mask, int(np.float32(3.5).view(np.int32)), threads=100
    )
    assert np.array_equal(x, expected)
    a, b = floats(30, 3), floats(30, 3)
    product = np.zeros_like(a)
    library.cross_dense_float(product, a, b, 1, threads=30)
    close(product, np.cross(a.astype(np.float64), b))


@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_one_token(library, causal):
    heads, tokens, width = 4, 50, 64
    q, k, v = (floats(1, heads, n, width) for n in (1, tokens, tokens))
    out = np.zeros_like(q)
    strides = uints(width, tokens * width, tokens * width, 0)
    library.kernel("sdpa_vector_float_64_64_masknone" + "_causal" * causal)(
        q, k, v, out, 1, tokens, strides, uints(width, width, width, 0), 0.125,
        np.zeros(4, np.float32), uints(0, 0, 0, 0),
        uints(heads * width, heads * tokens * width, heads * tokens * width, heads),
        threadgroups=(heads, 1, 1), group_size=(1024, 1, 1),
    )  # fmt: skip
    expected = torch.nn.functional.scaled_dot_product_attention(
        wide(q), wide(k), wide(v), scale=0.125, is_causal=causal
    )
    close(out, expected, 2e-5)


def prefill_parameters(heads: int, tokens: int, width: int, scale: float) -> np.ndarray:
    """PrefillAttnParams: sizes, scale, softcapping, then strides of batch, head and token."""
    sizes = np.array([1, heads, width, tokens, tokens, 1], np.int32)
    factors = np.array([scale, 1.0], np.float32)
    strides = np.tile(np.array([heads * tokens * width, tokens * width, width], np.int32), 4)
    return np.concatenate([part.view(np.uint8) for part in (sizes, factors, strides)])


@pytest.mark.parametrize("causal", [False, True])
def test_attention_by_tiles_of_simdgroup_matrices(library, causal):
    heads, tokens, width = 2, 70, 64
    q, k, v = (floats(1, heads, tokens, width) for _ in range(3))
    out = np.zeros_like(q)
    library.kernel(
        f"prefill_attention_float32_bq32_bk32_bd64_wm4_wn1_hm0_dc{int(causal)}_maskfloat32"
    )(
        q, k, v, out, prefill_parameters(heads, tokens, width, 0.125), np.zeros(16, np.uint8),
        np.zeros(4, np.float32), threadgroups=(-(-tokens // 32), heads, 1), group_size=(32, 4, 1),
    )  # fmt: skip
    expected = torch.nn.functional.scaled_dot_product_attention(
        wide(q), wide(k), wide(v), scale=0.125, is_causal=causal
    )
    close(out, expected, 2e-5)


def test_an_optimiser_step_through_an_argument_buffer(library):
    """Arrays of 32 pointers in a structure: fused_sgd updates a list of tensors in one dispatch."""
    kernel = library.fused_sgd_float
    members = {member.name: member for member in kernel.arguments[0].members}
    assert members["params[31]"].id == 31
    assert members["grads[0]"].offset == 32 * 8
