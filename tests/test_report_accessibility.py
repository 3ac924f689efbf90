"""The report site by axe-core's rules (WCAG 2.1 A and AA, and good practice), in real Chromium."""

import zipfile
from pathlib import Path

import pytest
from tests.corpora.wheels import fetched

from test_report_browser import By, browser, draw_all, index, look  # noqa: F401

# The wheel carries axe-core; what it is written for is not needed.
_AXE = "axe-playwright-python==0.1.8"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/axe.min.js"))
        (folder / "axe.min.js").write_bytes(archive.read(name))


@pytest.fixture(scope="module")
def axe():
    try:
        return (fetched(_AXE, _unpack) / "axe.min.js").read_text("utf-8")
    except RuntimeError as error:
        pytest.skip(str(error))


def violations(browser, axe):  # noqa: F811
    """Each broken rule with the first element that breaks it."""
    browser.execute_script(axe)
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run({runOnly: {type: 'tag', values: arguments[0]}})"
        ".then(done, (error) => done({error: String(error)}))",
        _TAGS,
    )
    assert "error" not in found, found["error"]
    # As many rules must have held: on an empty page nothing is wrong either.
    assert len(found["passes"]) > 15
    return [
        (rule["id"], len(rule["nodes"]), rule["nodes"][0]["html"], rule["nodes"][0]["any"])
        for rule in found["violations"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_pages_break_no_rule(browser, index, axe, scheme, width):  # noqa: F811
    problems = sorted((index.parent / "problems").iterdir())
    for path in [index, problems[0]]:
        look(browser, width, scheme)
        browser.get(path.as_uri())
        browser.execute_script(
            "document.querySelectorAll('details').forEach((d) => { d.open = true; })"
        )
        draw_all(browser)
        assert violations(browser, axe) == [], path.name


def test_a_broken_rule_is_found(browser, index, axe):  # noqa: F811
    look(browser, 1280, "light")
    browser.get(index.as_uri())
    field = browser.find_element(By.ID, "filter-name")
    browser.execute_script(
        "document.querySelector(`label[for=${arguments[0].id}]`)?.remove();"
        "arguments[0].closest('label')?.replaceWith(arguments[0]);"
        "arguments[0].removeAttribute('placeholder')",
        field,
    )
    assert "label" in [rule for rule, *_ in violations(browser, axe)]
