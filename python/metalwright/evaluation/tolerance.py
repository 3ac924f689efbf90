"""How far an output may be from what it should be: derived, not fixed.

Allowed at an element, o being the float64 oracle, r the reference at its own precision and o' the
oracle on inputs moved by one rounding error:

    8 max|r - o|  +  4 max|o' - o|  +  c eps (|o| + rms(o))

The maxima and the root mean square are those of the row (the last dimension, or everything where
that is short). The first term is the reference's own error; the second is what rounding the inputs
does to the result, which is large where a problem is ill-conditioned and nobody can be exact; the
third is a floor for a reference that happens to be exact, with c growing with the square root of
the reduction length, as the rounding errors of a sum do.

Where all inputs are one number they do not grow so: a sum in order rounds the same way at every
step, n times, and a normalisation multiplies what is left by hundreds. There the inputs are moved
by that many roundings (`constant_roundings`), else a verdict would depend on the number drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

REFERENCE_FACTOR = 8.0
CONDITION_FACTOR = 4.0
# Rounding errors that a correct kernel may have where the reference has none; exp and its like are
# off by some units in the last place, half types are rounded once or twice.
_FLOOR = {torch.float16: 4.0, torch.bfloat16: 4.0}
_FLOOR_ELSE = 64.0
_FLOOR_PER_ROOT = {torch.float16: 0.25, torch.bfloat16: 0.25}
_FLOOR_PER_ROOT_ELSE = 4.0
_SHORT_ROW = 64
# Where the reference itself is off by this share of the scale it proves nothing.
_HOPELESS = 0.05
# Fixed tolerances, absolute and relative at once, by the dtype of the expected output.
_KERNELBENCH_HALF, _KERNELBENCH_SINGLE = 1e-2, 1e-4
GIMLET = 1e-2


@dataclass(frozen=True)
class Expectation:
    """What is expected of one output. `oracle` and `moved` are None where there is no oracle."""

    reference: torch.Tensor
    oracle: torch.Tensor | None = None
    moved: torch.Tensor | None = None
    reduction: float = 1.0
    """How many numbers make one element of the output."""


def constant_roundings(layout: Mapping[str, Any]) -> float:
    """For inputs of this layout that are all one number: a quarter of the longest dimension.

    n additions in order are off by at most n/2 epsilons of the sum (Higham 2002, section 4.2); the
    second term already has a factor of 4 and moves by a whole epsilon. Beyond 4096 terms nobody
    should add in order.
    """
    tensors = layout["tensors"]
    if any(tensor["dtype"] in ("float16", "bfloat16") for tensor in tensors):
        return 1.0  # their own rounding is what counts: sums of them are taken in float32
    dimensions = [n for tensor in tensors for n in tensor["shape"]]
    return max(1.0, min(max(dimensions, default=1), 4096) / 4)


def fixed_tolerance(dtype: torch.dtype) -> float:
    """KernelBench's: 1e-2 for half types, 1e-4 for wider ones, 0 for exact types."""
    if dtype in (torch.float16, torch.bfloat16):
        return _KERNELBENCH_HALF
    return _KERNELBENCH_SINGLE if dtype.is_floating_point or dtype.is_complex else 0.0


def allowed_error(expected: Expectation) -> torch.Tensor:
    """The largest error that passes, in float64, per element (of floating-point outputs).

    Without an oracle it is KernelBench's tolerance around the reference. Infinite where the
    reference itself proves nothing.
    """
    dtype = expected.reference.dtype
    reference = wide(expected.reference)
    if expected.oracle is None:
        tolerance = fixed_tolerance(dtype)
        return tolerance * (1 + _finite(reference.abs()))
    oracle = wide(expected.oracle)
    scale = _finite(oracle.abs()) + _row(oracle.abs(), _rms)
    error = (reference - oracle).abs()
    if all_finite(error):
        # So are both: the usual case, in half the passes over the memory.
        hopeless = error > _HOPELESS * scale
    else:
        hopeless = reference.isfinite() != oracle.isfinite()
        hopeless |= oracle.isfinite() & ~(error <= _HOPELESS * scale) & (error > 0)
    root = max(1.0, expected.reduction) ** 0.5
    floor = _FLOOR.get(dtype, _FLOOR_ELSE) + _FLOOR_PER_ROOT.get(dtype, _FLOOR_PER_ROOT_ELSE) * root
    allowed = floor * torch.finfo(dtype).eps * scale
    allowed = allowed + REFERENCE_FACTOR * _row(torch.where(hopeless, 0.0, error), _max)
    if expected.moved is not None:
        moved = wide(expected.moved)
        way = (moved - oracle).abs()
        allowed = allowed + CONDITION_FACTOR * _row(way, _max)
        if not all_finite(way):
            hopeless |= moved.isfinite() != oracle.isfinite()
    return torch.where(hopeless, torch.inf, allowed)


def scale_of(expected: Expectation) -> torch.Tensor:
    """What an error is compared with to call it small: |o| + rms(o), in float64."""
    values = wide(expected.reference if expected.oracle is None else expected.oracle).abs()
    return _finite(values) + _row(values, _rms)


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in the widest type that holds its values."""
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    if tensor.dtype in (torch.int64, torch.uint64):
        # float64 is exact up to 2**53 only; unequal integers must not become equal.
        return tensor
    return tensor.to(torch.float64)


def _row(values: torch.Tensor, reduce: object) -> torch.Tensor:
    """A statistic of each element's row, in the shape of `values` (or one that broadcasts)."""
    assert callable(reduce)
    if values.numel() == 0:
        return values
    values = _finite(values)
    if values.dim() < 2 or values.shape[-1] < _SHORT_ROW:
        result: torch.Tensor = reduce(values.reshape(1, -1)).reshape(())
        return result.expand(values.shape)
    result = reduce(values.reshape(-1, values.shape[-1]))
    return result.reshape(*values.shape[:-1], 1).expand(values.shape)


def _rms(rows: torch.Tensor) -> torch.Tensor:
    return rows.square().mean(-1).sqrt()


def _max(rows: torch.Tensor) -> torch.Tensor:
    return rows.amax(-1)


def all_finite(values: torch.Tensor) -> bool:
    """Whether there is neither infinity nor NaN, in one pass and without memory of its own."""
    if values.is_complex():
        values = values.abs()
    if values.numel() == 0 or not values.is_floating_point():
        return True
    # aminmax() hands a NaN on.
    return all(bool(bound.isfinite()) for bound in values.aminmax())


def _finite(values: torch.Tensor) -> torch.Tensor:
    if all_finite(values):
        return values
    return torch.where(values.isfinite(), values, 0.0)
