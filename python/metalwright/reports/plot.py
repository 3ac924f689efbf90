"""The plot of the speed-ups, as an SVG that needs no script.

Our own few lines and not plotly's: its figure brings 4.5 MB of JavaScript into every report, and a
static picture of it needs a browser at run time. Colours come from the page's style sheet, so the
plot follows the reader's light or dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from metalwright.evaluation.model import Evaluation, Flag
from metalwright.reports.summary import ratio_text

_ROW = 26
_LABEL = 190
_WIDTH = 760
_RIGHT = 70
_TOP = 28
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def speedup_plot(evaluations: Sequence[Evaluation]) -> str:
    """A bar per timed problem from 1 to its ratio on a logarithmic axis, with its interval.

    Returns an empty text if nothing was timed.
    """
    rows = [(e, e.timing.ratio) for e in evaluations if e.correct and e.timing is not None]
    if not rows:
        return ""
    low = min(0.5, *(max(ratio.low, 0.01) for _, ratio in rows)) / 1.1
    high = max(2.0, *(ratio.high for _, ratio in rows)) * 1.1
    span = math.log(high / low)

    def x(ratio: float) -> float:
        clipped = min(max(ratio, low), high)
        return _LABEL + math.log(clipped / low) / span * (_WIDTH - _LABEL - _RIGHT)

    height = _TOP + _ROW * len(rows) + 8
    parts = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="Speed relative to eager PyTorch">'
    ]
    for tick in _TICKS:
        if low <= tick <= high:
            kind = "one" if tick == 1 else "tick"
            parts.append(
                f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{_TOP - 6}" '
                f'y2="{height - 4}"/><text class="axis" x="{x(tick):.1f}" y="{_TOP - 12}">'
                f"{tick:g}x</text>"
            )
    for index, (evaluation, ratio) in enumerate(rows):
        middle = _TOP + _ROW * index + _ROW / 2
        begin, end = sorted((x(1.0), x(ratio.median)))
        kind = "faster" if ratio.median >= 1 else "slower"
        if Flag.NOISY_TIMING in evaluation.flags:
            kind += " noisy"
        name = evaluation.problem
        shown = name if len(name) <= 26 else name[:25] + "…"
        title = f"{name}: {ratio.median:.3g}x, 95 % interval {ratio.low:.3g} to {ratio.high:.3g}"
        parts.append(
            f"<g><title>{escape(title)}</title>"
            f'<text class="name" x="{_LABEL - 10}" y="{middle + 4:.1f}">{escape(shown)}</text>'
            f'<rect class="{kind}" x="{begin:.1f}" y="{middle - 7:.1f}" height="14" '
            f'width="{max(end - begin, 1):.1f}"/>'
            f'<path class="whisker" d="M{x(ratio.low):.1f} {middle:.1f}H{x(ratio.high):.1f}'
            f"M{x(ratio.low):.1f} {middle - 4:.1f}v8M{x(ratio.high):.1f} {middle - 4:.1f}v8"
            '"/>'
            f'<text class="value" x="{_WIDTH - 4}" y="{middle + 4:.1f}">'
            f"{ratio_text(evaluation)}</text>"
            "</g>"
        )
    parts.append("</svg>")
    return "".join(parts)
