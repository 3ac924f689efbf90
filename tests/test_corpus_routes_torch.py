"""torch's kernels by two routes: the sources in its headers, and Apple's AIR of the same.

torch's wheel ships as headers what its kernels for sorting and attention are made of. What is
instantiated of them here has its compiled twin in the macOS wheel of the same release. The two give
the same bits.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from corpora import apple_library

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = [pytest.mark.native, pytest.mark.torch, pytest.mark.slow]

INCLUDE = Path(torch.__file__).parent / "include"
KERNELS = "ATen/native/mps/kernels"
NUMBERS = np.random.default_rng(12)

DTYPES = {"float": np.float32, "half": np.float16, "int": np.int32}


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    """Apple's library and ours."""
    try:
        _, path = apple_library.torch(torch.__version__.partition("+")[0])
    except RuntimeError as reason:
        pytest.skip(str(reason))
    if not (INCLUDE / KERNELS).is_dir():
        pytest.skip("this torch ships no Metal headers")
    folder = tmp_path_factory.mktemp("headers")
    includes = ["utils.h", "common.h", "special_math.h", "indexing.h"]
    source = "#include <metal_stdlib>\n#include <metal_simdgroup_matrix>\n"
    source += "".join(f"#include <c10/metal/{name}>\n" for name in includes)
    source += "using namespace metal;\n"
    for header in ("SortMerge.h", "DecodeAttention.h", "PrefillAttention.h"):
        # Without the hundreds of instantiations at the end.
        text = (INCLUDE / KERNELS / header).read_text()
        end = re.search(r"(?mi)^INSTANTIATE_\w+\([^#\n]*\);?$", text)
        (folder / header).write_text(text[: end.start()] + "\n#endif\n" if end else text)
        source += f'#include "{header}"\n'
    source += "".join(f"INSTANTIATE_SORT({dtype}, 32, 4)\n" for dtype in DTYPES)
    source += "INSTANTIATE_SDPA_VECTOR(float, 64, 64)\nINSTANTIATE_SDPA_VECTOR(half, 64, 64)\n"
    for causal in (0, 1):
        source += (
            f"instantiate_attn(float32, float, 32, 32, 64, 4, 1, 0, {causal}, float32, float)\n"
        )
    ours = metalwright.compile(source, device="cpu", include_paths=[str(folder), str(INCLUDE)])
    return metalwright.load_metallib(path, device="cpu"), ours


def both(routes, name, outputs, call):
    """Calls the kernel of both libraries, each with its own copies of the outputs."""
    results = []
    for library in routes:
        own = [output.copy() for output in outputs]
        call(library.kernel(name), *own)
        results.append(own)
    for apple, ours in zip(*results, strict=True):
        assert np.any(apple != 0)
        np.testing.assert_array_equal(apple, ours)
    return results[0]


def numbers(dtype, *shape):
    return NUMBERS.uniform(-50, 50, shape).astype(dtype)


