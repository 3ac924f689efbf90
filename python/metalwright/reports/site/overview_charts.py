"""The charts of the overview: what the runs amount to, over all problems and by model."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metalwright.reports.site.charts import (
    COLOURS,
    SYMBOLS,
    Chart,
    error_bars,
    factor_text,
    line,
    ratio_axis,
    share_text,
)
from metalwright.reports.summary import money_text, seconds_text, tokens_text
from metalwright.scoring.data import ProblemScores, RunScores
from metalwright.scoring.table import ALL_LEVELS, UNION, GroupScore

# Edges of the classes of ratios; what is below the first or above the last has a class as well.
_EDGES = (0.25, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 4.0)
_UNSOLVED, _UNKNOWN = "not solved", "no time"


@dataclass(frozen=True)
class Scored:
    """A run with its groups; `several`: there are other runs beside it."""

    scores: RunScores
    groups: tuple[GroupScore, ...]
    several: bool

    def label(self, group: GroupScore) -> str:
        """The name of a group's line: the model, and the run where there are several."""
        return f"{group.model}, {self.scores.label}" if self.several else group.model

    @property
    def whole(self) -> tuple[GroupScore, ...]:
        """The groups over all levels and contexts: one per model, and their union."""
        first: dict[str, GroupScore] = {}
        for group in self.groups:
            if group.level == ALL_LEVELS:
                first.setdefault(group.model, group)
        return tuple(first.values())


def overview_charts(runs: Sequence[Scored], together: Sequence[Scored] = ()) -> list[Chart]:
    """All charts that the runs have something to show for.

    `together` are the runs put together: their union is beside the models in one chart alone, since
    the others would show every attempt twice.
    """
    lines = [(run.label(group), group, run) for run in runs for group in run.whole]
    unions = [(f"all runs, {UNION}", run.whole[-1], run) for run in together if run.whole]
    if not any(group.problems for _, group, _ in lines):
        return []
    charts = [
        _distribution(lines),
        _ranked(runs),
        _fast_p(lines),
        _by_attempt(lines),
        _ratio_by_attempt(lines),
        _by_level(runs),
        _best_of_models([*lines, *unions]),
        _cost(lines),
    ]
    return [chart for chart in charts if chart is not None]


_Lines = Sequence[tuple[str, GroupScore, Scored]]


def _distribution(lines: _Lines) -> Chart:
    classes = [f"< {_EDGES[0]:g}x"]
    classes += [f"{a:g} to {b:g}x" for a, b in itertools.pairwise(_EDGES)]
    classes += [f"≥ {_EDGES[-1]:g}x", _UNKNOWN, _UNSOLVED]
    traces, columns = [], []
    for number, (name, group, run) in enumerate(lines):
        model = None if group.model == UNION else group.model
        counts = Counter(_class(problem, model, classes) for problem in run.scores.scored)
        columns.append([counts[label] for label in classes])
        traces.append(
            {
                "type": "bar",
                "name": name,
                "x": classes,
                "y": columns[-1],
                "meta": {"color": number % COLOURS},
            }
        )
    return Chart(
        "distribution",
        "Speed-up of the best candidate",
        "Bars: how many problems have a best candidate of each class of speed, by model.",
        traces,
        {
            "barmode": "group",
            "xaxis": {"tickangle": -45},
            "yaxis": {"title": {"text": "problems"}, "rangemode": "tozero"},
        },
        ["Speed", *(name for name, _, _ in lines)],
        [
            [label, *(str(column[index]) for column in columns)]
            for index, label in enumerate(classes)
        ],
        note="Against the fastest correct baseline; above 1x the candidate is faster. “No time” is "
        "a correct candidate that was not timed, or too unsteadily.",
    )


def _class(problem: ProblemScores, model: str | None, classes: Sequence[str]) -> str:
    outcome = problem.outcome(model)
    if not outcome.correct:
        return _UNSOLVED
    if outcome.ratio is None:
        return _UNKNOWN
    return classes[sum(outcome.ratio >= edge for edge in _EDGES)]


