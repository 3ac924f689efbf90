"""Kernels that tinygrad's Metal renderer writes on Linux, with what it takes to run and check each.

No Metal device is involved: tinygrad schedules on its own PYTHON device, every kernel of the
schedule is rendered a second time as MSL, and running the schedule on the PYTHON device (an
interpreter of tinygrad's own instructions) gives the expected contents of the buffers.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

# Before tinygrad is imported: it opens a device as soon as a tensor is made.
os.environ["DEV"] = "PYTHON"
# An inherited debug or search setting would change the kernels.
for _name in ("BEAM", "NOOPT", "DEBUG", "TC", "TC_OPT", "NOLOCALS", "DEFAULT_FLOAT"):
    os.environ.pop(_name, None)

from tinygrad import Tensor, dtypes, nn  # noqa: E402
from tinygrad.codegen import do_linearize, full_rewrite_to_sink  # noqa: E402
from tinygrad.codegen.opt import tc  # noqa: E402
from tinygrad.engine.realize import run_linear  # noqa: E402
from tinygrad.helpers import Context, Target  # noqa: E402
from tinygrad.renderer.cstyle import CStyleLanguage, MetalRenderer  # noqa: E402
from tinygrad.uop.ops import Ops, ProgramInfo, UOp  # noqa: E402


@dataclass(frozen=True)
class TinygradKernel:
    """One rendered kernel with the buffers it runs on.

    `buffers[i]` is bound to buffer index i: raw bytes before the dispatch; `expected[i]` is its
    content afterwards for the indices that the kernel writes. `dtypes[i]` is NumPy's name, except
    "bfloat16". `threadgroups` and `group_size` count threadgroups and threads in x, y and z.
    """

    name: str
    function: str
    source: str
    dtypes: tuple[str, ...]
    buffers: tuple[bytes, ...]
    expected: dict[int, bytes]
    scalars: tuple[int, ...]
    threadgroups: tuple[int, int, int]
    group_size: tuple[int, int, int]


class LinuxMetalRenderer(MetalRenderer):
    """tinygrad's renderer for an Apple 9 GPU without the compiler, which only macOS has."""

    def __init__(self) -> None:
        CStyleLanguage.__init__(self, Target("METAL", "METAL", "Apple9"))
        self.tensor_cores = tc.metal
        self.compiler = None


Build = Callable[[], "Tensor | tuple[Tensor, ...]"]
CASES: dict[str, tuple[Build, dict[str, int]]] = {}


def case(name: str, build: Build, **context: int) -> None:
    """Register tensors whose schedule is rendered; `context` are tinygrad's own settings."""
    assert name not in CASES, name
    CASES[name] = (build, context)


class _Draws:
    """The generator behind `array`, seeded anew for each case by its name."""

    rng = np.random.default_rng(0)

    @classmethod
    def seed(cls, name: str) -> None:
        cls.rng = np.random.default_rng(zlib.crc32(name.encode()))


def array(*shape: int, low: float = -2.0, high: float = 2.0, dtype: Any = np.float32) -> Tensor:
    """Values in [low, high), realized on the PYTHON device; other ones at every call in a case."""
    rng = _Draws.rng
    if np.issubdtype(np.dtype(dtype), np.integer):
        return Tensor(rng.integers(int(low), int(high), shape).astype(dtype)).realize()
    return Tensor(rng.uniform(low, high, shape).astype(dtype)).realize()


def boolean(*shape: int) -> Tensor:
    return Tensor(_Draws.rng.random(shape) > 0.5).realize()


def cast(tensor: Tensor, dtype: Any) -> Tensor:
    """A realized tensor of a dtype that NumPy may not have."""
    return tensor.cast(dtype).realize()


