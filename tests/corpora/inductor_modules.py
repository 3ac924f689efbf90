"""Small modules that between them make TorchInductor's Metal back end emit all kinds of kernels.

Each case names a module and its inputs. What the generated kernels must compute is what the module
itself computes in torch on the CPU, except for random cases, which carry their own check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Check = Callable[[Any, tuple[Any, ...]], None]


@dataclass(frozen=True)
class Case:
    """One module to render: `build` returns it with its positional inputs; both are seeded.

    `rtol` and `atol` bound the difference from torch; `check(output, inputs)` replaces the
    comparison where the output is random.
    """

    name: str
    build: Callable[[], tuple[nn.Module, tuple[Any, ...]]]
    train: bool = False
    rtol: float = 1e-4
    atol: float = 1e-5
    check: Check | None = field(default=None)

    def make(self) -> tuple[nn.Module, tuple[Any, ...]]:
        """Return the module (in eval mode unless `train`) and its inputs, always the same."""
        torch.manual_seed(0)
        module, inputs = self.build()
        return module.train(self.train), inputs


class Function(nn.Module):
    """A function as a module without parameters."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


CASES: list[Case] = []


def add(name: str, build: Callable[[], tuple[nn.Module, tuple[Any, ...]]], **options: Any) -> None:
    CASES.append(Case(name, build, **options))


def function(name: str, fn: Callable[..., Any], *make: Callable[[], Any], **options: Any) -> None:
    add(name, lambda: (Function(fn), tuple(m() for m in make)), **options)


def module(
    name: str, make_module: Callable[[], nn.Module], *make: Callable[[], Any], **options: Any
) -> None:
    add(name, lambda: (make_module(), tuple(m() for m in make)), **options)


# ------------------------------------------------------------------------------ inputs


def normal(*shape: int, dtype: torch.dtype = torch.float32, scale: float = 1.0) -> Any:
    return lambda: (torch.randn(*shape) * scale).to(dtype)


def uniform(low: float, high: float, *shape: int, dtype: torch.dtype = torch.float32) -> Any:
    return lambda: (torch.rand(*shape) * (high - low) + low).to(dtype)


def integers(low: int, high: int, *shape: int, dtype: torch.dtype = torch.int64) -> Any:
    return lambda: torch.randint(low, high, shape, dtype=dtype)


def booleans(*shape: int) -> Any:
    return lambda: torch.rand(*shape) > 0.5


HALF = {"rtol": 2e-3, "atol": 2e-3}
BFLOAT = {"rtol": 2e-2, "atol": 2e-2}

# ------------------------------------------------------------------------------ pointwise

for _name in (
    "relu",
    "gelu",
    "silu",
    "mish",
    "elu",
    "selu",
    "celu",
    "softplus",
    "softsign",
    "tanhshrink",
    "hardshrink",
    "softshrink",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "logsigmoid",
    "leaky_relu",
    "relu6",
    "tanh",
    "sigmoid",
):
    function(f"activation_{_name}", getattr(F, _name), normal(7, 130, scale=3.0))

