"""Turning what happened into evidence. What a worker says is read here, as foreign data."""

from __future__ import annotations

import math
from typing import Any

from pydantic import ValidationError

from metalwright.evaluation.compare import Finding
from metalwright.evaluation.model import (
    SAME_SPEED,
    Coverage,
    Diagnostic,
    Evidence,
    KernelUse,
    OutputErrors,
    Raised,
    Timing,
    Verdict,
    Weights,
)
from metalwright.evaluation.process import WorkerFailure
from metalwright.evaluation.timing import Block

_MAX_TEXT = 20_000
_MAX_ITEMS = 50

_VERDICTS = {
    "python-syntax": Verdict.COMPILE_ERROR,
    "no-model": Verdict.COMPILE_ERROR,
    "metal": Verdict.COMPILE_ERROR,
    "memory": Verdict.MEMORY_LIMIT,
    "metadata": Verdict.WRONG_METADATA,
}


def of_failure(failure: WorkerFailure, seed_index: int | None) -> Finding:
    """A worker that is gone."""
    return Finding(
        Verdict(failure.kind),
        Evidence(
            check="process",
            message=f"the candidate {failure.message}"
            if failure.kind == "crash"
            else failure.message,
            seed_index=seed_index,
            exit_status=failure.status if failure.signal_name is None else None,
            signal=failure.signal_name,
        ),
    )


def of_error(error: dict[str, Any], doing: str, seed_index: int | None) -> Finding:
    """An error that the candidate's worker has answered with."""
    kind, message = _text(error.get("kind")), _text(error.get("message"))
    # What is raised while the file is imported is a candidate that never came to be.
    default = Verdict.COMPILE_ERROR if doing.startswith("importing") else Verdict.LAUNCH_ERROR
    verdict = _VERDICTS.get(kind, default)
    raised = None
    if kind in ("raised", "metal", "memory", "python-syntax"):
        raised = Raised(
            type=_text(error.get("type")),
            message=message,
            code=_text(error.get("code")),
            traceback=tuple(_text(line) for line in _list(error.get("traceback"))),
        )
    if kind == "metal":
        message = "the Metal source does not compile"
    elif kind == "python-syntax":
        message = f"the candidate is not valid Python: {message}"
    elif raised is not None:
        first = message.splitlines()[0] if message else ""
        name = f"{raised.type} [{raised.code}]" if raised.code else raised.type
        message = f"{name} while {doing}" + (f": {first}" if first else "")
    return Finding(
        verdict,
        Evidence(
            check=_check_of(doing),
            message=message,
            seed_index=seed_index,
            raised=raised,
            diagnostics=tuple(_diagnostics(error.get("diagnostics"))),
        ),
    )


def read_weights(said: Any) -> Weights:
    """The candidate worker's account of the weights it could take over."""
    said = said if isinstance(said, dict) else {}
    copied = said.get("copied")
    return Weights(
        copied=copied if isinstance(copied, int) else 0,
        missing=tuple(_text(name) for name in _list(said.get("missing"))),
        extra=tuple(_text(name) for name in _list(said.get("extra"))),
        renamed={
            _text(name): _text(other) for name, other in _dictionary(said.get("renamed")).items()
        },
    )


def read_coverage(said: Any) -> Coverage:
    """The candidate worker's account of what one call consisted of."""
    said = _dictionary(said)
    kernels = []
    for row in map(_dictionary, _list(said.get("kernels"))):
        try:
            kernels.append(KernelUse.model_validate(row))
        except ValidationError:
            # A worker of ours writes no such thing.
            continue
    seconds, device = _seconds(said.get("seconds")), _seconds(said.get("device_seconds"))
    flops = said.get("library_flops")
    return Coverage(
        kernels=tuple(kernels),
        operators={
            _text(name)[:100]: count
            for name, count in _dictionary(said.get("operators")).items()
            if isinstance(count, int)
        },
        library_flops=flops if isinstance(flops, int) and flops >= 0 else 0,
        kernel_share=min(1.0, device / seconds) if seconds and device is not None else None,
    )


def read_answer(said: Any) -> str:
    """Which operator had the output without any kernel, by the worker's account."""
    return _text(_dictionary(said).get("answered_by"))[:100]


def read_block(said: Any) -> Block:
    """The candidate worker's account of a timed block."""
    said = said if isinstance(said, dict) else {}
    device, dispatches = said.get("device_seconds"), said.get("dispatches")
    return Block(
        worker_seconds=_seconds(said.get("seconds")) or 0.0,
        device_seconds=_seconds(device),
        dispatches=dispatches if isinstance(dispatches, int) and 0 <= dispatches < 2**53 else 0,
    )


def worse_of(left: OutputErrors, right: OutputErrors) -> OutputErrors:
    """The errors of one output over two draws."""
    return left.model_copy(
        update={
            name: _worse(getattr(left, name), getattr(right, name))
            for name in (
                "max_absolute",
                "tolerance_share",
                "gimlet_share",
                "derived_share",
                "unjudged",
                "reference_oracle",
                "candidate_oracle",
            )
        }
    )


def summary(finding: Finding | None, timing: Timing | None, noisy: bool = False) -> str:
    """The outcome in one sentence; of a noisy timing it gives no number."""
    if finding is not None:
        evidence = finding.evidence
        text = evidence.message
        if evidence.diagnostics:
            first = evidence.diagnostics[0]
            text += f": {first.file}:{first.line}:{first.column}: {first.message}"
        if evidence.worst is not None:
            worst = evidence.worst
            text += f"; worst at {list(worst.index)}: {worst.actual}, expected {worst.expected}"
        if evidence.inputs:
            text += f" (inputs: {evidence.inputs})"
        elif evidence.seed_index is not None:
            text += f" (inputs {evidence.seed_index + 1})"
        return text
    if timing is None:
        return "correct; not timed"
    if noisy:
        return "correct; the timing was too noisy for a number"
    ratio = timing.ratio.median
    if timing.ratio.low <= SAME_SPEED and timing.ratio.high >= 1 / SAME_SPEED:
        return "correct; as fast as eager, as far as can be told"
    return f"correct; {ratio:.3g} times as fast as eager"


def _diagnostics(value: Any) -> list[Diagnostic]:
    result = []
    for item in _list(value):
        try:
            result.append(Diagnostic.model_validate(item))
        except ValidationError:
            # A worker of ours writes no such thing; a candidate that does loses the line.
            continue
    return result


def _check_of(doing: str) -> str:
    for word, check in (("import", "load"), ("construct", "construct"), ("timed", "timing")):
        if word in doing:
            return check
    return "call"


def _worse(left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return right if left is None else left
    return left if math.isnan(left) else right if math.isnan(right) else max(left, right)


def _seconds(value: Any) -> float | None:
    if isinstance(value, (int, float)) and math.isfinite(value) and value >= 0:
        return float(value)
    return None


def _dictionary(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        return {}
    return dict(list(value.items())[: 4 * _MAX_ITEMS])


def _text(value: Any) -> str:
    return value[:_MAX_TEXT] if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value[:_MAX_ITEMS] if isinstance(value, list) else []
