"""Scores for a terminal and for a pull request, and as rows for tables elsewhere."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metalwright.reports.summary import money_text, seconds_text, shrunk_text, tokens_text
from metalwright.scoring.compare import differences
from metalwright.scoring.data import AttemptScore, LeftOut, ProblemScores, RunScores
from metalwright.scoring.intervals import Estimate
from metalwright.scoring.table import ALL_LEVELS, GroupScore, combine, score_table

COLUMNS = (
    *("model", "level", "solved", "faster", "fast_1", "fast_2", "mean, all", "mean, correct"),
    *("median", "cost per solved"),
)
# Below these widths columns are left out rather than folded into stripes; --format csv has all.
_WIDE = 120
_MEDIUM = 95
_FROM_WIDE = frozenset({"context", "fast_2", "median"})
_FROM_MEDIUM = _FROM_WIDE | {"fast_1", "mean, correct", "cost per solved"}
_NOT_APPLE = "which is not an Apple GPU"


def print_scores(console: Console, runs: Sequence[RunScores]) -> None:
    """The summary of each run, and of all together: what was scored, the table, what was not."""
    together, refused = all_together(runs)
    for run in [*runs, *together]:
        groups = score_table(run)
        for line in header_lines(run):
            console.print(escape(line), soft_wrap=True)
        if groups:
            console.print(_score_table(groups, console.width))
        for line in attempt_lines(groups):
            console.print(escape(line), soft_wrap=True)
        for line in left_out_lines(run):
            console.print(escape(line), soft_wrap=True)
    for line in refused:
        console.print(escape(line), soft_wrap=True)


def _score_table(groups: Sequence[GroupScore], width: int) -> Table:
    """The table of scores; columns are left out where the terminal would fold their figures."""
    titles = _columns(groups)
    shown = [
        number
        for number, title in enumerate(titles)
        if width >= _WIDE or title not in (_FROM_WIDE if width >= _MEDIUM else _FROM_MEDIUM)
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number in shown:
        first = number == 0
        table.add_column(
            titles[number],
            justify="left" if first else "right",
            overflow="fold" if first else "ellipsis",
            no_wrap=not first,
        )
    for cells in _rows(groups):
        # On a narrow terminal a figure goes without its interval.
        short = [cell if width >= _WIDE else cell.split(" (")[0] for cell in cells]
        table.add_row(*(escape(short[number]) for number in shown))
    return table


def all_together(runs: Sequence[RunScores]) -> tuple[list[RunScores], list[str]]:
    """Several runs as one, for the union of their models; or why that would mix what is unlike."""
    if len(runs) < 2:
        return [], []
    first, *rest = runs
    unlike = [
        f"{first.label} and {run.label} are not put together: {difference}"
        for run in rest
        for difference in differences(first, run)
    ]
    return ([], unlike) if unlike else ([combine(runs)], [])


def header_lines(run: RunScores) -> list[str]:
    """What has to stand beside every figure: the device, the denominator, the sizes."""
    note = "" if run.device == "metal" else f", {_NOT_APPLE}"
    lines = [
        f"{run.label}: {run.denominator}.",
        f"Measured on {run.device} ({run.device_name}){note}.",
    ]
    if run.suite:
        chosen = f", selected by {run.selection}" if run.selection else ""
        lines.append(f"Suite: {run.suite}{chosen}.")
    if run.strategy:
        shown = ", ".join(run.contexts)
        lines.append(f"Strategy: {run.strategy}; shown besides the problem: {shown}.")
    if run.scale:
        count = sum(problem.shrunk for problem in run.scored)
        lines.append(shrunk_text(run.scale, count, len(run.scored)))
    if run.repeats:
        lines.append(f"It repeats {run.repeats}.")
    return lines


def attempt_lines(groups: Sequence[GroupScore]) -> list[str]:
    """Correctness and speed by attempt, and pass@k where it has a meaning."""
    lines = []
    for group in groups:
        if group.level != ALL_LEVELS:
            continue
        if len(group.correct_by_attempt) > 1:
            steps = " -> ".join(_percent(e.value) for e in group.correct_by_attempt)
            ratios = " -> ".join(f"{e.value:.2f}x" for e in group.ratio_by_attempt)
            lines.append(f"{group.model}: solved after attempt 1, 2, ...: {steps}; mean {ratios}")
        if group.pass_at_k:
            steps = ", ".join(
                f"pass@{k} {_percent(e.value)}" for k, e in enumerate(group.pass_at_k, 1)
            )
            lines.append(f"{group.model}: {steps} (unbiased, independent samples)")
    return lines


def left_out_lines(run: RunScores) -> list[str]:
    """Every problem that is in no score, with the reason."""
    lines = []
    for what, items in (
        (f"cannot run on {run.device}", run.not_runnable),
        ("excluded by the suite", run.excluded),
        (
            f"not small enough for --scale {run.scale}",
            tuple(LeftOut(name, reason) for name, reason in run.not_shrunk.items()),
        ),
    ):
        lines += [f"{what}: {item.name}: {_first(item.reason)}" for item in items]
    return lines


def markdown(runs: Sequence[RunScores]) -> str:
    """The scores for a pull request."""
    parts = []
    together, refused = all_together(runs)
    for run in [*runs, *together]:
        groups = score_table(run)
        lines = [f"### {_cell(run.label)}", ""]
        lines += [f"{_cell(line)}  " for line in header_lines(run)]
        columns = _columns(groups)
        lines += ["", _row(columns), _row("---" if i < 1 else "---:" for i in range(len(columns)))]
        lines += [_row(cells) for cells in _rows(groups)]
        lines += ["", *(f"- {_cell(line)}" for line in attempt_lines(groups))]
        lines += ["", "<details><summary>Problems</summary>", ""]
        lines += [_row(("problem", "level", "verdict", "ratio", "95 % interval", "model", "sizes"))]
        lines += [_row(("---", "---:", "---", "---:", "---:", "---", "---"))]
        lines += [_row(_problem_cells(problem)) for problem in run.scored]
        lines += ["", "</details>"]
        left_out = left_out_lines(run)
        if left_out:
            lines += ["", f"<details><summary>In no score: {len(left_out)}</summary>", ""]
            lines += [f"- {_cell(line)}" for line in left_out]
            lines += ["", "</details>"]
        parts.append("\n".join(lines))
    parts += [_cell(line) for line in refused]
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------------------------- rows


def score_rows(runs: Sequence[RunScores]) -> Iterator[dict[str, Any]]:
    """One row per group of each run, figures with their intervals."""
    for run in runs:
        for group in score_table(run):
            row: dict[str, Any] = {**_run_columns(run)}
            for field in dataclasses.fields(group):
                value = getattr(group, field.name)
                if value is None or isinstance(value, Estimate):
                    if field.name.endswith("_per_solved"):
                        row[field.name] = value
                    else:
                        row |= _estimate_columns(field.name, value)
                elif field.name == "fast_p":
                    for p, estimate in value:
                        row |= _estimate_columns(f"fast_{p:g}", estimate)
                elif isinstance(value, tuple):
                    row[field.name] = json.dumps([round(e.value, 6) for e in value])
                elif field.name == "usage":
                    row |= {f"usage_{key}": item for key, item in vars(value).items()}
                else:
                    row[field.name] = value
            yield row


def problem_rows(runs: Sequence[RunScores]) -> Iterator[dict[str, Any]]:
    """One row per problem of each run, those in no score included."""
    for run in runs:
        for problem in run.problems:
            best = problem.best()
            yield {
                **_run_columns(run),
                **_problem_columns(problem),
                "attempts": len(problem.attempts),
                "solved": problem.outcome().correct,
                **{f"best_{key}": value for key, value in _attempt_columns(best).items()},
                "tokens": sum(used.tokens for used in problem.usage.values()),
                "money": _money(problem),
                "seconds": sum(used.seconds for used in problem.usage.values()),
            }


def attempt_rows(runs: Sequence[RunScores]) -> Iterator[dict[str, Any]]:
    """One row per attempt of each run."""
    for run in runs:
        for problem in run.problems:
            for attempt in problem.attempts:
                yield {
                    **_run_columns(run),
                    **_problem_columns(problem),
                    **_attempt_columns(attempt),
                    "won": attempt.number == problem.winner,
                }


def _run_columns(run: RunScores) -> dict[str, Any]:
    return {
        "run": run.label,
        "created": run.created,
        "device": run.device,
        "device_name": run.device_name,
        "scale": run.scale,
        "strategy": run.strategy,
    }


def _problem_columns(problem: ProblemScores) -> dict[str, Any]:
    return {
        "problem": problem.name,
        "problem_level": problem.level,
        "problem_number": problem.number,
        "tags": " ".join(problem.tags),
        "constants": json.dumps(problem.constants),
        "shrunk": problem.shrunk,
        "source_hash": problem.source_hash,
        "context": problem.context,
        "state": problem.state,
        "reason": problem.reason,
    }


def _attempt_columns(attempt: AttemptScore | None) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(AttemptScore) if field.name != "asked"]
    asked = attempt.asked if attempt is not None else None
    used = {
        f"asked_{key}": None if asked is None else getattr(asked, key)
        for key in ("calls", "tokens", "money", "seconds")
    }
    if attempt is None:
        return dict.fromkeys(names) | used
    row = {name: getattr(attempt, name) for name in names} | used
    return row | {"flags": " ".join(attempt.flags), "parents": " ".join(map(str, attempt.parents))}


def _estimate_columns(name: str, estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    low, high = (None if math.isnan(x) else x for x in (estimate.low, estimate.high))
    return {name: estimate.value, f"{name}_low": low, f"{name}_high": high}


def _money(problem: ProblemScores) -> float | None:
    found = [used.money for used in problem.usage.values()]
    known = [money for money in found if money is not None]
    return sum(known) if len(known) == len(found) else None


# ---------------------------------------------------------------------------------- cells


def _columns(groups: Sequence[GroupScore]) -> list[str]:
    titles = list(COLUMNS)
    if len({group.context for group in groups}) > 1:
        titles.insert(2, "context")
    return titles


def _rows(groups: Sequence[GroupScore]) -> Iterator[list[str]]:
    contexts = len({group.context for group in groups}) > 1
    for group in groups:
        shares = {p: estimate.value for p, estimate in group.fast_p}
        cells = [
            group.model or "unknown model",
            group.level,
            f"{group.solved}/{group.problems}",
            f"{group.faster}/{group.problems}",
            _percent(shares.get(1.0)),
            _percent(shares.get(2.0)),
            _factor(group.mean_of_all),
            _factor(group.mean_of_correct),
            _factor(group.median_of_correct, interval=False),
            _cost(group),
        ]
        if contexts:
            cells.insert(2, group.context)
        yield cells


def _problem_cells(problem: ProblemScores) -> list[str]:
    best = problem.best()
    ratio = interval = "-"
    if best is not None and best.ratio is not None:
        ratio = f"{best.ratio:.2f}x"
        if best.low is not None and best.high is not None:
            interval = f"{best.low:.2f} to {best.high:.2f}"
    elif best is not None and best.correct:
        ratio = "not known"
    sizes = ", ".join(f"{name} = {text}" for name, text in problem.constants.items())
    return [
        problem.name,
        "-" if problem.level is None else str(problem.level),
        best.verdict if best else problem.state,
        ratio,
        interval,
        (best.model if best else "") or "-",
        f"shrunk: {sizes}" if problem.shrunk else sizes or "as given",
    ]


def _cost(group: GroupScore) -> str:
    if group.money_per_solved:
        return money_text(group.money_per_solved)
    if group.usage.calls:
        return tokens_text(group.tokens_per_solved)
    return seconds_text(group.seconds_per_solved)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _factor(estimate: Estimate | None, *, interval: bool = True) -> str:
    if estimate is None:
        return "-"
    text = f"{estimate.value:.2f}x"
    if interval and not math.isnan(estimate.low):
        text += f" ({estimate.low:.2f} to {estimate.high:.2f})"
    return text


def _first(text: str) -> str:
    return text.splitlines()[0] if text else "no reason is known"


def _row(cells: Any) -> str:
    return "| " + " | ".join(_cell(str(cell)) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Text that means nothing to Markdown."""
    for character in ("\\", "|", "*", "_", "<", "`", "["):
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