function("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), normal(1000, scale=3.0))
function("glu", lambda x: F.glu(x, -1), normal(16, 64))
module("prelu", lambda: nn.PReLU(8), normal(2, 8, 9, 9))
function("threshold", lambda x: F.threshold(x, 0.1, 20.0), normal(1000))

function(
    "trigonometric",
    lambda x: (x.sin(), x.cos(), x.tan(), x.atan(), x.sinh(), x.cosh(), x.asinh()),
    uniform(-3, 3, 999),
)
function(
    "inverse_trigonometric",
    lambda x: (x.asin(), x.acos(), x.atanh(), (x + 2).acosh()),
    uniform(-0.99, 0.99, 999),
)
function(
    "exponentials",
    lambda x: (x.exp(), x.exp2(), x.expm1(), x.log(), x.log2(), x.log10(), x.log1p(), x.sqrt()),
    uniform(0.01, 5, 999),
)
function(
    "reciprocals", lambda x: (x.rsqrt(), x.reciprocal(), 1 / (x + 1), x**-2), uniform(0.1, 5, 999)
)
function(
    "rounding",
    lambda x: (x.floor(), x.ceil(), x.round(), x.trunc(), x.frac(), x.sign(), x.abs(), -x),
    normal(999, scale=10.0),
)
function(
    "powers",
    lambda x, y: (x**y, x**2, x**3, x**0.5, torch.pow(2.0, y)),
    uniform(0.1, 4, 500),
    normal(500),
)
function(
    "float_division",
    lambda x, y: (
        x / y,
        torch.remainder(x, y),
        torch.fmod(x, y),
        torch.div(x, y, rounding_mode="floor"),
        torch.div(x, y, rounding_mode="trunc"),
    ),
    normal(500, scale=10.0),
    uniform(0.5, 3, 500),
)
function(
    "comparisons",
    lambda x, y: (x < y, x <= y, x > y, x >= y, x == y, x != y),
    integers(0, 4, 300, dtype=torch.int32),
    integers(0, 4, 300, dtype=torch.int32),
)
function(
    "logical",
    lambda a, b: (a & b, a | b, a ^ b, ~a, a.logical_and(b), a.logical_xor(b)),
    booleans(333),
    booleans(333),
)
function(
    "where_masked_fill",
    lambda m, x, y: torch.where(m, x, y).masked_fill(y > 1, float("-inf")),
    booleans(40, 40),
    normal(40, 40),
    normal(40, 40),
)
function(
    "clamp_min_max",
    lambda x, y: (x.clamp(-0.5, 0.5), x.clamp_min(0), torch.maximum(x, y), torch.minimum(x, y)),
    normal(500),
    normal(500),
)
function(
    "nan_and_infinity",
    lambda x: (
        (x / 0).isnan(),
        (x / 0).isinf(),
        (x / 0).isfinite(),
        torch.nan_to_num(x / 0, nan=1.0, posinf=2.0, neginf=-2.0),
    ),
    lambda: torch.tensor([1.0, -1.0, 0.0, 2.0] * 50),
)
function(
    "integer_arithmetic",
    lambda a, b: (a + b, a - b, a * b, a // b, a % b, torch.div(a, b, rounding_mode="trunc"), -a),
    integers(-100, 100, 500),
    integers(1, 17, 500),
)
function(
    "integer_bits",
    lambda a, b: (a & b, a | b, a ^ b, ~a, a << b, a >> b),
    integers(0, 1000, 500, dtype=torch.int32),
    integers(0, 8, 500, dtype=torch.int32),
)
function(
    "small_integers",
    lambda a, b: (a + b, a * b, a.float() * b, a.to(torch.int16) - b.to(torch.int16)),
    integers(0, 200, 500, dtype=torch.uint8),
    integers(0, 200, 500, dtype=torch.uint8),
)
function(
    "signed_bytes_and_shorts",
    lambda a, b: (a + a, a.abs(), b * 3, b.clamp(-5, 5), a.to(torch.int32) * b),
    integers(-100, 100, 500, dtype=torch.int8),
    integers(-1000, 1000, 500, dtype=torch.int16),
)
function(
    "casts",
    lambda x: (
        x.to(torch.int32),
        x.to(torch.int64),
        x.half(),
        x.bfloat16(),
        x.bool(),
        x.to(torch.int8),
        x.abs().to(torch.uint8),
    ),
    normal(400, scale=30.0),
)
function("bool_to_numbers", lambda b: (b.float() * 2, b.int() + 1, b.long().sum()), booleans(300))
function("half_pointwise", lambda x: F.silu(x * 2 + 1) * x, normal(777, dtype=torch.half), **HALF)
function(
    "bfloat16_pointwise", lambda x: F.gelu(x) + x * 3, normal(777, dtype=torch.bfloat16), **BFLOAT
)
function(
    "mixed_precision",
    lambda h, f, b: (h * f, b + f, h.float() * b.float()),
    normal(300, dtype=torch.half),
    normal(300),
    normal(300, dtype=torch.bfloat16),
    **HALF,
)
function(
    "lerp_addcmul",
    lambda x, y, z: (
        torch.lerp(x, y, 0.3),
        torch.addcmul(x, y, z, value=2),
        torch.addcdiv(x, y, z),
    ),
    normal(300),
    normal(300),
    uniform(1, 2, 300),
)
function(
    "hypot_atan2_copysign",
    lambda x, y: (torch.hypot(x, y), torch.atan2(x, y), torch.copysign(x, y), x.signbit()),
    normal(300),
    normal(300),
)
function(
    "logaddexp_xlogy",
    lambda x, y: (torch.logaddexp(x, y), torch.xlogy(x, y.abs()), torch.logit(torch.sigmoid(x))),
    normal(300),
    normal(300),
)
function("broadcast_add", lambda x, y, z: (x + y) * z, normal(4, 1, 7), normal(5, 1), normal(1, 7))
function("scalar_zero_dim", lambda x, s: x * s + s, normal(5, 5), lambda: torch.tensor(1.5))
function("single_element", lambda x: x * 2 + 1, normal(1))
function("large_pointwise", lambda x: torch.tanh(x) * x + 1, normal(1 << 18))
function("five_dimensions", lambda x: x.permute(4, 2, 0, 3, 1) * 2, normal(2, 3, 4, 5, 6))

# ------------------------------------------------------------------------------ special functions

function("erf_family", lambda x: (x.erf(), x.erfc(), torch.erfinv(x / 5)), uniform(-3, 3, 999))
function(
    "gamma_family",
    lambda x: (x.lgamma(), x.digamma(), torch.polygamma(1, x)),
    uniform(0.2, 8, 500),
    rtol=2e-3,
    atol=1e-4,
)
function(
    "bessel_i",
    lambda x: (
        torch.special.i0(x),
        torch.special.i0e(x),
        torch.special.i1(x),
        torch.special.i1e(x),
    ),
    uniform(-4, 4, 500),
)
function(
    "bessel_jy",
    lambda x: (
        torch.special.bessel_j0(x),
        torch.special.bessel_j1(x),
        torch.special.bessel_y0(x),
        torch.special.bessel_y1(x),
    ),
    uniform(0.5, 12, 500),
    rtol=1e-3,
    atol=1e-4,
)
function(
    "bessel_modified_k",
    lambda x: (
        torch.special.modified_bessel_k0(x),
        torch.special.modified_bessel_k1(x),
        torch.special.scaled_modified_bessel_k0(x),
        torch.special.spherical_bessel_j0(x),
    ),
    uniform(0.5, 6, 500),
    rtol=1e-3,
    atol=1e-5,
)
function(
    "zeta",
    lambda x, y: torch.special.zeta(x, y),
    uniform(1.5, 6, 300),
    uniform(0.5, 4, 300),
    rtol=1e-3,
)
function(
    "incomplete_gamma",
    lambda a, x: (torch.special.gammainc(a, x), torch.special.gammaincc(a, x)),
    uniform(0.5, 5, 300),
    uniform(0.1, 8, 300),
    rtol=1e-3,
    atol=1e-5,
)
function(
    "polynomials",
    lambda x, n: (
        torch.special.chebyshev_polynomial_t(x, n),
        torch.special.chebyshev_polynomial_u(x, n),
        torch.special.hermite_polynomial_h(x, n),
        torch.special.hermite_polynomial_he(x, n),
    ),
    uniform(-0.9, 0.9, 200),
    lambda: torch.randint(0, 5, (200,)).float(),
    rtol=1e-3,
    atol=1e-3,
)
function(
    "entropy_and_sinc",
    lambda x: (torch.special.entr(x), torch.sinc(x), torch.special.ndtr(x)),
    uniform(0.01, 2, 300),
)

# ------------------------------------------------------------------------------ reductions

function("sum_all", lambda x: x.sum(), normal(33, 65))
function("sum_rows", lambda x: x.sum(-1), normal(33, 65))
function("sum_columns", lambda x: x.sum(0), normal(33, 65))
function("sum_middle", lambda x: x.sum(1), normal(5, 33, 9))
function("sum_multistage", lambda x: x.sum(-1), normal(3, 5000), atol=1e-3)
function("sum_multistage_large", lambda x: (x * x).sum(), normal(100_000), rtol=1e-4)
function("sum_integers", lambda x: (x.sum(), x.sum(0)), integers(-9, 9, 40, 50))
function("mean_two_dimensions", lambda x: x.mean((2, 3)), normal(2, 5, 13, 17))
function("mean_half", lambda x: x.mean(-1), normal(9, 300, dtype=torch.half), **HALF)
function("max_min_values", lambda x: (x.amax(-1), x.amin(0), x.max(), x.min()), normal(20, 70))
function("argmax_argmin", lambda x: (x.argmax(-1), x.argmin(0), x.argmax()), normal(20, 70))
function("argmax_multistage", lambda x: (x.argmax(-1), x.argmin(-1)), normal(3, 3000))
function("max_with_index", lambda x: x.max(-1), normal(20, 70))
function("product", lambda x: (x.prod(-1), x.prod()), uniform(0.8, 1.2, 9, 40))
function("any_all", lambda b: (b.any(-1), b.all(-1), b.any()), lambda: torch.rand(30, 9) > 0.8)
function("variance", lambda x: (x.var(-1), x.std(0), x.var(-1, unbiased=False)), normal(20, 70))
function("variance_multistage", lambda x: torch.var_mean(x, -1), normal(4, 4096))
function("logsumexp", lambda x: torch.logsumexp(x, -1), normal(20, 70))
function("norms", lambda x: (x.norm(dim=-1), x.norm(p=1), F.normalize(x, dim=0)), normal(20, 70))
function("softmax_last", lambda x: x.softmax(-1), normal(9, 100))
function("softmax_first", lambda x: x.softmax(0), normal(100, 9))
function("softmax_multistage", lambda x: x.softmax(-1), normal(4, 3000))
function("log_softmax_half", lambda x: x.log_softmax(-1), normal(9, 100, dtype=torch.half), **HALF)
function("softmin_middle", lambda x: F.softmin(x, 1), normal(4, 37, 5))

# ------------------------------------------------------------------------------ normalisation

module("layer_norm", lambda: nn.LayerNorm(96), normal(10, 96))
module("layer_norm_two_dimensions", lambda: nn.LayerNorm((12, 13)), normal(4, 12, 13))
module("layer_norm_multistage", lambda: nn.LayerNorm(2048), normal(3, 2048))
module("layer_norm_half", lambda: nn.LayerNorm(96).half(), normal(10, 96, dtype=torch.half), **HALF)
module("rms_norm", lambda: nn.RMSNorm(96), normal(10, 96))
module("group_norm", lambda: nn.GroupNorm(4, 16), normal(2, 16, 9, 9))
module("instance_norm", lambda: nn.InstanceNorm2d(6, affine=True), normal(2, 6, 11, 11))
module("batch_norm_eval", lambda: nn.BatchNorm2d(6), normal(2, 6, 11, 11))
module("batch_norm_train", lambda: nn.BatchNorm2d(6), normal(4, 6, 11, 11), train=True)
function("local_response_norm", lambda x: F.local_response_norm(x, 3), normal(2, 8, 6, 6))

# ------------------------------------------------------------------------------ losses

function("cross_entropy", F.cross_entropy, normal(32, 10), integers(0, 10, 32))
function(
    "cross_entropy_smoothed",
    lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1, reduction="none"),
    normal(32, 10),
    integers(0, 10, 32),
)
function("mse_and_l1", lambda x, y: (F.mse_loss(x, y), F.l1_loss(x, y)), normal(64), normal(64))
function(
    "huber_smooth_l1",
    lambda x, y: (F.huber_loss(x, y), F.smooth_l1_loss(x, y)),
    normal(64),
    normal(64),
)
function(
    "kl_divergence",
    lambda x, y: F.kl_div(x.log_softmax(-1), y.softmax(-1), reduction="batchmean"),
    normal(16, 20),
    normal(16, 20),
)
function(
    "binary_cross_entropy_logits",
    F.binary_cross_entropy_with_logits,
    normal(64),
    lambda: (torch.rand(64) > 0.5).float(),
)
function("cosine_similarity", F.cosine_similarity, normal(16, 40), normal(16, 40))
function(
    "triplet_margin",
    F.triplet_margin_loss,
    normal(16, 40),
    normal(16, 40),
    normal(16, 40),
)
function(
    "hinge",
    lambda x, y: torch.clamp(1 - x * y, min=0).mean(),
    normal(64),
    lambda: torch.randn(64).sign(),
)

# ------------------------------------------------------------------------------ indexing

module("embedding", lambda: nn.Embedding(50, 24), integers(0, 50, 6, 7))
module("embedding_padding", lambda: nn.Embedding(50, 24, padding_idx=0), integers(0, 50, 40))
function("gather", lambda x, i: x.gather(1, i), normal(9, 20), integers(0, 20, 9, 5))
function("index_select", lambda x, i: x.index_select(0, i), normal(30, 8), integers(0, 30, 11))
function(
    "advanced_index",
    lambda x, i, j: x[i, j] * 2,
    normal(9, 20),
    integers(0, 9, 15),
    integers(0, 20, 15),
)
function("negative_index", lambda x, i: x[i], normal(9, 20), integers(-9, 9, 15))
function(
    "scatter_add",
    lambda x, i, s: x.scatter_add(0, i, s),
    normal(10, 8),
    integers(0, 10, 40, 8),
    normal(40, 8),
)
function(
    "index_add",
    lambda x, i, s: x.index_add(0, i, s),
    normal(10, 8),
    integers(0, 10, 40),
    normal(40, 8),
)
function(
    "index_put_accumulate",
    lambda x, i, s: x.index_put((i,), s, accumulate=True),
    normal(10, 8),
    integers(0, 10, 40),
    normal(40, 8),
)
function(
    "scatter_add_half",
    lambda i, s: torch.zeros(10, dtype=torch.half).scatter_add(0, i, s),
    integers(0, 10, 40),
    normal(40, dtype=torch.half),
    rtol=1e-2,
    atol=2e-2,
)
function(
    "scatter_add_integers",
    lambda i, s: torch.zeros(10, dtype=torch.int32).scatter_add(0, i, s),
    integers(0, 10, 40),
    integers(-5, 5, 40, dtype=torch.int32),
)
function(
    "scatter_add_long",
    lambda i, s: torch.zeros(10, dtype=torch.int64).scatter_add(0, i, s),
    integers(0, 10, 40),
    integers(-5, 5, 40),
)
function(
    "scatter_values",
    lambda x, i: x.scatter(1, i, 3.0),
    normal(9, 20),
    lambda: torch.stack([torch.randperm(20)[:4] for _ in range(9)]),
)
function("one_hot", lambda i: F.one_hot(i, 12).float(), integers(0, 12, 20))
function("triangular", lambda x: (x.tril(), x.triu(1)), normal(19, 19))
function("roll_flip", lambda x: (x.roll(3, 1), x.flip(0)), normal(8, 11))
function("slices", lambda x: x[1:, ::2] + x[:-1, 1::2], normal(9, 20))
function(
    "slice_scatter", lambda x, y: torch.slice_scatter(x, y, 0, 2, 6), normal(8, 4), normal(4, 4)
)
function("repeat_interleave_tile", lambda x: x.repeat(2, 3) + 1, normal(4, 5))
function("strided_view", lambda x: x.t().reshape(-1) * 2, normal(12, 7))
function("unfold_windows", lambda x: x.unfold(1, 4, 2).sum(-1), normal(3, 20))
function("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2) * 2, normal(2, 8, 5, 5))
function("diagonal_trace", lambda x: (x.diagonal() * 2, x.trace()), normal(9, 9))
function("arange_meshgrid", lambda x: x + torch.arange(20, device=x.device) * 0.5, normal(3, 20))

# ------------------------------------------------------------------------------ shape

function("pad_constant", lambda x: F.pad(x, (1, 2, 3, 0), value=0.5), normal(2, 5, 6))
function("pad_reflect", lambda x: F.pad(x, (2, 1, 1, 2), mode="reflect"), normal(2, 3, 6, 7))
function("pad_replicate", lambda x: F.pad(x, (2, 1), mode="replicate"), normal(2, 3, 7))
function("concatenate", lambda x, y: torch.cat([x, y * 2, x + 1], 1), normal(4, 5), normal(4, 3))
function("stack", lambda x, y: torch.stack([x, y], -1) * 2, normal(4, 5), normal(4, 5))
function("split_and_add", lambda x: sum(x.chunk(3, -1)), normal(4, 12))
function("max_pool", lambda x: F.max_pool2d(x, 3, 2, 1), normal(2, 3, 12, 12))
function("average_pool", lambda x: F.avg_pool2d(x, 3, 2, 1), normal(2, 3, 12, 12))
function("average_pool_3d", lambda x: F.avg_pool3d(x, 2), normal(1, 2, 6, 6, 6))
function("adaptive_average_pool", lambda x: F.adaptive_avg_pool2d(x, (3, 4)), normal(2, 3, 12, 13))
function("upsample_nearest", lambda x: F.interpolate(x, scale_factor=2.0), normal(2, 3, 6, 7))
function(
    "upsample_bilinear",
    lambda x: F.interpolate(x, size=(11, 9), mode="bilinear", align_corners=False),
    normal(2, 3, 6, 7),
)
function(
    "upsample_bicubic",
    lambda x: F.interpolate(x, scale_factor=2.0, mode="bicubic", align_corners=False),
    normal(1, 2, 6, 6),
    atol=1e-4,
)
function("cumulative_sum", lambda x: (x * 2).cumsum(1) + 1, normal(6, 40), atol=1e-4)
function("cumulative_product", lambda x: (x + 0).cumprod(1) * 2, uniform(0.9, 1.1, 6, 40))
function("cumulative_max", lambda x: (x * 2).cummax(1)[0] + 1, normal(6, 40))
function(
    "sort_and_topk", lambda x: ((x * 2).sort(-1)[0] + 1, (x + 1).topk(3, -1)[0] * 2), normal(6, 40)
)

# ------------------------------------------------------------------------------ random


def _check_dropout(output: Any, inputs: tuple[Any, ...]) -> None:
    kept = output != 0
    assert 0.6 < kept.float().mean() < 0.9, "a quarter of the elements is to be dropped"
    torch.testing.assert_close(output[kept], (inputs[0] / 0.75)[kept])


def _check_uniform(output: Any, inputs: tuple[Any, ...]) -> None:
    assert output.min() >= 0
    assert output.max() < 1
    assert abs(output.mean() - 0.5) < 0.05
    assert output.unique().numel() > output.numel() * 0.9


def _check_normal(output: Any, inputs: tuple[Any, ...]) -> None:
    assert abs(output.mean()) < 0.1
    assert abs(output.std() - 1) < 0.1


def _check_integers(output: Any, inputs: tuple[Any, ...]) -> None:
    assert output.dtype is torch.int64
    assert output.min() == 3
    assert output.max() == 9


module(
    "dropout_train",
    lambda: nn.Dropout(0.25),
    uniform(1, 2, 64, 64),
    train=True,
    check=_check_dropout,
)
function("random_uniform", lambda x: torch.rand_like(x), normal(64, 64), check=_check_uniform)
function("random_normal", lambda x: torch.randn_like(x), normal(64, 64), check=_check_normal)
function(
    "random_integers",
    lambda x: torch.randint(3, 10, (1000,), device=x.device),
    normal(4),
    check=_check_integers,
)

# ------------------------------------------------------------------------------ library calls

module("linear_gelu", lambda: nn.Sequential(nn.Linear(32, 48), nn.GELU()), normal(10, 32))
module(
    "mlp",
    lambda: nn.Sequential(
        nn.Linear(32, 64), nn.ReLU(), nn.LayerNorm(64), nn.Linear(64, 10), nn.Softmax(-1)
    ),
    normal(16, 32),
)
module(
    "convolution_relu",
    lambda: nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()),
    normal(2, 3, 12, 12),
)
module(
    "convolution_norm_pool",
    lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.Hardswish(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(200, 5),
    ),
    normal(2, 3, 12, 12),
)
module(
    "transposed_convolution",
    lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2), nn.Tanh()),
    normal(2, 4, 6, 6),
)
module("convolution_1d", lambda: nn.Sequential(nn.Conv1d(4, 6, 3), nn.SiLU()), normal(2, 4, 30))
module(
    "depthwise_convolution",
    lambda: nn.Sequential(nn.Conv2d(6, 6, 3, groups=6), nn.ReLU6()),
    normal(2, 6, 9, 9),
)
function(
    "matmul_scale_residual",
    lambda x, y: (x @ y) * 0.5 + x.sum(-1, keepdim=True),
    normal(4, 9, 16),
    normal(4, 16, 12),
)
function(
    "attention",
    lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    normal(2, 4, 16, 8),
    normal(2, 4, 16, 8),
    normal(2, 4, 16, 8),
)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        self.register_buffer("mask", torch.tril(torch.ones(64, 64)).bool(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (
            p.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            for p in self.project_in(x).chunk(3, -1)
        )
        scores = q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5
        scores = scores.masked_fill(~self.mask[:t, :t], float("-inf"))
        out = scores.softmax(-1) @ v
        result: Tensor = self.project_out(out.transpose(1, 2).reshape(b, t, c))
        return result


class TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + x)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        s = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(F.silu(self.reduce(s))))


