"""An evaluation in words: for a model's next attempt, and for people.

Nothing here holds a seed; of expected values only the two elements of a mismatch are shown, drawn
under a seed that is never used again.
"""

from __future__ import annotations

from collections.abc import Iterator

from metalwright.evaluation.model import (
    Coverage,
    Evaluation,
    Evidence,
    Flag,
    Roofline,
    Timing,
    Verdict,
)

_FLAGS = {
    Flag.NOISY_TIMING: "The timing was too noisy for a number.",
    Flag.LIBRARY_ONLY: "The work was left to torch: no kernel of its own was needed for it.",
    Flag.SHAPE_SPECIALISED: "It is right for the problem's own sizes only.",
    Flag.CONTIGUOUS_ONLY: "It is wrong for inputs that are not contiguous: call .contiguous().",
    Flag.BEYOND_ROOFLINE: "It is faster than the device can do this work: a person has to look.",
}


def for_model(evaluation: Evaluation) -> str:
    """What a next attempt needs to know."""
    summary = evaluation.summary
    if not evaluation.correct:
        summary = f"{evaluation.verdict.value}. {summary}"
    lines = [f"Verdict: {summary}"]
    for evidence in evaluation.evidence:
        lines += _evidence(evidence)
    lines += [_FLAGS[flag] for flag in evaluation.flags]
    for evidence in evaluation.remarks:
        place = f" ({evidence.inputs})" if evidence.inputs else ""
        lines.append(f"Noted{place}: {evidence.message}")
    if evaluation.sanitizer:
        lines += ["Sanitiser, on these inputs:", *evaluation.sanitizer]
    if evaluation.coverage is not None:
        lines += _coverage(evaluation.coverage)
    if evaluation.timing is not None and evaluation.verdict is Verdict.CORRECT:
        noisy = Flag.NOISY_TIMING in evaluation.flags
        lines += _timing(evaluation.timing, evaluation.roofline, noisy)
    return "\n".join(lines)


def for_people(evaluation: Evaluation) -> str:
    """What was looked at, line by line, after what a model is told."""
    lines = [
        for_model(evaluation),
        "",
        f"Device: {evaluation.device.kind} {evaluation.device.name}",
    ]
    for output in evaluation.outputs:
        lines.append(
            f"{output.output}: largest difference {output.max_absolute:.3g}; "
            f"{100 * output.derived_share:.3g} % of the derived tolerance, "
            f"{100 * output.tolerance_share:.3g} % of KernelBench's, "
            f"{100 * output.gimlet_share:.3g} % of Gimlet's"
        )
    for check in evaluation.checks:
        note = f": {check.note}" if check.note else ""
        lines.append(f"  {check.outcome:8} {check.name}{note}")
    loose = {name: how for name, how in evaluation.isolation.items() if how != "enforced"}
    for name, how in loose.items():
        lines.append(f"  not confined: {name}: {how}")
    return "\n".join(lines)


def _evidence(evidence: Evidence) -> Iterator[str]:
    for diagnostic in evidence.diagnostics[:12]:
        yield (
            f"{diagnostic.file}:{diagnostic.line}:{diagnostic.column}: "
            f"{diagnostic.severity}: {diagnostic.message}"
        )
        if diagnostic.source_line:
            yield from (f"    {diagnostic.source_line}", f"    {diagnostic.caret}")
    if evidence.raised is not None:
        yield f"{evidence.raised.type}: {evidence.raised.message[:2000]}"
        yield from (f"    {line}" for line in evidence.raised.traceback)
    if evidence.mismatches:
        yield f"{evidence.output}: {evidence.mismatches} of {evidence.elements} elements are wrong:"
        yield from (f"  {line}" for line in evidence.pattern)
    for name, element in (("First", evidence.first), ("Worst", evidence.worst)):
        if element is not None:
            yield (
                f"{name} at {list(element.index)}: {element.actual}, expected {element.expected}"
            )
    if evidence.signal:
        yield f"It was ended by {evidence.signal}."


def _coverage(coverage: Coverage) -> Iterator[str]:
    for kernel in coverage.kernels:
        launch = " x ".join(map(str, kernel.threads)) or "?"
        group = " x ".join(map(str, kernel.group_size)) or "?"
        text = f"Kernel {kernel.name}: {kernel.dispatches} dispatches, {launch} threads in groups "
        text += f"of {group} (at most {kernel.max_threads_per_threadgroup})"
        if kernel.threadgroup_memory:
            text += f", {kernel.threadgroup_memory} bytes of threadgroup memory"
        if kernel.seconds:
            text += f", {1e6 * kernel.seconds:.3g} us"
        yield text + "."
    if coverage.operators:
        names = ", ".join(f"{name} ({count})" for name, count in coverage.operators.items())
        yield f"torch operators called: {names[:500]}."
    if coverage.library_flops:
        yield f"{coverage.library_flops} floating-point operations were left to torch."


def _timing(timing: Timing, roofline: Roofline | None, noisy: bool) -> Iterator[str]:
    yield (
        f"{1e6 * timing.candidate_seconds.median:.4g} us per call, eager "
        f"{1e6 * timing.baseline_seconds.median:.4g} us."
    )
    if noisy:
        return
    ratio = timing.ratio
    yield (
        f"{ratio.median:.3g} times as fast as eager "
        f"(95 % interval {ratio.low:.3g} to {ratio.high:.3g})."
    )
    if timing.best_baseline != "eager" and timing.speedup is not None:
        best = timing.speedup
        yield (
            f"{best.median:.3g} times as fast as the fastest correct baseline, "
            f"{timing.best_baseline} ({best.low:.3g} to {best.high:.3g})."
        )
    for baseline in timing.baselines:
        if not baseline.correct:
            yield f"The baseline {baseline.name} does not count: {baseline.reason}"
    if timing.cold_ratio is not None:
        yield f"With cold caches: {timing.cold_ratio.median:.3g} times."
    if timing.device_seconds is not None:
        yield (
            f"Its {timing.dispatches:g} dispatches take {1e6 * timing.device_seconds:.4g} us on "
            "the device clock; the rest is Python, torch and memory allocation."
        )
    if roofline is not None and roofline.achieved_bandwidth is not None:
        yield (
            f"{roofline.achieved_bandwidth / 1e9:.3g} of {roofline.bandwidth / 1e9:.3g} GB/s; "
            f"the least time for this work is {1e6 * roofline.floor_seconds:.3g} us."
        )
        if roofline.achieved_flop_rate is not None:
            yield (
                f"{roofline.achieved_flop_rate / 1e9:.3g} of "
                f"{roofline.flop_rate / 1e9:.3g} GFLOP/s."
            )
