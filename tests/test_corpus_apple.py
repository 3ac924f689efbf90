"""Kernels that Apple's compiler built run on the CPU device and agree with NumPy and torch."""

import numpy as np
import pytest
import torch

from corpora.apple_library import failures_to_compile, gemm_parameters, mlx, sample

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = [pytest.mark.native, pytest.mark.torch, pytest.mark.slow]

NUMBERS = np.random.default_rng(7)


@pytest.fixture(scope="module")
def library():
    try:
        path, _ = mlx()
    except RuntimeError as reason:
        pytest.skip(str(reason))
    return metalwright.load_metallib(path, device="cpu")


def test_every_intrinsic_is_known_and_a_sample_of_the_families_compiles(library):
    """Among the sample are kernels in which, together, every intrinsic of the library occurs."""
    assert not [use.name for use in library.intrinsics() if not use.is_supported]
    names = sample(library, 20, 320)
    assert len(names) >= 320
    failures = failures_to_compile(library, names)
    assert not failures, "\n".join(failures[:20])


def floats(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return NUMBERS.uniform(low, high, shape).astype(np.float32)


def close(actual, expected, tolerance=2e-6):
    np.testing.assert_allclose(
        np.asarray(actual, np.float64), expected, rtol=tolerance, atol=tolerance
    )


UNARY = {
    "Abs": np.abs, "ArcCosh": np.arccosh, "ArcSinh": np.arcsinh, "ArcTan": np.arctan,
    "Ceil": np.ceil, "Cos": np.cos, "Cosh": np.cosh, "Exp": np.exp, "Expm1": np.expm1,
    "Floor": np.floor, "Log": np.log, "Log2": np.log2, "Log10": np.log10, "Log1p": np.log1p,
    "Negative": np.negative, "Round": np.round, "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Sign": np.sign, "Sin": np.sin, "Sinh": np.sinh, "Square": np.square, "Sqrt": np.sqrt,
    "Rsqrt": lambda x: 1 / np.sqrt(x), "Tan": np.tan, "Tanh": np.tanh,
    "Erf": lambda x: torch.erf(torch.from_numpy(x)).numpy(),
}  # fmt: skip


@pytest.mark.parametrize("operator", UNARY)
def test_unary_operators(library, operator):
    x = floats(1001, low=1.05, high=1.5) if operator == "ArcCosh" else floats(1001, low=0.01)
    out = np.zeros_like(x)
    library.kernel(f"v_{operator}float32float32")(x, out, x.size, threads=x.size)
    close(out, UNARY[operator](x.astype(np.float64)), 1e-5)


BINARY = {
    "Add": np.add, "Subtract": np.subtract, "Multiply": np.multiply, "Divide": np.divide,
    "Maximum": np.maximum, "Minimum": np.minimum, "Power": np.power,
    "ArcTan2": np.arctan2, "LogAddExp": np.logaddexp, "Less": np.less,
    "GreaterEqual": np.greater_equal, "NotEqual": np.not_equal,
}  # fmt: skip


@pytest.mark.parametrize("shape", ["vv", "sv", "vs"])
@pytest.mark.parametrize("operator", BINARY)
def test_binary_operators(library, operator, shape):
    a, b = floats(777, low=0.1), floats(777, low=0.1)
    kernel = library.kernel(f"{shape}_{operator}float32")
    out = np.zeros(777, bool if kernel.arguments[2].type_name == "bool" else np.float32)
    kernel(a, b, out, out.size, threads=out.size)
    left, right = (v.astype(np.float64) for v in (a, b))
    if shape != "vv":
        left, right = (left[:1], right) if shape == "sv" else (left, right[:1])
    close(out, BINARY[operator](left, right), 1e-5)


def test_selection(library):
    mask, a, b = NUMBERS.random(300) < 0.5, floats(300), floats(300)
    out = np.zeros_like(a)
    library.kernel("v_Selectfloat32")(mask, a, b, out, out.size, threads=out.size)
    assert np.array_equal(out, np.where(mask, a, b))


@pytest.mark.parametrize(
    ("source", "result"), [("int32", "float32"), ("float32", "uint8"), ("float32", "float16")]
)
def test_copies_convert(library, source, result):
    x = NUMBERS.integers(0, 200, 500).astype(source)
    out = np.zeros(500, result)
    library.kernel(f"v_copy{source}{result}")(x, out, x.size, threads=x.size)
    assert np.array_equal(out, x.astype(result))


def test_a_strided_copy_gathers_a_transpose(library):
    x = floats(37, 53)
    out = np.zeros((53, 37), np.float32)
    strides = np.array([1, 53], np.int64)
    library.kernel("g2_copyfloat32float32")(x, out, strides, threads=(37, 53))
    assert np.array_equal(out, x.T)


def test_a_range(library):
    out = np.zeros(100, np.float32)
    library.arangefloat32(1.5, 0.25, out, threads=100)
    assert np.array_equal(out, 1.5 + 0.25 * np.arange(100, dtype=np.float32))


REDUCTIONS = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}