def _ranked(runs: Sequence[Scored]) -> Chart | None:
    traces: list[dict[str, Any]] = []
    rows = []
    for number, run in enumerate(runs):
        found = [(problem, problem.best()) for problem in run.scores.scored]
        known = [(p, a) for p, a in found if a is not None and a.ratio is not None]
        known.sort(key=lambda pair: pair[1].ratio or 0.0)
        if not known:
            continue
        ratios = [a.ratio or 1.0 for _, a in known]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": run.scores.label,
                "x": list(range(1, len(known) + 1)),
                "y": ratios,
                "text": [p.name for p, _ in known],
                "hovertemplate": "%{text}: %{y:.3g}x<extra></extra>",
                "marker": {"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 7},
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [max(0.0, (a.high or 0) - (a.ratio or 0)) for _, a in known],
                    "arrayminus": [max(0.0, (a.ratio or 0) - (a.low or 0)) for _, a in known],
                    "thickness": 1,
                    "width": 2,
                },
                "meta": {"color": number % COLOURS},
            }
        )
        rows += [
            [p.name, f"{a.ratio:.3g}x", f"{a.low:.3g} to {a.high:.3g}", run.scores.label]
            for p, a in known
        ]
    if not traces:
        return None
    return Chart(
        "ranked",
        "Every problem's best ratio, in order",
        "Points: the best ratio of each problem with its interval, slowest first.",
        traces,
        {
            "xaxis": {"title": {"text": "problems, by ratio"}},
            "yaxis": ratio_axis("ratio"),
            "shapes": [one_line()],
        },
        ["Problem", "Ratio", "95 % interval", "Run"],
        rows,
        note="Problems without a correct, steadily timed candidate have no point.",
    )


def _fast_p(lines: _Lines) -> Chart:
    traces, rows = [], []
    # Where every line is at zero there is nothing to see but one point that says so.
    reached = [p for _, group, _ in lines for p, estimate in group.fast_p if estimate.value > 0]
    last = min((p for p, _ in lines[0][1].fast_p if p > max(reached, default=0)), default=None)
    for number, (name, group, _) in enumerate(lines):
        shares = [100 * estimate.value for _, estimate in group.fast_p]
        traces.append(line(name, number, [p for p, _ in group.fast_p], shares))
        rows.append([name, *(f"{share:.0f} %" for share in shares)])
    thresholds = [f"p = {p:g}" for p, _ in lines[0][1].fast_p]
    return Chart(
        "fast-p",
        "fast_p: correct and more than p times as fast",
        "Lines: for each p, the share of all problems solved with a ratio above p, by model.",
        traces,
        {
            "xaxis": {
                "title": {"text": "p"},
                "range": None if last is None else [-0.1, last + 0.1],
            },
            "yaxis": _percent("problems"),
        },
        ["Model", *thresholds],
        rows,
        note="At p = 0 it is the share of problems with a correct candidate.",
    )


def _by_attempt(lines: _Lines) -> Chart | None:
    return _attempt_chart(
        lines,
        "correct-by-attempt",
        "Correct by attempt",
        "Lines: share of problems with a correct candidate among the first k attempts, by model.",
        shares=True,
    )


def _ratio_by_attempt(lines: _Lines) -> Chart | None:
    return _attempt_chart(
        lines,
        "ratio-by-attempt",
        "Best ratio by attempt",
        "Lines: geometric mean of the best ratio among the first k attempts, by model.",
        shares=False,
    )


def _attempt_chart(
    lines: _Lines, name: str, title: str, description: str, *, shares: bool
) -> Chart | None:
    traces, rows = [], []
    longest = max(len(group.correct_by_attempt) for _, group, _ in lines)
    if longest < 2:
        return None
    for number, (label, group, _) in enumerate(lines):
        estimates = group.correct_by_attempt if shares else group.ratio_by_attempt
        scale = 100.0 if shares else 1.0
        counts = list(range(1, len(estimates) + 1))
        # Moved apart a little, so that the intervals of several models can be told from each other.
        places = [count + 0.04 * (number - (len(lines) - 1) / 2) for count in counts]
        values = [scale * estimate.value for estimate in estimates]
        bars = error_bars(estimates, scale)
        traces.append(line(label, number, places, values, error_y=bars))
        text = share_text if shares else factor_text
        filled = [text(estimate) for estimate in estimates]
        rows.append([label, *filled, *["-"] * (longest - len(filled))])
    axis = _percent("problems") if shares else {"title": {"text": "ratio"}, "ticksuffix": "x"}
    return Chart(
        name,
        title,
        description,
        traces,
        {
            "xaxis": {"title": {"text": "attempts"}, "dtick": 1 if longest <= 12 else None},
            "yaxis": axis,
        },
        ["Model", *(f"k = {k}" for k in range(1, longest + 1))],
        rows,
        note="Attempts in the order in which they were made. Bars are 95 % intervals over problems."
        + ("" if shares else " Where nothing beats the original it counts as 1."),
    )