# In half these kernels take a quarter of a minute to compile; the blocks below have one of them.
@pytest.mark.parametrize("suffix", ["", "_stable"])
@pytest.mark.parametrize("dtype", sorted(set(DTYPES) - {"half"}))
def test_sorting(routes, dtype, suffix):
    x = numbers(DTYPES[dtype], 5, 100)
    outputs = [np.zeros_like(x), np.zeros(x.shape, np.int64)]

    def call(kernel, out, places):
        grid = {"threads": (32, 5, 1), "group_size": (32, 1, 1)}
        kernel(x, out, places, 100, np.array([1, 100]), False, **grid)

    (out, _) = both(routes, f"sort_block_{dtype}_tptg32{suffix}", outputs, call)
    assert np.array_equal(out, np.sort(x, axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_sorting_of_blocks_and_merging_them(routes, dtype):
    x = numbers(DTYPES[dtype], 2, 256)
    outputs = [np.zeros_like(x), np.zeros(x.shape, np.uint32)]
    grid = {"threads": (64, 2, 1), "group_size": (32, 1, 1)}

    def sort(kernel, out, places):
        kernel(x, out, places, 256, np.array([1, 256]), False, **grid)

    out, places = both(routes, f"mb_sort_block_{dtype}_tptg32", outputs, sort)
    final = [np.zeros_like(x), np.zeros(x.shape, np.int64)]

    def merge(kernel, merged, order):
        kernel(out, places, merged, order, np.array([256, 2, 0, 0], np.int32), False, **grid)

    merged, order = both(routes, f"mb_merge_final_{dtype}_tptg32", final, merge)
    assert np.array_equal(merged, np.sort(x, axis=1))
    assert np.array_equal(np.take_along_axis(x, order, 1), merged)


@pytest.mark.parametrize("dtype", ["float", "half"])
@pytest.mark.parametrize("mask", ["none", "none_causal", "bool", "own"])
def test_attention_of_one_token(routes, dtype, mask):
    heads, tokens, width = 4, 50, 64
    q, k, v = (numbers(DTYPES[dtype], heads, n, width) / 50 for n in (1, tokens, tokens))
    weights = np.zeros(4, np.float32)
    if mask == "bool":
        weights = NUMBERS.random((heads, 1, tokens)) < 0.7
    elif mask == "own":
        weights = numbers(DTYPES[dtype], heads, 1, tokens)

    def call(kernel, out):
        strides = np.array([width, tokens * width, tokens * width, 0], np.uint32)
        tokens_apart = np.array([width, width, width, 0], np.uint32)
        of_mask = np.array([1, tokens, tokens, heads * tokens], np.uint32)
        of_batch = np.array([heads * width, *[heads * tokens * width] * 2, heads], np.uint32)
        arguments = (1, tokens, strides, tokens_apart, 0.125, weights, of_mask, of_batch)
        kernel(q, k, v, out, *arguments, threadgroups=(heads, 1, 1), group_size=(1024, 1, 1))

    suffix = dtype if mask == "own" else mask
    both(routes, f"sdpa_vector_{dtype}_64_64_mask{suffix}", [np.zeros_like(q)], call)


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_by_tiles_of_simdgroup_matrices(routes, causal):
    heads, tokens, width = 2, 70, 64
    q, k, v = (numbers(np.float32, heads, tokens, width) / 50 for _ in range(3))
    sizes = np.array([1, heads, width, tokens, tokens, 1], np.int32)
    factors = np.array([0.125, 1.0], np.float32)
    strides = np.tile(np.array([heads * tokens * width, tokens * width, width], np.int32), 4)
    parameters = np.concatenate([part.view(np.uint8) for part in (sizes, factors, strides)])

    def call(kernel, out):
        grid = {"threadgroups": (-(-tokens // 32), heads, 1), "group_size": (32, 4, 1)}
        unused = np.zeros(16, np.uint8), np.zeros(4, np.float32)
        kernel(q, k, v, out, parameters, *unused, **grid)

    name = f"prefill_attention_float32_bq32_bk32_bd64_wm4_wn1_hm0_dc{causal}_maskfloat32"
    both(routes, name, [np.zeros_like(q)], call)


# What torch's sources, which its wheel does not ship, register of the header's kernels.
REGISTERED = """
#include <c10/metal/indexing.h>
#include <c10/metal/special_math.h>
using namespace metal;
struct neg_functor {
  template <typename T> T operator()(const T x) { return T(-x); }
};
struct hardshrink_functor {
  template <typename T> T operator()(const T x, const T l) { return x >= -l && x <= l ? T(0) : x; }
};
struct fmax_functor {
  template <typename T> T operator()(const T a, const T b) { return c10::metal::max(a, b); }
};
struct add_alpha_functor {
  template <typename T> T operator()(const T a, const T b, const T alpha) {
    return a + c10::metal::mul(alpha, b);
  }
};
struct lt_functor {
  template <typename T> bool operator()(const T a, const T b) { return a < b; }
};
struct clamp_functor {
  template <typename T> T operator()(const T x, const T low, const T high) {
    return c10::metal::min(c10::metal::max(x, low), high);
  }
};
REGISTER_UNARY_OP(neg, float, float);
REGISTER_UNARY_OP(neg, half, half);
REGISTER_UNARY_OP(neg, long, long);
REGISTER_UNARY_ALPHA_OP(hardshrink, float, float, float);
REGISTER_BINARY_OP(fmax, float, float);
REGISTER_BINARY_OP(fmax, half, half);
REGISTER_BINARY_ALPHA_OP(add_alpha, float, float, float);
REGISTER_BINARY_CASTOUT_OP(lt, float, bool);
REGISTER_TERNARY_OP(clamp, float, float);
"""


@pytest.fixture(scope="module")
def registered(routes):
    return routes[0], metalwright.compile(REGISTERED, device="cpu", include_paths=[str(INCLUDE)])


def test_what_the_registration_macros_make_has_apples_names_and_arguments(registered):
    apple, ours = registered
    assert len(ours.kernel_names) > 60

    def arguments(library, name):
        # Apple's compiler writes some types as the source does: decltype(...).
        return [
            (a.name, a.index, a.access, None if "decltype" in a.type_name else a.type_name)
            for a in library.kernel(name).arguments
        ]

    for name in ours.kernel_names:
        for theirs, own in zip(arguments(apple, name), arguments(ours, name), strict=True):
            assert own[:3] == theirs[:3], name
            assert theirs[3] in (own[3], None), name


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("neg_dense", 1, lambda x: -x),
        ("hardshrink_dense", 1, lambda x: np.where(abs(x) <= 7, np.float32(0), x)),
        ("fmax_dense", 2, np.maximum),
        ("add_alpha_dense", 2, lambda a, b: a + np.float32(7) * b),
        ("clamp_dense", 3, lambda x, low, high: np.minimum(np.maximum(x, low), high)),
    ],
)
def test_kernels_that_the_registration_macros_make(registered, name, inputs, expected):
    arrays = [numbers(np.float32, 333) for _ in range(inputs)]
    more = {"neg": [333], "hardshrink": [np.float32(7)], "add_alpha": [np.float32(7)]}

    def call(kernel, out):
        threads = 84 if name == "neg_dense" else 333
        kernel(out, *arrays, *more.get(name.removesuffix("_dense"), []), threads=threads)

    types = {"hardshrink": 3, "add_alpha": 3}.get(name.removesuffix("_dense"), 2)
    (out,) = both(registered, name + "_float" * types, [np.zeros(333, np.float32)], call)
    np.testing.assert_allclose(out, expected(*arrays), rtol=1e-6, atol=1e-5)
