"""The charts of one problem: how its attempts were timed, and how far the device could go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from metalwright.evaluation.model import Flag, Roofline
from metalwright.reports.site.charts import Chart, ratio_axis
from metalwright.reports.site.content import AttemptTexts
from metalwright.reports.site.overview_charts import one_line
from metalwright.reports.summary import interval_text, ratio_text, seconds_text

# A box needs no more samples than these to be drawn rightly.
_MOST_SAMPLES = 60


def problem_charts(attempts: Sequence[AttemptTexts], best: int | None) -> list[Chart]:
    """The charts that these attempts have something to show for; `best` is highlighted."""
    charts = [_timings(attempts, best), _roofline(attempts, best)]
    return [chart for chart in charts if chart is not None]


def _timings(attempts: Sequence[AttemptTexts], best: int | None) -> Chart | None:
    traces: list[dict[str, Any]] = []
    rows = []
    for item in attempts:
        timing = item.evaluation.timing
        if timing is None or not item.evaluation.correct:
            continue
        number = item.score.number
        noisy = Flag.NOISY_TIMING in item.evaluation.flags
        samples = _spread(timing.pair_ratios) or [
            timing.ratio.low,
            timing.ratio.median,
            timing.ratio.high,
        ]
        traces.append(
            {
                "type": "box",
                "name": f"{number}",
                "y": samples,
                "boxpoints": "all" if timing.pair_ratios else False,
                "jitter": 0.6,
                "pointpos": 0,
                "marker": {"size": 3, "opacity": 0.5},
                "opacity": 0.4 if noisy else 1.0,
                "hoverinfo": "y",
                "meta": {"color": "good" if number == best else 0},
            }
        )
        rows.append(
            [
                str(number),
                ratio_text(item.evaluation),
                interval_text(timing.ratio),
                str(timing.pairs),
                seconds_text(timing.baseline_seconds.median),
                seconds_text(timing.candidate_seconds.median),
                seconds_text(timing.device_seconds),
                "noisy" if noisy else "",
            ]
        )
    if not traces:
        return None
    return Chart(
        "timings",
        "Ratios of the timed pairs, by attempt",
        "Boxes: eager over candidate for every pair of neighbouring blocks, by attempt.",
        traces,
        {
            "showlegend": False,
            "xaxis": {"title": {"text": "attempt"}, "type": "category"},
            "yaxis": ratio_axis("ratio to eager"),
            "shapes": [one_line()],
        },
        ["Attempt", "Ratio", "95 % interval", "Pairs", "Eager", "Candidate", "On device", "Mark"],
        rows,
        note="Above 1 the candidate is faster than eager. Pale boxes vary too much to be trusted.",
    )


def _spread(ratios: Sequence[float]) -> list[float]:
    """Evenly chosen order statistics: the distribution stays, the page stays small."""
    ordered = sorted(ratios)
    if len(ordered) <= _MOST_SAMPLES:
        return ordered
    step = (len(ordered) - 1) / (_MOST_SAMPLES - 1)
    return [ordered[round(index * step)] for index in range(_MOST_SAMPLES)]


def _roofline(attempts: Sequence[AttemptTexts], best: int | None) -> Chart | None:
    known = [
        (item.score.number, item.evaluation.roofline, item.evaluation.timing)
        for item in attempts
        if item.evaluation.correct and item.evaluation.roofline and item.evaluation.timing
    ]
    if not known:
        return None
    points = [(n, r, t.candidate_seconds.median) for n, r, t in known if r is not None and t]
    floor = points[0][1]
    eager = known[0][2]
    assert eager is not None
    rows = [
        ["floor", seconds_text(floor.floor_seconds), "100 %", *_rates(floor, floor.floor_seconds)]
    ]
    named = [("eager", floor, eager.baseline_seconds.median)]
    named += [(f"attempt {number}", roof, seconds) for number, roof, seconds in points]
    for name, roof, seconds in named:
        share = roof.floor_seconds / seconds
        rows.append([name, seconds_text(seconds), f"{share:.0%}", *_rates(roof, seconds)])
    header = ["What", "Time per call", "Share of the roofline", "Bytes per second", "Operations"]
    if floor.flops:
        traces, layout = _two_roofs(floor, named, best)
        description = "Points below a roof: operations per second by operations per byte."
    else:
        traces, layout = _one_roof(floor, named, best)
        description = "Points: bytes per second of eager and each attempt, under the device's line."
    return Chart(
        "roofline",
        "Position under the roofline",
        description,
        traces,
        layout,
        header,
        rows,
        note="The work is what the problem cannot do without: inputs, outputs and weights once, "
        "and the operations of matrix products, convolutions and attention. Peaks were measured "
        "on the device that is named above.",
    )


_Named = Sequence[tuple[str, Roofline, float]]


def _two_roofs(
    floor: Roofline, named: _Named, best: int | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    ridge = floor.flop_rate / floor.bandwidth
    intensity = floor.flops / floor.bytes
    left, right = min(ridge, intensity) / 8, max(ridge, intensity) * 8
    roof: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "name": "roof",
        "x": [left, ridge, right],
        "y": [left * floor.bandwidth, floor.flop_rate, floor.flop_rate],
        "line": {"width": 2},
        "hoverinfo": "skip",
        "meta": {"color": "muted"},
    }
    traces = [roof]
    for index, (name, work, seconds) in enumerate(named):
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [intensity],
                "y": [work.flops / seconds],
                "marker": {"size": 10, "symbol": "square" if index == 0 else "circle"},
                "meta": {"color": _colour(name, best)},
            }
        )
    layout = {
        "xaxis": {"type": "log", "title": {"text": "operations per byte"}, "dtick": 1},
        "yaxis": {
            "type": "log",
            "dtick": 1,
            "exponentformat": "SI",
            "title": {"text": "operations per second"},
            "range": _log_range([roof["y"][0], roof["y"][1]], [t["y"][0] for t in traces[1:]]),
        },
    }
    return traces, layout


def _log_range(*groups: Sequence[float]) -> list[float]:
    values = [value for group in groups for value in group if value > 0]
    return [math.log10(min(values)) - 0.2, math.log10(max(values)) + 0.3]


def _one_roof(
    floor: Roofline, named: _Named, best: int | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    # Logarithmic: a candidate at a thousandth of what the device can do is a point as well.
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [name.removeprefix("attempt ")],
            "y": [work.bytes / seconds],
            "marker": {"size": 10, "symbol": "square" if name == "eager" else "circle"},
            "meta": {"color": _colour(name, best)},
        }
        for name, work, seconds in named
    ]
    line = {**one_line(), "y0": floor.bandwidth, "y1": floor.bandwidth}
    return traces, {
        "showlegend": False,
        "xaxis": {"type": "category", "title": {"text": "eager, and attempts by number"}},
        "yaxis": {
            "type": "log",
            "dtick": 1,
            "exponentformat": "SI",
            "ticksuffix": "B",
            "title": {"text": "bytes per second"},
            "range": _log_range([floor.bandwidth], [trace["y"][0] for trace in traces]),
        },
        "shapes": [line],
    }


def _colour(name: str, best: int | None) -> int | str:
    if name == "eager":
        return 1
    return "good" if name == f"attempt {best}" else 0


def _rates(roof: Roofline, seconds: float) -> list[str]:
    flops = f"{roof.flops / seconds / 1e9:.3g} GFLOP/s" if roof.flops else "-"
    return [f"{roof.bytes / seconds / 1e9:.3g} GB/s", flops]
