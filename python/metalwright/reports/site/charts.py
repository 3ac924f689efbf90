"""A chart: what plotly draws, the words that describe it, and the same figures as a table.

Traces are plotly's own JSON. Colours are left to the page, which knows whether it is light or dark:
a trace's ``meta.color`` is the number of a colour of the style sheet, or its name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from metalwright.scoring.intervals import Estimate

SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x", "star", "hexagon")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
COLOURS = 8


@dataclass(frozen=True)
class Chart:
    """One chart; without traces it is only its table."""

    id: str
    title: str
    description: str
    traces: Sequence[dict[str, Any]]
    layout: dict[str, Any]
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    height: int = 340
    note: str = ""
    """What a reader has to know to read it right."""

    @property
    def json(self) -> Markup:
        """What the page's script reads; no text in it can end the element that holds it."""
        return script_json({"traces": list(self.traces), "layout": self.layout})


def script_json(value: Any) -> Markup:
    """JSON for a script element: ``<``, ``>`` and ``&`` are escaped as JSON allows."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def line(
    name: str, number: int, x: Sequence[Any], y: Sequence[float], **more: Any
) -> dict[str, Any]:
    """A line with markers that differ in shape as well as in colour."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"dash": DASHES[number % len(DASHES)], "width": 2},
        "marker": {"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 8},
        "meta": {"color": number % COLOURS},
        **more,
    }


def ratio_axis(title: str) -> dict[str, Any]:
    """A logarithmic axis of ratios: every label is a whole one (plotly's own leave digits out)."""
    ticks = [step * 10.0**power for power in range(-4, 5) for step in (1, 1.5, 2, 3, 5)]
    return {
        "type": "log",
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [f"{tick:g}x" for tick in ticks],
    }


def error_bars(estimates: Sequence[Estimate], scale: float = 1.0) -> dict[str, Any]:
    """plotly's description of the intervals around estimates."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * _gap(e.high, e.value) for e in estimates],
        "arrayminus": [scale * _gap(e.value, e.low) for e in estimates],
        "thickness": 1,
        "width": 3,
    }


def _gap(high: float, low: float) -> float:
    gap = high - low
    # One problem has no interval.
    return gap if gap > 0 else 0.0


def share_text(estimate: Estimate) -> str:
    """``40 % (28 to 55)``."""
    text = f"{100 * estimate.value:.0f} %"
    if estimate.low == estimate.low:
        text += f" ({100 * estimate.low:.0f} to {100 * estimate.high:.0f})"
    return text


def factor(ratio: float) -> str:
    """``1.32x``; small ones keep their digits."""
    return f"{ratio:.2f}x" if ratio >= 0.1 else f"{ratio:.3g}x"


def factor_text(estimate: Estimate | None) -> str:
    """``1.32x (1.1 to 1.6)``."""
    if estimate is None:
        return "-"
    text = factor(estimate.value)
    if estimate.low == estimate.low:
        text += f" ({estimate.low:.2f} to {estimate.high:.2f})"
    return text
