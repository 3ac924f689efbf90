"""Comparing outputs: structure, shape, dtype, values. Runs in the judge, on data it has copied."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from metalwright.evaluation.exchange import tensors_of
from metalwright.evaluation.model import Evidence, Mismatch, OutputErrors, Verdict
from metalwright.evaluation.pattern import describe
from metalwright.evaluation.tolerance import (
    GIMLET,
    Expectation,
    all_finite,
    allowed_error,
    fixed_tolerance,
    scale_of,
    wide,
)

# An error below this share of the values' own size is a matter of precision, not of the formula:
# bfloat16 has 8 bits, and the worst of many elements lies some deviations out.
_PRECISION_SHARE = 0.04


@dataclass(frozen=True)
class Finding:
    """A check that failed."""

    verdict: Verdict
    evidence: Evidence


@dataclass(frozen=True)
class Wanted:
    """Everything that is expected of an output: trees of the same structure, or None."""

    expected: Any
    oracle: Any = None
    moved: Any = None
    reduction: Callable[[int], float] = lambda _: 1.0
    """Reduction length by the number of elements of an output."""

    def tensors(self) -> list[tuple[str, Expectation]]:
        """By the name of the output."""
        oracles = dict(tensors_of(self.oracle, "output"))
        moved = dict(tensors_of(self.moved, "output"))
        return [
            (
                name,
                Expectation(
                    reference,
                    oracles.get(name),
                    moved.get(name),
                    self.reduction(reference.numel()),
                ),
            )
            for name, reference in tensors_of(self.expected, "output")
        ]


def compare_metadata(expected: Any, actual: Any, seed_index: int) -> Finding | None:
    """Whether the output has the reference's structure, shapes and dtypes, and equal plain data."""
    found = _difference(expected, actual, "output")
    if found is None:
        return None
    check, where, message = found
    return Finding(
        Verdict.WRONG_METADATA,
        Evidence(check=check, message=message, output=where, seed_index=seed_index),
    )


def compare_values(
    wanted: Wanted, actual: Any, seed_index: int
) -> tuple[list[OutputErrors], Finding | None]:
    """Measures every output tensor; the finding is the first tensor over its tolerance.

    The metadata must agree already. An output that is wrong outweighs one that is imprecise.
    """
    measured = []
    findings = []
    theirs = dict(tensors_of(actual, "output"))
    with _one_thread():
        for name, expected in wanted.tensors():
            errors, finding = compare_tensor(name, expected, theirs[name], seed_index)
            measured.append(errors)
            if finding is not None:
                findings.append(finding)
    findings.sort(key=lambda found: found.verdict is Verdict.REDUCED_PRECISION)
    return measured, findings[0] if findings else None


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps torch's thread pool out of comparisons.

    Its threads spin for a while after their work, on cores where something may be timed next, and
    on a busy machine they wait for each other: sixty small operations took seconds.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def compare_tensor(
    name: str, expected: Expectation, actual: torch.Tensor, seed_index: int
) -> tuple[OutputErrors, Finding | None]:
    """Compares two tensors of one shape and dtype.

    An element passes if it is within `allowed_error` of the oracle or of the reference, or both are
    NaN, or both are the same infinity. Integers and booleans have to be equal to the reference or
    to the oracle, except where the oracle itself changes when its inputs are moved by one rounding.
    """
    reference, candidate = wide(expected.reference), wide(actual)
    exact = not (reference.is_floating_point() or reference.is_complex())
    exact = exact or expected.reference.dtype not in _FLOATING
    error = _distance(candidate, reference)
    if exact:
        share, nearest = _exact_share(expected, candidate, error), error
        allowed = None
    else:
        allowed = allowed_error(expected)
        nearest = error
        if expected.oracle is not None:
            nearest = torch.fmin(error, _distance(candidate, wide(expected.oracle)))
        share = nearest / allowed
        if not all_finite(share):
            share = torch.where(nearest == 0, 0.0, share)
            # Infinity is allowed around what proves nothing, and NaN is no distance.
            share = torch.where(allowed.isinf(), 0.0, share.nan_to_num(math.inf, math.inf))
    wrong = ~(share <= 1)
    count = int(wrong.sum())
    tolerance = fixed_tolerance(expected.reference.dtype)
    errors = OutputErrors(
        output=name,
        dtype=str(expected.reference.dtype).removeprefix("torch."),
        shape=tuple(expected.reference.shape),
        tolerance=tolerance,
        max_absolute=_largest(error),
        tolerance_share=_fixed_share(error, reference, tolerance),
        gimlet_share=_fixed_share(error, reference, GIMLET if tolerance else 0.0),
        derived_share=_largest(share),
        unjudged=0 if allowed is None else int(allowed.isinf().sum()),
        reference_oracle=_oracle_error(reference, expected.oracle),
        candidate_oracle=_oracle_error(candidate, expected.oracle),
    )
    if not count:
        return errors, None
    imprecise = not exact and _is_imprecise(expected, nearest, wrong)
    first = int(wrong.flatten().to(torch.uint8).argmax())
    worst = int(torch.where(wrong, share, -1.0).flatten().nan_to_num(math.inf).argmax())
    message = f"{name}: {count} of {wrong.numel()} elements differ"
    if imprecise:
        message += " by more than the precision of the problem explains"
    elif not exact:
        message += " by more than rounding explains"
    lost = int((candidate.isnan() & ~reference.isnan()).sum())
    if lost:
        message += f"; {lost} are NaN where the reference is not"
    evidence = Evidence(
        check="precision" if imprecise else "values",
        message=message,
        output=name,
        seed_index=seed_index,
        first=_mismatch(first, expected.reference, actual, error),
        worst=_mismatch(worst, expected.reference, actual, error),
        mismatches=count,
        elements=wrong.numel(),
        pattern=tuple(describe(reference, candidate, wrong)),
    )
    verdict = Verdict.REDUCED_PRECISION if imprecise else Verdict.WRONG_VALUES
    return errors, Finding(verdict, evidence)