def _cases() -> None:
    f32, f16, bf16 = dtypes.float32, dtypes.float16, dtypes.bfloat16
    x = lambda *s: array(*(s or (12, 20)))  # noqa: E731
    whole = lambda *s: cast(array(*s, low=-8, high=8, dtype=np.int32), bf16)  # noqa: E731

    for unary in (
        *("relu", "exp", "exp2", "log2", "sin", "cos", "sqrt", "sigmoid", "tanh", "gelu", "silu"),
        *("mish", "elu", "softplus", "hardswish", "abs", "floor", "ceil", "round", "trunc"),
        *("sign", "neg", "reciprocal", "square", "erf"),
    ):
        case(f"unary_{unary}", lambda u=unary: getattr(array(12, 20, low=0.1, high=3.0), u)())
    case("log_negative", lambda: x().log())
    case("rsqrt", lambda: array(40, low=0.5, high=4).rsqrt())
    case("isnan_isinf", lambda: ((x() / 0).isnan(), (x() / 0).isinf()))
    case("add_scalar", lambda: x() + 1.5)
    case("broadcast", lambda: x(12, 1) * x(1, 20))
    case("power", lambda: array(40, low=0.5, high=2) ** array(40))
    case("where", lambda: (x() > 0).where(x(), -1.0))
    case("maximum_minimum", lambda: (x().maximum(0.25), x().minimum(-0.25)))
    case("compare", lambda: (x() < 0.5, x() != 0, x() == x()))
    case("logical", lambda: (boolean(33) & boolean(33), boolean(33) ^ True, ~boolean(33)))
    case("clip_odd_size", lambda: array(1, 7, 3).clip(-0.5, 0.5))
    case("one_element", lambda: array(1) * 2)
    case("large", lambda: array(64, 257) * 3 + 1)

    for name, dtype in (
        ("int8", np.int8),
        ("int16", np.int16),
        ("int32", np.int32),
        ("int64", np.int64),
    ):
        case(
            f"arithmetic_{name}",
            lambda d=dtype: (
                array(50, low=-60, high=60, dtype=d) * 2 - array(50, low=1, high=9, dtype=d)
            ),
        )
    for name, dtype in (
        ("uint8", np.uint8),
        ("uint16", np.uint16),
        ("uint32", np.uint32),
        ("uint64", np.uint64),
    ):
        case(
            f"bits_{name}",
            lambda d=dtype: (
                (array(50, low=0, high=200, dtype=d) & 0x5A)
                | (array(50, low=0, high=9, dtype=d) << 2)
            ),
        )
    case(
        "integer_division",
        lambda: (
            array(50, low=-99, high=99, dtype=np.int32) // array(50, low=1, high=9, dtype=np.int32),
            array(50, low=-99, high=99, dtype=np.int32) % array(50, low=1, high=9, dtype=np.int32),
        ),
    )
    case("shift_right", lambda: array(50, low=0, high=99999, dtype=np.uint32) >> 3)
    case("constant_division", lambda: array(50, low=0, high=9999, dtype=np.int32) // 7)
    for name, target in (
        ("half", f16),
        ("int", dtypes.int32),
        ("uchar", dtypes.uint8),
        ("bool", dtypes.bool),
        ("long", dtypes.int64),
    ):
        case(f"cast_float_to_{name}", lambda t=target: (array(48, low=0, high=50)).cast(t))
    case("cast_bfloat16", lambda: array(48).cast(bf16))
    case("bitcast", lambda: array(48).bitcast(dtypes.uint32) ^ 0x80000000)
    case("half_arithmetic", lambda: cast(array(48), f16) * 2 + cast(array(48), f16))
    case("half_exp", lambda: cast(array(48), f16).exp())
    case("bfloat16_arithmetic", lambda: cast(array(48), bf16) * 2 + 1)

    case("sum_all", lambda: x(30, 40).sum())
    case("sum_rows", lambda: x(30, 40).sum(1))
    case("sum_columns", lambda: x(30, 40).sum(0))
    case("sum_large_grouped", lambda: x(4, 2048).sum(1))
    case("sum_grouped_all", lambda: x(16384).sum())
    case("mean_middle", lambda: x(6, 16, 5).mean(1))
    case("maximum_of_rows", lambda: x(30, 40).max(1))
    case("minimum_of_all", lambda: x(30, 40).min())
    case("product", lambda: array(9, 16, low=0.8, high=1.2).prod(1))
    case("any_all", lambda: (boolean(20, 6).any(1), boolean(20, 6).all(0)))
    case("argmax", lambda: x(20, 30).argmax(1))
    case("variance", lambda: x(20, 32).var(1))
    case("standard_deviation", lambda: x(20, 32).std(0))
    case("sum_half", lambda: cast(x(20, 32), f16).sum(1))
    case("sum_integers", lambda: array(20, 32, low=-9, high=9, dtype=np.int32).sum(1))
    case("softmax", lambda: x(20, 32).softmax())
    case("log_softmax", lambda: x(20, 32).log_softmax())
    case("logsumexp", lambda: x(20, 32).logsumexp(1))
    case("layernorm", lambda: x(20, 32).layernorm())
    case("cumulative_sum", lambda: x(6, 40).cumsum(1))
    case("cumulative_maximum", lambda: x(6, 40).cummax(1)[0])
    case("sort", lambda: x(16).sort()[0])

    case("matmul_float", lambda: x(64, 64) @ x(64, 64))
    case("matmul_ragged", lambda: x(17, 23) @ x(23, 9))
    case("matmul_batched", lambda: x(3, 16, 24) @ x(3, 24, 8))
    case(
        "matmul_half_to_float", lambda: cast(x(16, 16), f16).matmul(cast(x(16, 16), f16), dtype=f32)
    )
    case("matmul_half", lambda: cast(x(16, 16), f16) @ cast(x(16, 16), f16))
    # Small whole numbers, exact: the PYTHON device rounds products to bfloat16, Metal does not.
    case("matmul_bfloat16", lambda: whole(16, 16).matmul(whole(16, 16), dtype=f32))
    case("matmul_bias_relu", lambda: (x(16, 16) @ x(16, 24) + x(24)).relu())
    case("matmul_without_tensor_cores", lambda: x(32, 32) @ x(32, 32), TC=0)
    case("matmul_shaped_padding", lambda: x(30, 20) @ x(20, 28), TC_OPT=2)
    case("matrix_vector", lambda: x(64, 128) @ x(128))
    case(
        "dot_integers",
        lambda: (
            array(8, 16, low=-9, high=9, dtype=np.int32)
            @ array(16, 8, low=-9, high=9, dtype=np.int32)
        ),
    )
    case("outer_product", lambda: x(20, 1) @ x(1, 30))
    case(
        "attention",
        lambda: x(1, 2, 16, 8).scaled_dot_product_attention(x(1, 2, 16, 8), x(1, 2, 16, 8)),
    )

    case("convolution", lambda: x(1, 3, 10, 10).conv2d(x(8, 3, 3, 3)))
    case(
        "convolution_padded_strided",
        lambda: x(1, 4, 9, 9).conv2d(x(8, 4, 3, 3), padding=1, stride=2).relu(),
    )
    case("convolution_depthwise", lambda: x(1, 4, 8, 8).conv2d(x(4, 1, 3, 3), groups=4))
    case("convolution_1d", lambda: x(1, 4, 20).conv2d(x(6, 4, 3)))
    case("convolution_transposed", lambda: x(1, 3, 5, 5).conv_transpose2d(x(3, 4, 3, 3)))
    case("convolution_tensor_cores", lambda: x(1, 8, 10, 10).conv2d(x(16, 8, 3, 3)))
    case("max_pool", lambda: x(1, 3, 12, 12).max_pool2d((2, 2)))
    case("average_pool", lambda: x(1, 3, 12, 12).avg_pool2d((3, 3)))

    case("permute", lambda: x(4, 5, 6).permute(2, 0, 1).contiguous())
    case("pad", lambda: x(5, 6).pad(((1, 2), (0, 3))).contiguous())
    case("shrink_flip", lambda: x(8, 9)[1:6, ::-1].contiguous())
    case("strided_slice", lambda: x(30)[::3].contiguous())
    case("concatenate", lambda: x(4, 5).cat(x(3, 5)).contiguous())
    case("stack", lambda: Tensor.stack(x(4, 5), array(4, 5, low=0)).contiguous())
    case("expand", lambda: x(1, 6).expand(4, 6).contiguous())
    case("gather", lambda: x(9, 20).gather(1, array(9, 5, low=0, high=20, dtype=np.int32)))
    case("index_rows", lambda: x(9, 4)[array(7, low=0, high=9, dtype=np.int32)])
    case("embedding", lambda: x(20, 8)[array(3, 4, low=0, high=20, dtype=np.int32)])
    case("one_hot", lambda: array(12, low=0, high=6, dtype=np.int32).one_hot(6).cast(f32))
    case("scatter", lambda: x(4, 9).scatter(1, array(4, 2, low=0, high=9, dtype=np.int32), 5.0))
    case("triangular", lambda: (x(9, 9).tril(), x(9, 9).triu(1)))
    case("arange", lambda: Tensor.arange(40).contiguous())
    case("interpolate", lambda: x(1, 2, 5, 5).interpolate((9, 7)))
    case("roll", lambda: x(5, 8).roll(3, 1))
    case("random", lambda: (Tensor.manual_seed(3), Tensor.rand(64))[1])  # type: ignore[func-returns-value]
    case(
        "cross_entropy", lambda: x(16, 10).cross_entropy(array(16, low=0, high=10, dtype=np.int32))
    )
    case("batch_norm", _batch_norm)
    case("group_norm", lambda: nn.GroupNorm(2, 6)(x(2, 6, 5, 5)))
    case("rms_norm", lambda: nn.RMSNorm(24)(x(5, 24)))
    case("multilayer_perceptron", lambda: ((x(8, 16) @ x(16, 32)).gelu() @ x(32, 8)).softmax())
    case("unoptimised_softmax", lambda: x(9, 33).softmax(), NOOPT=1)


def _batch_norm() -> Tensor:
    layer = nn.BatchNorm2d(4)
    return layer(array(2, 4, 5, 5))


_cases()


def render() -> Iterator[TinygradKernel]:
    """Render every case, run it on the PYTHON device, and yield its distinct kernels.

    A kernel whose text was seen before (under another case) is not repeated.
    """
    renderer = LinuxMetalRenderer()
    seen: set[str] = set()
    for name, (build, context) in CASES.items():
        _Draws.seed(name)
        with Context(**context):
            tensors = build()
            first, *others = tensors if isinstance(tensors, tuple) else (tensors,)
            linear, variables = first.contiguous().linear_with_vars(
                *(t.contiguous() for t in others)
            )
            for index, call in enumerate(linear.src):
                kernel = None
                if call.src[0].op is Ops.SINK:
                    kernel = _render_call(renderer, f"{name}_{index}", call, variables, seen)
                before = [_content(u.buffer) for u in call.src[1:]] if kernel else []
                run_linear(UOp(Ops.LINEAR, src=(call,)), variables)
                if kernel is None:
                    continue
                info, source, function = kernel
                seen.add(source)
                bound = [call.src[1 + i].buffer for i in info.globals]
                global_size, local_size = info.launch_dims(variables)
                yield TinygradKernel(
                    name=f"{name}_{index}",
                    function=function,
                    source=source,
                    dtypes=tuple(_dtype_name(b.dtype) for b in bound),
                    buffers=tuple(before[i] for i in info.globals),
                    expected={
                        p: _content(b)
                        for p, (i, b) in enumerate(zip(info.globals, bound, strict=True))
                        if i in info.outs
                    },
                    scalars=tuple(v for v in info.vals(variables) if v is not None),
                    threadgroups=_three(global_size),
                    group_size=_three(local_size or (1, 1, 1)),
                )


def _render_call(
    renderer: LinuxMetalRenderer, name: str, call: UOp, variables: dict[str, int], seen: set[str]
) -> tuple[ProgramInfo, str, str] | None:
    ast = call.src[0]
    sink = full_rewrite_to_sink(ast, renderer, optimize=ast.tag is None)
    info = ProgramInfo.from_sink(sink, renderer.target)
    program = do_linearize(renderer, UOp(Ops.PROGRAM, src=(sink,), arg=info), sink)
    source = renderer.render(list(program.src[1].src))
    if source in seen:
        return None
    function = re.search(r"kernel void (\w+)\(", source)
    assert function is not None, f"{name}: no kernel in the rendered text"
    return info, source, function[1]


def _content(buffer: Any) -> bytes:
    return bytes(buffer.ensure_allocated().as_memoryview())


def _dtype_name(dtype: Any) -> str:
    if dtype == dtypes.bfloat16:
        return "bfloat16"
    return np.dtype(dtype.fmt).name


def _three(size: tuple[int, ...]) -> tuple[int, int, int]:
    x, y, z = (*size, 1, 1, 1)[:3]
    return int(x), int(y), int(z)
