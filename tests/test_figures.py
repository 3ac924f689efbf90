"""The command that writes the table of figures: its lines, and the page that it rewrites."""

import pytest

pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

from bench.figures import __main__ as command
from bench.figures.rows import Figure, groups, memory

pytestmark = [pytest.mark.native, pytest.mark.torch]


def test_a_line_says_whether_the_goal_is_met():
    assert Figure("add", "1.0", "0.9", True).markdown() == "| add | 1.0 | 0.9 | met |"
    assert Figure("add", "1.0", "1.2", False).markdown() == "| add | 1.0 | 1.2 | **not met** |"
    assert Figure("add", "", "1.2", None).markdown() == "| add |  | 1.2 |  |"


def test_only_what_is_between_the_marks_is_rewritten(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{command.BEGIN}\nold\n{command.END}\nafter\n")
    for content in ("first", "second"):
        command.write(page, content)
        assert page.read_text() == f"before\n{command.BEGIN}\n{content}\n{command.END}\nafter\n"
    page.write_text("no marks\n")
    with pytest.raises(SystemExit, match="missing"):
        command.write(page, "x")
    assert page.read_text() == "no marks\n"


def test_the_page_has_the_marks():
    text = command.PAGE.read_text("utf-8")
    assert text.count(command.BEGIN) == text.count(command.END) == 1


def test_a_group_is_measured(monkeypatch):
    """The shortest one that dispatches kernels, with fewer dispatches than the table's."""
    monkeypatch.setattr("bench.figures.rows.DISPATCHES", 5000)
    figures = list(memory())
    assert len(figures) == 2
    assert all("bytes per dispatch" in figure.measured for figure in figures)
    assert "memory" in groups("demo")
