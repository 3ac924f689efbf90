"""The terminal's table at every width, the summary's numbers, the HTML page."""

import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from metalwright.evaluation.model import (
    SAME_SPEED,
    Diagnostic,
    Evidence,
    Flag,
    Mismatch,
    Raised,
    Verdict,
)
from metalwright.reports import render_page, result_line, result_table, summarise, summary_lines
from metalwright.reports.summary import seconds_text
from test_runs_store import CANDIDATE, evaluation_of, store_of

ODD = "<script>alert('[bold]x[/bold]')</script>"


def printed(renderable, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


EVALUATIONS = [
    evaluation_of("softmax", ratio=2.0),
    evaluation_of("a_problem_with_quite_a_long_name_indeed", ratio=0.5),
    evaluation_of("noise", ratio=9.0, flags=(Flag.NOISY_TIMING,)),
    evaluation_of("wrong", Verdict.WRONG_VALUES),
]


@pytest.mark.parametrize("width", [30, 40, 60, 72, 80, 100, 110, 200])
def test_no_line_of_the_table_is_wider_than_the_terminal(width):
    text = printed(result_table(EVALUATIONS, width), width)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [50, 80, 140])
def test_problem_verdict_and_ratio_are_there_at_every_width(width):
    text = printed(result_table(EVALUATIONS, width), width)
    for words in ("softmax", "correct", "wrong-values", "2.00x", "0.50x"):
        assert words in text


def test_a_very_slow_candidate_still_has_a_ratio():
    text = printed(result_table([evaluation_of("slow", ratio=0.002)], 140), 140)
    assert "0.002x" in text
    assert "0.0018 to 0.0022" in text


def test_noise_has_no_number():
    text = printed(result_table(EVALUATIONS, 140), 140)
    assert "9.00x" not in text
    assert "noisy" in text


def test_the_summary_counts_failures_and_noise_as_one():
    summary = summarise(EVALUATIONS)
    assert (summary.problems, summary.correct, summary.faster, summary.noisy) == (4, 3, 1, 1)
    assert summary.mean_of_correct == pytest.approx(1.0)
    assert summary.mean_of_all == pytest.approx(1.0)
    faster = summarise([evaluation_of("a", ratio=4.0), evaluation_of("b", Verdict.CRASH)])
    assert faster.mean_of_correct == pytest.approx(4.0)
    assert faster.mean_of_all == pytest.approx(2.0)


def test_faster_means_beyond_what_identical_code_shows():
    # Intervals go from 0.9 to 1.1 times the ratio.
    assert summarise([evaluation_of("a", ratio=0.99 * SAME_SPEED / 0.9)]).faster == 0
    assert summarise([evaluation_of("a", ratio=1.01 * SAME_SPEED / 0.9)]).faster == 1


def test_the_lines_say_what_was_measured_on_what():
    lines = "\n".join(summary_lines(EVALUATIONS, planned=6))
    assert "4 of 6 problems done." in lines
    assert "3 of 4 correct, 1 faster than eager" in lines
    assert "cpu (Some CPU), which is not an Apple GPU" in lines


def test_a_time_beyond_the_roofline_is_in_no_mean():
    beyond = evaluation_of("beyond", ratio=90.0, flags=(Flag.BEYOND_ROOFLINE,))
    (line, *_) = summary_lines([evaluation_of("softmax", ratio=2.0), beyond], planned=2)
    assert "2 of 2 correct, 1 faster than eager" in line
    assert "2.00x over the correct, 1.41x over all" in line
    assert "1 faster than the device can be, in no mean" in line


def test_rows_of_shrunk_problems_say_so():
    text = printed(result_table(EVALUATIONS, 140, {"softmax"}), 140)
    assert "softmax (shrunk)" in text
    assert text.count("(shrunk)") == 1


def test_markup_in_names_and_messages_is_text():
    evaluation = evaluation_of("[bold]name[/bold]", Verdict.CRASH)
    assert "[bold]name[/bold]" in printed(result_line(evaluation), 200)
    assert "[bold]name[/bold]" in printed(result_table([evaluation], 200), 200)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (2.5, "2.5 s"), (1.234e-3, "1.23 ms"), (5e-6, "5 us"), (3e-8, "30 ns")],
)
def test_durations(seconds, text):
    assert seconds_text(seconds) == text


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []
        self.attributes = []
        self.text = []
        self.open = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "line", "rect", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("line", "rect", "path"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page(tmp_path):
    store = store_of(tmp_path, ("softmax", "slow", "noise", "broken", "pending"))
    store.add_attempt("softmax", CANDIDATE, evaluation_of("softmax", ratio=2.0))
    store.add_attempt("slow", CANDIDATE, evaluation_of("slow", ratio=0.4))
    noisy = evaluation_of("noise", ratio=3.0, flags=(Flag.NOISY_TIMING,))
    store.add_attempt("noise", CANDIDATE, noisy)
    mismatch = Mismatch(index=(1, 2), expected="1", actual="2", error=1.0)
    evidence = Evidence(
        check="values",
        message=ODD,
        seed_index=0,
        first=mismatch,
        worst=mismatch,
        raised=Raised(type="E", message=ODD, traceback=(ODD,)),
        diagnostics=(
            Diagnostic(severity="error", file="f", line=3, column=5, message=ODD, caret="    ^"),
        ),
    )
    broken = evaluation_of("broken", Verdict.WRONG_VALUES, evidence=(evidence,))
    store.add_attempt("broken", None, broken)
    text = render_page(store)
    parser = _Page()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return text, parser


def test_the_page_needs_no_network_and_no_script(page):
    text, parser = page
    assert not {"script", "link", "img", "iframe", "object"} & set(parser.tags)
    links = [value for name, value in parser.attributes if name in ("href", "src")]
    assert all(value.startswith("#") for value in links)
    assert not re.search(r"url\(|@import|https?://", text)


def test_the_page_shows_table_plot_kernels_evidence_and_machine(page):
    text, parser = page
    words = "".join(parser.text)
    for expected in (
        "softmax",
        "3 of 4 correct",
        "2.00x",
        "kernel",
        "Kernel ../b c",
        "First at [1, 2]: 2, expected 1.",
        "f:3:5: error: ",
        "Not done: pending.",
        "Some CPU",
        "These are not times of an Apple GPU",
        "class ModelNew",
    ):
        assert expected in words, expected
    assert "svg" in parser.tags
    assert text.count("<rect") == 3


def test_foreign_text_stays_text(page):
    text, parser = page
    assert ODD in "".join(parser.text)
    assert ODD not in text


def test_the_page_follows_light_and_dark_and_narrow_screens(page):
    text, _ = page
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    assert "@media (max-width" in text