_FLOATING = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.complex64, torch.complex128),
)


def _exact_share(
    expected: Expectation, candidate: torch.Tensor, error: torch.Tensor
) -> torch.Tensor:
    """0 where an exact element is right, infinity where it is not."""
    right = error == 0
    if expected.oracle is not None and expected.oracle.shape == expected.reference.shape:
        oracle = wide(expected.oracle)
        right |= oracle == candidate
        moved = oracle if expected.moved is None else wide(expected.moved)
        # Here a rounding error decides, and any answer is as good as another.
        right |= (oracle != wide(expected.reference)) | (moved != oracle)
    return torch.where(right, 0.0, math.inf)


def _is_imprecise(expected: Expectation, error: torch.Tensor, wrong: torch.Tensor) -> bool:
    """Whether what is wrong is so little that lower precision inside explains it."""
    if expected.oracle is None:
        return False
    share = error[wrong] / scale_of(expected)[wrong]
    return bool((share <= _PRECISION_SHARE).all())


def _fixed_share(error: torch.Tensor, reference: torch.Tensor, tolerance: float) -> float:
    """The largest error as a share of a fixed tolerance, absolute and relative at once."""
    if not tolerance:
        return _largest(torch.where(error == 0, 0.0, math.inf))
    scale = tolerance * (1 + reference.abs())
    if all_finite(scale):
        return _largest(error / scale)
    # An infinite expectation would allow anything; only the same infinity is right.
    share = torch.where(scale.isfinite(), error / scale, math.inf)
    return _largest(torch.where(error == 0, 0.0, share))


def _difference(expected: Any, actual: Any, where: str) -> tuple[str, str, str] | None:
    """The first difference that is not one of tensor values: check, place and message."""
    if isinstance(expected, torch.Tensor) and isinstance(actual, torch.Tensor):
        if expected.shape != actual.shape:
            shapes = f"{tuple(actual.shape)}, expected {tuple(expected.shape)}"
            return "shape", where, f"{where} has the shape {shapes}"
        if expected.dtype != actual.dtype:
            return (
                "dtype",
                where,
                f"{where} has the dtype {actual.dtype}, expected {expected.dtype}",
            )
        return None
    if type(expected) is not type(actual):
        kinds = f"a {type(actual).__name__}, expected a {type(expected).__name__}"
        return "structure", where, f"{where} is {kinds}"
    if isinstance(expected, (list, tuple)):
        if len(expected) != len(actual):
            counts = f"{len(actual)} items, expected {len(expected)}"
            return "structure", where, f"{where} has {counts}"
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            if found := _difference(left, right, f"{where}[{index}]"):
                return found
        return None
    if isinstance(expected, dict):
        if list(expected) != list(actual) and set(expected) != set(actual):
            keys = f"{sorted(map(str, actual))}, expected {sorted(map(str, expected))}"
            return "structure", where, f"{where} has the keys {keys}"
        for key, left in expected.items():
            if found := _difference(left, actual[key], f"{where}[{key!r}]"):
                return found
        return None
    if isinstance(expected, float):
        same = math.isclose(expected, actual, rel_tol=1e-4, abs_tol=1e-4)
        same = same or (math.isnan(expected) and math.isnan(actual))
    else:
        same = expected == actual
    return None if same else ("structure", where, f"{where} is {actual!r}, expected {expected!r}")


def _distance(actual: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """|actual - expected| in float64; 0 where both are NaN or equal, NaN where only one is NaN."""
    if not (expected.is_floating_point() or expected.is_complex()):
        difference = (actual.to(torch.float64) - expected.to(torch.float64)).abs()
        return torch.where(actual == expected, 0.0, difference.clamp(min=1.0))
    distance = (actual - expected).abs()
    if all_finite(distance):
        return distance
    same = (actual == expected) | (actual.isnan() & expected.isnan())
    return torch.where(same, 0.0, distance)


def _largest(values: torch.Tensor) -> float:
    if values.numel() == 0:
        return 0.0
    # max() gives NaN if there is one: the honest answer.
    return float(values.max())


def _oracle_error(values: torch.Tensor, oracle: torch.Tensor | None) -> float | None:
    if oracle is None or not (values.is_floating_point() or values.is_complex()):
        return None
    if oracle.shape != values.shape:
        return None
    return _largest(_distance(values, oracle.to(values.dtype)))


def _mismatch(
    flat: int, expected: torch.Tensor, actual: torch.Tensor, error: torch.Tensor
) -> Mismatch:
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), expected.shape))
    return Mismatch(
        index=index,
        expected=_show(expected[index]),
        actual=_show(actual[index]),
        error=float(error[index]),
    )


def _show(value: torch.Tensor) -> str:
    number = value.item()
    return f"{number:.9g}" if isinstance(number, float) else str(number)
