"""The HTML page of a run: one file, no network, no script."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import CppLexer, JsonLexer, PythonLexer

from metalwright.evaluation.model import Evaluation
from metalwright.reports import summary as texts
from metalwright.reports.attempts import correctness_plot, ratio_plot, search_report
from metalwright.reports.plot import speedup_plot
from metalwright.runs import Attempt, RunStore
from metalwright.runs.journal import Journal

PAGE = "report.html"
# A candidate may hold megabytes of embedded constants; a page has to stay readable.
_MAX_SOURCE = 200_000


def write_page(store: RunStore, journal: Journal | None = None) -> Path:
    """Renders the page of everything that is in the run so far, into the run's folder."""
    return store.write_file(PAGE, render_page(store, journal))


def render_page(store: RunStore, journal: Journal | None = None) -> str:
    """The page's text; `journal` is the run's record, if there is one."""
    searched = search_report(journal, store.config.problems) if journal is not None else None
    attempts = list(store.finished())
    evaluations = [attempt.evaluation for attempt in attempts]
    suite = store.config.suite
    shrunk = store.config.shrunk
    template = _environment().get_template("report.html.j2")
    return template.render(
        config=store.config,
        attempts=[_section(store, attempt) for attempt in attempts],
        pending=[
            name
            for name in store.config.problems
            if name not in {attempt.problem for attempt in attempts}
        ],
        summary=texts.summarise(evaluations),
        plot=Markup(speedup_plot(evaluations)),
        searched=searched,
        shrunk=shrunk,
        shrunk_note=texts.shrunk_text(suite.scale, len(shrunk), len(store.config.problems))
        if suite is not None and suite.scale
        else "",
        attempt_plots=[Markup(correctness_plot(searched)), Markup(ratio_plot(searched))]
        if searched is not None
        else [],
        light=Markup(_style("default", "")),
        dark=Markup(_style("github-dark", "")),
        text=texts,
    )


def _section(store: RunStore, attempt: Attempt) -> dict[str, Any]:
    candidate = attempt.candidate
    evaluation = attempt.evaluation
    problem = store.problem(attempt.problem)
    return {
        "anchor": f"problem-{store.config.problems.index(attempt.problem)}",
        "name": attempt.problem,
        "evaluation": evaluation,
        "reference": _code(problem.source, PythonLexer()) if problem.source else None,
        "candidate": _code(candidate.source, PythonLexer()) if candidate else None,
        "origin": candidate.origin if candidate else "",
        "notes": candidate.notes if candidate else (),
        "attempts": [
            (a.number, a.evaluation, a.candidate.origin if a.candidate else "")
            for a in store.attempts(attempt.problem)
        ],
        "kernels": [
            (name, _code(source, CppLexer()))
            for name, source in (candidate.kernels.items() if candidate else ())
        ],
        "json": _code(evaluation.model_dump_json(indent=2), JsonLexer()),
        "facts": list(_facts(evaluation)),
    }


def _facts(evaluation: Evaluation) -> Iterable[tuple[str, str]]:
    """The figures beside the table's, as name and text."""
    timing = evaluation.timing
    if timing is not None:
        device = texts.seconds_text(timing.device_seconds)
        per_call = f"Metal dispatches per call: {timing.dispatches:g}"
        yield "Eager, wall", _interval_text(timing.baseline_seconds)
        yield "Candidate, wall", _interval_text(timing.candidate_seconds)
        yield "Candidate, device clock", f"{device}; {per_call}"
        yield "Ratio", f"{texts.ratio_text(evaluation)} ({texts.interval_text(timing.ratio)})"
        calls = f"{timing.baseline_calls} and {timing.candidate_calls} calls"
        yield "Timed", f"{timing.pairs} pairs of blocks, {calls} each"
        if timing.other_load is not None:
            yield "Other programs", f"used {timing.other_load:.0%} of the machine meanwhile"
    if evaluation.oracle and evaluation.outputs:
        yield "Oracle", evaluation.oracle
    weights = evaluation.weights
    if weights is not None and (weights.copied or weights.missing or weights.extra):
        text = f"{weights.copied} copied by name"
        if weights.missing:
            text += f"; not in the candidate: {', '.join(weights.missing)}"
        if weights.extra:
            text += f"; only in the candidate: {', '.join(weights.extra)}"
        yield "Weights", text
    if evaluation.flags:
        yield "Flags", ", ".join(flag.value for flag in evaluation.flags)
    if evaluation.overrides:
        yield "Constants set", ", ".join(f"{k} = {v}" for k, v in evaluation.overrides.items())
    open_measures = [f"{k}: {v}" for k, v in evaluation.isolation.items() if v != "enforced"]
    if open_measures:
        yield "Not confined", "; ".join(open_measures)
    if evaluation.peak_memory:
        yield "Peak memory seen", f"{evaluation.peak_memory / 2**20:.0f} MiB"


def _interval_text(interval: Any) -> str:
    low, high = texts.seconds_text(interval.low), texts.seconds_text(interval.high)
    return f"{texts.seconds_text(interval.median)} ({low} to {high})"


def _code(source: str, lexer: Lexer) -> Markup:
    if len(source) > _MAX_SOURCE:
        left_out = len(source) - _MAX_SOURCE
        source = source[:_MAX_SOURCE] + f"\n... {left_out} characters left out; see the run's files"
    return Markup(highlight(source, lexer, HtmlFormatter(cssclass="code")))


def _style(name: str, scope: str) -> str:
    # Its stub leaves get_style_defs untyped.
    formatter: Any = HtmlFormatter(style=name, cssclass="code")
    return str(formatter.get_style_defs(f"{scope} .code".strip()))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("metalwright.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
