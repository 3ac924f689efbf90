"""Describing which elements are wrong, and how: the part of the evidence that finds the mistake.

What is said is about positions, shares and factors; no expected value is in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

# Memory is filled with bytes of this value before a call (`metalwright.evaluation.poison`).
POISON_BYTE = 0x7F
_FEW = 6
_PERIODS = (2, 4, 8, 16, 32, 64, 128, 256)
_MOST = 0.98


def describe(expected: torch.Tensor, actual: torch.Tensor, wrong: torch.Tensor) -> Iterator[str]:
    """Sentences about the wrong elements. Values are float64 (or exact integers) of one shape."""
    flat = wrong.flatten()
    count = int(flat.sum())
    if not count or expected.is_complex():
        return
    yield f"{_percent(count / flat.numel())} of the elements are wrong"
    yield from _where(wrong, count)
    got = actual.flatten()[flat].to(torch.float64)
    want = expected.flatten()[flat].to(torch.float64)
    yield from _what(got, want, expected, actual)


def _where(wrong: torch.Tensor, count: int) -> Iterator[str]:
    if wrong.dim() >= 2:
        for dimension in range(wrong.dim()):
            others = [d for d in range(wrong.dim()) if d != dimension]
            hit = wrong.any(dim=others) if len(others) == 1 else _any(wrong, others)
            touched = hit.nonzero().flatten()
            size, used = wrong.shape[dimension], touched.numel()
            if used == size:
                continue
            first, last = int(touched[0]), int(touched[-1])
            if used <= _FEW:
                indices = ", ".join(map(str, touched.tolist()))
                yield f"only where index {dimension} is {indices} (of {size})"
            elif last - first + 1 == used:
                yield f"only where index {dimension} is {first} to {last} (of {size})"
            else:
                yield f"in {used} of {size} positions of index {dimension}"
    flat = wrong.flatten()
    places = flat.nonzero().flatten()
    first, last = int(places[0]), int(places[-1])
    if wrong.dim() < 2 and count < flat.numel() and last - first + 1 == count:
        yield f"one stretch, elements {first} to {last} of {flat.numel()}"
    if _FEW < count < flat.numel() // 2:
        found = [(period, torch.unique(places % period)) for period in _PERIODS]
        sparse = [(r.numel() / period, period, r) for period, r in found if r.numel() <= _FEW]
        if sparse and min(sparse, key=lambda entry: entry[:2])[0] <= 0.25:
            _, period, residues = min(sparse, key=lambda entry: entry[:2])
            yield f"only where the flat index modulo {period} is {_list(residues)}"


def _what(
    got: torch.Tensor, want: torch.Tensor, expected: torch.Tensor, actual: torch.Tensor
) -> Iterator[str]:
    size = got.numel()
    poison = torch.full((4,), POISON_BYTE, dtype=torch.uint8).view(torch.float32).double()
    for hit, text in (
        (got.isnan(), "are NaN"),
        (got.isinf(), "are infinite"),
        (got == 0, "are exactly 0"),
        ((got / poison).sub(1).abs() < 1e-6, "were never written"),
    ):
        part = float(hit.double().mean())
        if part > 0.01:
            yield f"{_percent(part)} of the wrong ones {text}"
    usable = got.isfinite() & want.isfinite()
    big = usable & (want.abs() > 0.1 * want[usable].square().mean().sqrt().nan_to_num())
    if int(big.sum()) >= min(_FEW, size):
        ratio = got[big] / want[big]
        factor = float(ratio.median())
        close = (ratio - factor).abs() < 1e-3 * abs(factor)
        if factor and abs(factor - 1) > 1e-2 and float(close.double().mean()) > _MOST:
            yield f"off by a constant factor of {factor:.6g}"
        offset = got[big] - want[big]
        middle = float(offset.median())
        near = (offset - middle).abs() < 1e-3 * abs(middle)
        if middle and float(near.double().mean()) > _MOST:
            yield "off by a constant summand"
    square = expected.dim() == 2 and expected.shape[0] == expected.shape[1] > 1
    if square and torch.allclose(actual.double(), expected.double().T, rtol=1e-3, atol=1e-5):
        yield "it is the transpose of what it should be"


def _any(wrong: torch.Tensor, dimensions: list[int]) -> torch.Tensor:
    for dimension in sorted(dimensions, reverse=True):
        wrong = wrong.any(dim=dimension)
    return wrong


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _list(values: torch.Tensor) -> str:
    return ", ".join(str(int(value)) for value in values)
