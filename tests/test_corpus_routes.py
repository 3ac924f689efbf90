"""MLX's kernels by two routes: its sources through our front end, and Apple's AIR of the same.

The headers in MLX's wheel are templates; what is instantiated here has its compiled twin in
``mlx.metallib`` of the same wheel. The two give the same bits.
"""

import numpy as np
import pytest

from corpora.apple_library import mlx

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = [pytest.mark.native, pytest.mark.slow]

FOLDER = "mlx/backend/metal/kernels"
HEADERS = (
    "utils.h", "unary_ops.h", "unary.h", "binary_ops.h", "binary.h", "arange.h", "softmax.h",
    "logsumexp.h", "sort.h", "scan.h", "reduce_utils.h", "reduction/reduce_all.h",
    "reduction/reduce_row.h",
)  # fmt: skip
UNARY = ("Exp", "Log", "Sin", "Cos", "Tanh", "Sqrt", "Rsqrt", "Erf", "Sigmoid", "Expm1", "Log1p",
         "Abs", "Floor", "Round", "Square", "Sign")  # fmt: skip
BINARY = ("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum", "Power", "ArcTan2")
SCANS = {"sum": ("CumSum", 4), "prod": ("CumProd", 4), "max": ("CumMax", 4)}
REDUCTIONS = {"sum": "Sum", "prod": "Prod", "max": "Max", "min": "Min"}

KERNELS = {
    **{f"v_{op}float32float32": ("unary_v", f"float, float, {op}") for op in UNARY},
    **{f"vv_{op}float32": ("binary_vv", f"float, float, {op}") for op in BINARY},
    "arangefloat32": ("arange", "float"),
    "block_softmax_float32": ("softmax_single_row", "float"),
    "looped_softmax_float32": ("softmax_looped", "float"),
    "block_softmax_float16": ("softmax_single_row", "half"),
    "block_logsumexp_float32": ("logsumexp", "float"),
    "c_block_sort_float32_float32_bn64_tn4": ("block_sort", "float, float, false, 64, 4"),
    "carg_block_sort_float32_uint32_bn64_tn4": ("block_sort", "float, uint, true, 64, 4"),
    **{
        f"contig_scan_inclusive_{name}_float32_float32": (
            "contiguous_scan",
            f"float, float, {op}<float>, {reads}, true, false",
        )
        for name, (op, reads) in SCANS.items()
    },
    **{
        f"all_reduce_{name}float32": ("all_reduce", f"float, float, {op}<float>")
        for name, op in REDUCTIONS.items()
    },
    **{
        f"row_reduce_simple_{name}float32": ("row_reduce_simple", f"float, float, {op}<float>")
        for name, op in REDUCTIONS.items()
    },
}


@pytest.fixture(scope="module")
def routes():
    """Apple's library and ours."""
    try:
        path, include = mlx()
    except RuntimeError as reason:
        pytest.skip(str(reason))
    source = "#include <metal_stdlib>\nusing namespace metal;\n"
    source += "".join(f'#include "{FOLDER}/{header}"\n' for header in HEADERS)
    for name, (function, arguments) in KERNELS.items():
        source += f'instantiate_kernel("{name}", {function}, {arguments})\n'
    ours = metalwright.compile(source, device="cpu", include_paths=[str(include)])
    return metalwright.load_metallib(path, device="cpu"), ours


NUMBERS = np.random.default_rng(11)


def call_of(name: str) -> tuple[tuple[object, ...], np.ndarray, dict[str, object]]:
    """Arguments with None for the output, the output, and the grid."""
    rows, columns = 6, 500
    x = NUMBERS.uniform(0.05, 3, (rows, columns)).astype(np.float32)
    out = np.zeros_like(x)
    per_row = {"threads": (128, rows, 1), "group_size": (128, 1, 1)}
    if name.startswith("v_"):
        return (x, None, x.size), out, {"threads": x.size}
    if name.startswith("vv_"):
        return (x, x[::-1].copy(), None, x.size), out, {"threads": x.size}
    if name.startswith("arange"):
        return (1.5, 0.25, None), out, {"threads": x.size}
    if "softmax" in name or "logsumexp" in name:
        group = 1024 if name.startswith("looped") else 128
        grid = {"threads": (group * rows, 1, 1), "group_size": (group, 1, 1)}
        if "logsumexp" in name:
            out = np.zeros(rows, np.float32)
        elif name.endswith("float16"):
            x, out = x.astype(np.float16), out.astype(np.float16)
        return (x, None, columns), out, grid
    if "block_sort" in name:
        x = x[:, :250].copy()
        out = np.zeros(x.shape, np.uint32 if name.startswith("carg") else np.float32)
        grid = {"threads": (64, rows, 1), "group_size": (64, 1, 1)}
        return (x, None, 250, 1, 1, 250, 250), out, grid
    if name.startswith("contig_scan"):
        return (x, None, columns), out, per_row
    if name.startswith("all_reduce"):
        grid = {"threads": (256, 1, 1), "group_size": (256, 1, 1)}
        return (x, None, x.size, x.size), np.zeros(1, np.float32), grid
    assert name.startswith("row_reduce_simple")
    return (x, None, columns, rows), np.zeros(rows, np.float32), per_row


@pytest.mark.parametrize("name", KERNELS)
def test_both_routes_give_the_same_bits(routes, name):
    arguments, out, grid = call_of(name)
    results = []
    for library in routes:
        result = out.copy()
        given = [result if argument is None else argument for argument in arguments]
        library.kernel(name)(*given, **grid)
        results.append(result)
    assert np.any(results[0] != 0)
    np.testing.assert_array_equal(*results)