@pytest.mark.parametrize("operator", REDUCTIONS)
def test_reductions_of_everything(library, operator):
    x = floats(5000, low=0.99, high=1.01)
    out = np.zeros(1, np.float32)
    library.kernel(f"all_reduce_{operator}float32")(
        x, out, x.size, x.size, threads=(256, 1, 1), group_size=(256, 1, 1)
    )
    close(out[0], REDUCTIONS[operator](x.astype(np.float64)), 2e-5)


@pytest.mark.parametrize("operator", REDUCTIONS)
def test_reductions_of_rows(library, operator):
    x = floats(24, 700, low=0.99, high=1.01)
    out = np.zeros(24, np.float32)
    library.kernel(f"row_reduce_simple_{operator}float32")(
        x, out, x.shape[1], out.size, threads=(128, 6, 1), group_size=(128, 1, 1)
    )
    close(out, REDUCTIONS[operator](x.astype(np.float64), axis=1), 2e-5)


def test_the_place_of_the_largest(library):
    x = floats(16, 300)
    out = np.zeros(16, np.uint32)
    shape, strides, out_strides = np.array([16], np.int32), np.array([300]), np.array([1])
    library.argmax_float32(
        x, out, shape, strides, out_strides, 1, 1, 300, threads=(128, 16), group_size=(128, 1)
    )
    assert np.array_equal(out, x.argmax(axis=1))


SCANS = {"sum": np.cumsum, "prod": np.cumprod, "max": np.maximum.accumulate,
         "min": np.minimum.accumulate}  # fmt: skip


@pytest.mark.parametrize("operator", SCANS)
@pytest.mark.parametrize("direction", ["", "reverse_"])
def test_scans(library, operator, direction):
    x = floats(6, 515, low=0.9, high=1.1)
    out = np.zeros_like(x)
    library.kernel(f"contig_scan_{direction}inclusive_{operator}_float32_float32")(
        x, out, x.shape[1], threads=(128, 6, 1), group_size=(128, 1, 1)
    )
    turned = x[:, ::-1] if direction else x
    expected = SCANS[operator](turned.astype(np.float64), axis=1)
    close(out, expected[:, ::-1] if direction else expected, 2e-5)


@pytest.mark.parametrize("block", [32, 64, 128])
def test_sorting(library, block):
    x = floats(5, block * 4 - 7)
    out, places = np.zeros_like(x), np.zeros(x.shape, np.uint32)
    sizes = (x.shape[1], 1, 1, x.shape[1], x.shape[1])
    grid = {"threads": (block, 5, 1), "group_size": (block, 1, 1)}
    library.kernel(f"c_block_sort_float32_float32_bn{block}_tn4")(x, out, *sizes, **grid)
    library.kernel(f"carg_block_sort_float32_uint32_bn{block}_tn4")(x, places, *sizes, **grid)
    assert np.array_equal(out, np.sort(x, axis=1))
    assert np.array_equal(np.take_along_axis(x, places.astype(np.int64), axis=1), out)


@pytest.mark.parametrize("variant", ["block", "looped"])
def test_softmax_and_logsumexp(library, variant):
    x = floats(9, 500, low=-6, high=6)
    out, total = np.zeros_like(x), np.zeros(9, np.float32)
    group = 128 if variant == "block" else 1024  # the looped ones need all 32 simdgroups
    grid = {"threads": (group * 9, 1, 1), "group_size": (group, 1, 1)}
    library.kernel(f"{variant}_softmax_float32")(x, out, x.shape[1], **grid)
    library.kernel(f"{variant}_logsumexp_float32")(x, total, x.shape[1], **grid)
    wide = torch.from_numpy(x).double()
    close(out, torch.softmax(wide, 1).numpy(), 1e-5)
    close(total, torch.logsumexp(wide, 1).numpy(), 1e-5)


