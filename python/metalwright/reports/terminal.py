"""The table and the lines that a run ends with on a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from metalwright.evaluation.model import Evaluation, Verdict
from metalwright.reports.summary import (
    error_text,
    interval_text,
    ratio_text,
    seconds_text,
    summarise,
)

# Below these widths columns are left out rather than folded into unreadable stripes.
_WIDE = 110
_MEDIUM = 72

_STYLES = {
    Verdict.CORRECT: "green",
    Verdict.PROBLEM_ERROR: "magenta",
    Verdict.GENERATOR_ERROR: "magenta",
}


def result_table(
    evaluations: Sequence[Evaluation], width: int, shrunk: Collection[str] = ()
) -> Table:
    """One row per problem; how many columns depends on the terminal's width in characters.

    `shrunk` are the names of problems that ran at smaller sizes than given: their rows say so.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    columns = [("problem", "left"), ("verdict", "left"), ("ratio", "right")]
    if width >= _MEDIUM:
        columns[2:2] = [("eager", "right"), ("candidate", "right")]
    if width >= _WIDE:
        columns[2:2] = [("max error", "right")]
        columns += [("95 % interval", "right"), ("kernels", "right"), ("device", "left")]
    for name, side in columns:
        fold = "fold" if name == "problem" else "ellipsis"
        table.add_column(
            name,
            justify="right" if side == "right" else "left",
            no_wrap=name != "problem",
            overflow="fold" if fold == "fold" else "ellipsis",
        )
    for evaluation in evaluations:
        cells = _cells(evaluation)
        if evaluation.problem in shrunk:
            cells["problem"].append(" (shrunk)", style="yellow")
        table.add_row(*(cells[name] for name, _ in columns))
    return table


def result_line(evaluation: Evaluation) -> Text:
    """What is said as soon as a problem is done."""
    text = Text()
    text.append(evaluation.problem, style="bold")
    text.append("  ")
    text.append(evaluation.verdict.value, style=verdict_style(evaluation.verdict))
    timing = evaluation.timing
    if evaluation.correct and timing is not None:
        text.append(f"  {ratio_text(evaluation)} ({interval_text(timing.ratio)})")
        text.append(f"  eager {seconds_text(timing.baseline_seconds.median)}")
        text.append(f", candidate {seconds_text(timing.candidate_seconds.median)}")
    elif not evaluation.correct:
        text.append(f"  {evaluation.summary.splitlines()[0]}")
    return text


def summary_lines(evaluations: Sequence[Evaluation], planned: int) -> list[str]:
    """What the table amounts to, in sentences; rich markup is escaped."""
    if not evaluations:
        return [f"0 of {planned} problems done."]
    summary = summarise(evaluations)
    lines = []
    if summary.problems < planned:
        lines.append(f"{summary.problems} of {planned} problems done.")
    text = f"{summary.correct} of {summary.problems} correct, {summary.faster} faster than eager"
    if summary.mean_of_correct is not None and summary.mean_of_all is not None:
        text += (
            f"; geometric mean {summary.mean_of_correct:.2f}x over the correct, "
            f"{summary.mean_of_all:.2f}x over all (a failure counts as 1)"
        )
    if summary.noisy:
        text += f"; {summary.noisy} timed too unsteadily for a ratio"
    if summary.beyond_roofline:
        text += f"; {summary.beyond_roofline} faster than the device can be, in no mean"
    lines.append(text + ".")
    device = evaluations[0].device
    note = "" if device.kind == "metal" else ", which is not an Apple GPU"
    lines.append(f"Measured on {device.kind} ({device.name}){note}.")
    return [escape(line) for line in lines]


def verdict_style(verdict: Verdict) -> str:
    """The colour of a verdict."""
    return _STYLES.get(verdict, "red")


def _cells(evaluation: Evaluation) -> dict[str, Text]:
    timing = evaluation.timing
    verdict = Text(evaluation.verdict.value, style=verdict_style(evaluation.verdict))
    plain = {
        "problem": evaluation.problem,
        "max error": error_text(evaluation),
        "eager": seconds_text(timing.baseline_seconds.median if timing else None),
        "candidate": seconds_text(timing.candidate_seconds.median if timing else None),
        "ratio": ratio_text(evaluation),
        "95 % interval": interval_text(timing.ratio) if timing else "-",
        "kernels": f"{timing.dispatches:g}" if timing else "-",
        "device": evaluation.device.kind,
    }
    return {"verdict": verdict, **{name: Text(value) for name, value in plain.items()}}