class Outputs(nn.Module):
    """Nested outputs, one of them a view of the input and one not a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(7))

    def forward(self, x: Tensor) -> dict[str, Any]:
        y = x * self.scale
        return {"scaled": y, "pair": (y.sum(), [x.t(), y > 0]), "rank": 2, "nothing": None}


class Counter(nn.Module):
    """Changes a buffer in place, as running statistics do."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        self.total.add_(x.sum(0))
        return x + self.total


module("transformer_block", lambda: TransformerBlock(32, 4), normal(2, 12, 32))
module("residual_block", lambda: ResidualBlock(6), normal(2, 6, 9, 9))
module("squeeze_excite", lambda: SqueezeExcite(8), normal(2, 8, 7, 7))
module("nested_outputs", Outputs, normal(5, 7))
module("buffer_updated_in_place", Counter, normal(4, 6))
function(
    "swiglu", lambda x, w, v: F.silu(x @ w) * (x @ v), normal(8, 16), normal(16, 24), normal(16, 24)
)
function(
    "rotary_embedding",
    lambda x, c, s: torch.cat(
        [x[..., :8] * c - x[..., 8:] * s, x[..., 8:] * c + x[..., :8] * s], -1
    ),
    normal(2, 4, 10, 16),
    normal(10, 8),
    normal(10, 8),
)
module("recurrent_cell", lambda: nn.GRUCell(12, 16), normal(5, 12), normal(5, 16))