@pytest.mark.parametrize("variant", ["", "_looped"])
def test_normalisations(library, variant):
    x, weight, bias = floats(7, 384), floats(384), floats(384)
    out = np.zeros_like(x)
    grid = {"threads": (96 * 7, 1, 1), "group_size": (96, 1, 1)}
    library.kernel(f"rms{variant}float32")(x, weight, out, 1e-5, 384, 1, **grid)
    wide, scale, shift = (torch.from_numpy(v).double() for v in (x, weight, bias))
    close(out, torch.nn.functional.rms_norm(wide, (384,), scale, 1e-5).numpy(), 1e-5)
    library.kernel(f"layer_norm{variant}float32")(x, weight, bias, out, 1e-5, 384, 1, 1, **grid)
    close(out, torch.nn.functional.layer_norm(wide, (384,), scale, shift, 1e-5).numpy(), 1e-5)


@pytest.mark.parametrize(
    "tiles", [(64, 64, 16, 2, 2), (64, 32, 32, 2, 2), (32, 32, 16, 2, 2), (64, 32, 8, 4, 1)]
)
@pytest.mark.parametrize("aligned", [True, False])
def test_products_of_matrices_with_simdgroup_matrices(library, tiles, aligned):
    bm, bn, bk, wm, wn = tiles
    m, n, k = (128, 64, 64) if aligned else (100, 45, 50)
    a, b, out = floats(m, k), floats(k, n), np.zeros((m, n), np.float32)
    name = f"steel_gemm_fused_nn_float32_float32_bm{bm}_bn{bn}_bk{bk}_wm{wm}_wn{wn}"
    kernel = library.kernel(
        name, {10: False, 100: False, 110: False, 200: aligned, 201: aligned, 202: aligned}
    )
    groups = (-(-n // bn), -(-m // bm), 1)
    parameters = np.frombuffer(gemm_parameters(m, n, k, bm, bn, bk), np.uint8)
    kernel(A=a, B=b, D=out, params=parameters, threadgroups=groups, group_size=(32, wn, wm))
    close(out, a.astype(np.float64) @ b, 2e-5)


def test_a_matrix_times_a_vector(library):
    matrix, vector, out = floats(96, 256), floats(256), np.zeros(96, np.float32)
    # Not one of those with bn8: their barrier is behind a branch on the lane, an error here.
    kernel = library.kernel("gemv_float32_bm4_bn1_sm1_sn32_tm4_tn4_nc0_axpby0")
    zero = np.zeros(1, np.int64)
    arguments = {
        "mat": matrix, "in_vec": vector, "out_vec": out, "in_vec_size": 256, "out_vec_size": 96,
        "marix_ld": 256, "vector_batch_stride": zero, "matrix_batch_stride": zero,
    }  # fmt: skip
    kernel(**arguments, threadgroups=(96 // 16, 1, 1), group_size=(32, 1, 4))
    close(out, matrix.astype(np.float64) @ vector, 2e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_one_token(library, causal):
    heads, tokens, width = 4, 50, 64
    q, k, v = floats(heads, 1, width), floats(heads, tokens, width), floats(heads, tokens, width)
    out = np.zeros_like(q)
    kernel = library.kernel(
        "sdpa_vector_float_64_64",
        {20: False, 21: False, 22: causal, 23: False, 24: False, 25: False},
    )
    kernel(
        queries=q, keys=k, values=v, out=out, gqa_factor=1, N=tokens,
        k_head_stride=tokens * width, k_seq_stride=width,
        v_head_stride=tokens * width, v_seq_stride=width, scale=0.125,
        threadgroups=(heads, 1, 1), group_size=(1024, 1, 1),
    )  # fmt: skip
    wide = [torch.from_numpy(x).double() for x in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*wide, scale=0.125)
    close(out, expected.numpy(), 2e-5)
