"""The report site as files: what is in it, what leads where, what foreign text may not do."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.made_up_run import make_run
from typer.testing import CliRunner

from metalwright.cli.app import app
from metalwright.errors import Error
from metalwright.evaluation.model import Verdict
from metalwright.generation.candidate import Candidate
from metalwright.generation.messages import Answer, Request, Text, Usage, user_message
from metalwright.reports.site import write_site
from metalwright.reports.site.charts import script_json
from metalwright.reports.site.text import diff_lines, visible
from metalwright.reports.summary import money_text, tokens_text
from metalwright.runs import RunStore
from metalwright.runs.journal import Journal
from metalwright.scoring.collect import collect_run
from metalwright.scoring.table import combine, score_group
from test_runs_store import evaluation_of, store_of

HOSTILE = "</script></pre></title><script>window.hacked = 1</script><img src=x onerror=hacked=1>"
VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """Reads a page; fails on tags that do not match."""

    def __init__(self, path):
        super().__init__()
        self.open, self.links, self.ids, self.tags, self.words = [], [], set(), [], []
        self.handlers = []
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("href", "src"):
                self.links.append(value)
            elif name == "id":
                assert value not in self.ids, value
                self.ids.add(value)
            elif name.startswith("on"):
                self.handlers.append(name)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs"), problems=6, attempts=4, seed=3)


@pytest.fixture(scope="module")
def site(run):
    index = write_site([run])
    pages = {path.relative_to(index.parent): Page(path) for path in index.parent.rglob("*.html")}
    return index.parent, pages


def test_a_site_is_an_overview_prompts_and_a_page_per_problem(site):
    folder, pages = site
    assert sum(path.parts[0] == "problems" for path in pages) == 6
    assert {Path("index.html"), Path("prompts.html")} <= set(pages)
    scripts = sorted(path.name for path in folder.rglob("*.js"))
    assert scripts == ["plotly.min.js", "site.js"], "the chart library is there once"


def test_every_link_leads_to_something_that_is_there(site):
    folder, pages = site
    for path, page in pages.items():
        for link in page.links:
            if link == "data:,":
                continue
            name, _, place = link.partition("#")
            target = (folder / path.parent / name).resolve() if name else folder / path
            assert target.is_file(), (path, link)
            assert folder.resolve() in target.resolve().parents
            if place:
                assert place in pages[target.resolve().relative_to(folder.resolve())].ids, link


def test_nothing_needs_the_network(site):
    folder, pages = site
    for page in pages.values():
        assert not [link for link in page.links if "//" in link]
    for name in ("site.css", "site.js"):
        assert not re.search(r"https?://|url\(|@import", (folder / "assets" / name).read_text())


def test_the_overview_has_every_chart_with_its_table(site):
    _, pages = site
    page = pages[Path("index.html")]
    charts = {name for name in page.ids if name.startswith("chart-")}
    assert charts == {
        *("chart-distribution", "chart-ranked", "chart-fast-p", "chart-correct-by-attempt"),
        *("chart-ratio-by-attempt", "chart-by-level", "chart-best-of-models", "chart-cost"),
    }
    assert page.tags.count("figure") == 8
    assert page.text.count("as a table") == 8
    for words in ("6 problems are scored", "not times of an Apple GPU", "all together"):
        assert words in page.text


def test_a_problem_page_shows_reference_attempts_prompts_answers_and_changes(site, run):
    _, pages = site
    page = next(page for path, page in pages.items() if path.name.startswith("003"))
    journal = Journal.open(run)
    name = journal_names(run)[2]
    attempts = journal.attempts(name)
    for words in ("class Model(nn.Module)", "The system prompt", "What the judge found", "Answer"):
        assert words in page.text
    for attempt in attempts:
        assert f"attempt-{attempt.number}" in page.ids
        assert attempt.evaluation.summary in page.text
    assert page.text.count("Changes to attempt") == len(attempts) - 1
    assert {"chart-timings", "chart-roofline"} <= page.ids


def journal_names(run):
    from metalwright.runs import RunStore

    return RunStore.open(run).config.problems


def test_figures_agree_with_the_scores(site, run):
    from metalwright.scoring.collect import collect_run
    from metalwright.scoring.table import score_table

    scores = collect_run(run)
    page = site[1][Path("index.html")]
    union = next(g for g in score_table(scores) if g.model == "all together")
    assert f"{union.solved} of {union.problems}" in page.text
    assert f"{union.mean_kept.value:.2f}x" in page.text
    for problem in scores.problems:
        best = problem.best()
        assert f">{html.escape(problem.name)}</a>" in page.source
        if best.ratio is not None:
            assert f'data-value="{best.ratio}"' in page.source


def test_a_run_without_its_store_still_has_pages(run, tmp_path):
    import shutil

    copy = shutil.copytree(run, tmp_path / "given" / "copy")
    shutil.rmtree(copy / "report", ignore_errors=True)
    index = write_site([copy])
    page = Page(next(iter(sorted((index.parent / "problems").iterdir()))))
    assert "What the judge found" in page.text
    assert "keeps the tile" in page.text


def test_two_runs_stand_side_by_side(run, tmp_path):
    other = make_run(tmp_path / "runs", problems=3, attempts=2, seed=9)
    index = write_site([run, other], tmp_path / "both")
    page = Page(index)
    assert len(list((index.parent / "problems").iterdir())) == 9
    assert f"vendor:alpha, {run.name}" in page.text
    assert (
        "The same name in other runs"
        in Page(index.parent / "problems/1-001-1-argmax-middle.html").text
    )


def test_two_runs_of_the_same_suite_have_the_union_of_their_models(run, tmp_path):
    other = make_run(tmp_path / "runs", problems=6, attempts=2, seed=8)
    page = Page(write_site([run, other], tmp_path / "both"))
    union = combine([collect_run(run), collect_run(other)])
    whole = score_group(union.scored)
    assert "These runs are not alike" not in page.text
    assert f"{run.name} + {other.name}" in page.text
    assert "all runs, all together" in page.text
    assert f"{whole.mean_kept.value:.2f}x" in page.text
    assert f"{whole.solved} of {whole.problems}" in page.text


def test_runs_that_are_not_alike_are_said_to_be_and_not_put_together(run, tmp_path):
    other = make_run(tmp_path / "runs", problems=6, attempts=2, seed=8)
    config = RunStore.open(other).config
    changed = config.model_copy(update={"versions": {**config.versions, "torch": "1"}})
    (other / "run.json").write_text(changed.model_dump_json())
    page = Page(write_site([run, other], tmp_path / "both"))
    assert "These runs are not alike" in page.text
    assert "versions: torch: 0 and 1" in page.text
    assert "all runs" not in page.text


def test_an_attempt_says_what_it_cost(site, run):
    page = next(page for path, page in site[1].items() if path.name.startswith("003"))
    for attempt in collect_run(run).problems[2].attempts:
        assert f"1 call, {tokens_text(attempt.asked.tokens)}" in page.text
        assert money_text(attempt.asked.money) in page.text


def test_writing_again_replaces_what_was_ours_and_nothing_else(run, tmp_path):
    output = tmp_path / "out"
    write_site([run], output)
    stale = output / "problems" / "001-1-argmax-middle.html"
    assert stale.exists()
    (output / "mine.txt").write_text("mine")
    small = make_run(tmp_path / "runs", problems=1, attempts=1, seed=1)
    from_other = write_site([small, run], output)
    assert from_other == output / "index.html"
    assert not stale.exists()
    assert (output / "mine.txt").read_text() == "mine"


def test_a_folder_with_something_else_is_left_alone(run, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    result = CliRunner().invoke(app, ["report", str(run), "--output", str(tmp_path / "precious")])
    assert result.exit_code == 2
    assert "error[not-a-report]" in result.output
    assert sorted(p.name for p in (tmp_path / "precious").iterdir()) == ["file"]
    with pytest.raises(Error) as raised:
        write_site([run], tmp_path / "precious" / "file")
    assert raised.value.code == "not-a-report"


def test_the_command_prints_the_summary_and_where_the_site_is(run, tmp_path):
    result = CliRunner().invoke(app, ["report", str(run), "--output", str(tmp_path / "o")])
    assert result.exit_code == 0, result.output
    assert f"Report: {tmp_path / 'o' / 'index.html'}" in result.output
    assert "all together" in result.output


# ---------------------------------------------------------------------------------- foreign text


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory):
    return hostile_run(tmp_path_factory.mktemp("hostile"))


def hostile_run(folder):
    """A site of a run in which every text tries to be markup; its index."""
    store = store_of(folder, (HOSTILE, "plain"))
    journal = Journal.create(
        store.folder, "x", "", store.config.model_dump_json(), list(store.config.problems)
    )
    with journal.session():
        for number, verdict in enumerate((Verdict.CORRECT, Verdict.WRONG_VALUES), 1):
            request = Request(
                model=HOSTILE, system=HOSTILE, messages=(user_message(HOSTILE),), max_tokens=9
            )
            call = journal.begin_call(HOSTILE, f"{number}/c", "attempt", request, "", 1.0, 9)
            answer = Answer(parts=(Text(text=HOSTILE),), stop="end", usage=Usage())
            journal.finish_call(call, answer)
            evaluation = evaluation_of(
                HOSTILE, verdict, ratio=2.0 if verdict is Verdict.CORRECT else None
            ).model_copy(update={"summary": HOSTILE, "sanitizer": (HOSTILE,)})
            candidate = Candidate(
                f"# {number}\n{HOSTILE}\n", {HOSTILE: HOSTILE}, HOSTILE, (HOSTILE,)
            )
            journal.add_attempt(
                HOSTILE,
                str(number),
                candidate,
                evaluation,
                model=HOSTILE,
                kind="proposal",
                parents=(number - 1,) if number > 1 else (),
                call_id=call,
            )
    return write_site([store.folder])


def test_markup_in_any_text_stays_text(hostile_site):
    own = 0
    for path in hostile_site.parent.rglob("*.html"):
        page = Page(path)
        assert "img" not in page.tags
        assert not page.handlers
        # Two files for every page, and one data element per chart.
        assert page.tags.count("script") == 2 + page.tags.count("figure")
        own += page.text.count("window.hacked")
    assert own > 10, "the text is shown, as text"


def test_data_cannot_leave_its_element():
    text = str(script_json({"name": "</script><!--&\u2028"}))
    assert not set("<>&\u2028") & set(text)


def test_what_hides_or_reverses_text_is_written_out():
    assert visible("a\u202eb\u200bc\x1bd\te\n") == "a\\u{202e}b\\u{200b}c\\u{1b}d\te\n"
    assert visible("naïve 中文 😀") == "naïve 中文 😀"
    assert len(visible("x" * 10**6)) < 100_000


def test_changes_are_marked_and_long_ones_given_up():
    kinds = [line.kind for line in diff_lines("a\nb\nc\n", "a\nB\nc\n")]
    assert kinds == ["place", "same", "removed", "added", "same"]
    assert diff_lines("same\n", "same\n") == []
    (only,) = diff_lines("x\n" * 4000, "y\n")
    assert only.kind == "place"


# ---------------------------------------------------------------------------------- colours


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """WCAG 2's contrast ratio of two colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_from_their_background(site, scheme):
    sheet = (site[0] / "assets" / "site.css").read_text()
    block = re.findall(r":root \{(.*?)\}", sheet, re.S)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for ground in ("page", "panel"):
        for name in ("text", "muted", "link", "good", "bad", "other"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        for number in range(8):
            assert contrast(colours[f"c{number}"], colours[ground]) >= 3, (number, ground)
    for ground in ("mark", "added", "removed"):
        assert contrast(colours["text"], colours[ground]) >= 4.5