def _by_level(runs: Sequence[Scored]) -> Chart | None:
    traces, rows = [], []
    number = 0
    for run in runs:
        by_model: dict[str, list[GroupScore]] = {}
        for group in run.groups:
            if group.level != ALL_LEVELS:
                by_model.setdefault(group.model, []).append(group)
        for groups in by_model.values():
            name = run.label(groups[0])
            known = [(g.level, g.correct, g) for g in groups if g.correct is not None]
            estimates = [estimate for _, estimate, _ in known if estimate is not None]
            traces.append(
                {
                    "type": "bar",
                    "name": name,
                    "x": [f"level {level}" for level, _, _ in known],
                    "y": [100 * estimate.value for estimate in estimates],
                    "error_y": error_bars(estimates, 100.0),
                    "meta": {"color": number % COLOURS},
                }
            )
            rows += [
                [name, level, f"{group.solved} of {group.problems}", share_text(estimate)]
                for (level, _, group), estimate in zip(known, estimates, strict=True)
            ]
            number += 1
    if not traces:
        return None
    return Chart(
        "by-level",
        "Correct by level and model",
        "Bars: share of the problems of each level with a correct candidate, by model.",
        traces,
        {"barmode": "group", "yaxis": _percent("problems")},
        ["Model", "Level", "Solved", "Share (95 % interval)"],
        rows,
        note="Bars are 95 % intervals over problems.",
    )


def _best_of_models(lines: _Lines) -> Chart:
    known = [(name, group.mean_kept, group) for name, group, _ in lines if group.mean_kept]
    estimates = [estimate for _, estimate, _ in known if estimate is not None]
    return Chart(
        "best-of-models",
        "Each model, and the best of all",
        "Bars: geometric mean over all problems of the best ratio, by model and for their union.",
        [
            {
                "type": "bar",
                "name": "mean",
                "x": [name for name, _, _ in known],
                "y": [estimate.value for estimate in estimates],
                "error_y": error_bars(estimates),
                "meta": {"color": 0},
            }
        ],
        {
            "showlegend": False,
            "yaxis": {"title": {"text": "ratio"}, "ticksuffix": "x"},
            "shapes": [one_line()],
        },
        ["Model", "Solved", "Faster", "Mean, original kept", "Mean of the correct"],
        [
            [
                name,
                f"{group.solved} of {group.problems}",
                str(group.faster),
                factor_text(group.mean_kept),
                factor_text(group.mean_of_correct),
            ]
            for name, _, group in known
        ],
        note="A problem without a faster candidate counts as 1: the user keeps the original.",
    )


def _cost(lines: _Lines) -> Chart | None:
    shown = [(name, group) for name, group, _ in lines if group.solved and group.mean_kept]
    if not shown:
        return None
    in_money = all(group.money_per_solved is not None for _, group in shown) and any(
        group.money_per_solved for _, group in shown
    )
    traces = []
    for number, (name, group) in enumerate(shown):
        cost = group.money_per_solved if in_money else group.seconds_per_solved
        assert group.mean_kept is not None
        trace = line(name, number, [cost or 0.0], [group.mean_kept.value])
        trace["error_y"] = error_bars([group.mean_kept])
        trace["mode"] = "markers"
        trace["marker"]["size"] = 12
        traces.append(trace)
    unit = "dollars" if in_money else "seconds"
    return Chart(
        "cost",
        "Cost against gain",
        f"Points: {unit} per solved problem against the mean ratio, one point per model.",
        traces,
        {
            "xaxis": {"title": {"text": f"{unit} per solved problem"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "ratio"}, "ticksuffix": "x"},
        },
        ["Model", "Solved", "Money", "Tokens", "Seconds", "Mean ratio"],
        [
            [
                name,
                str(group.solved),
                money_text(group.money_per_solved),
                tokens_text(group.tokens_per_solved),
                seconds_text(group.seconds_per_solved),
                factor_text(group.mean_kept),
            ]
            for name, group in shown
        ],
        note="Per solved problem, with what was spent on the others. Seconds are those of model "
        "calls and evaluations, one after the other.",
    )


def one_line() -> dict[str, Any]:
    """The line at which candidate and baseline are equally fast."""
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": 1,
        "y1": 1,
        "line": {"dash": "dot", "width": 1},
    }


def _percent(title: str) -> dict[str, Any]:
    return {"title": {"text": title}, "range": [0, 103], "ticksuffix": " %"}
