"""What a person sees of a run: the terminal's table and one HTML page."""

from metalwright.reports.html import render_page, write_page
from metalwright.reports.summary import Summary, summarise
from metalwright.reports.terminal import result_line, result_table, summary_lines

__all__ = [
    "Summary",
    "render_page",
    "result_line",
    "result_table",
    "summarise",
    "summary_lines",
    "write_page",
]
