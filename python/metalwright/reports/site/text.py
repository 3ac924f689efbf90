"""Foreign text on its way into a page: cut, made visible, coloured.

Names, sources, answers and messages are whatever a model or a user wrote. Jinja's autoescaping
turns markup into text; what is left is here: characters that a reader cannot see but that change
how the others are shown, and texts that are too long for any page.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import CppLexer, PythonLexer

# A candidate may hold megabytes of embedded constants; a page has to stay readable.
_MOST_CHARACTERS = 60_000
_MOST_DIFF_LINES = 3_000
_KEPT = "\n\t"


def visible(text: str) -> str:
    """`text` with controls, and with what reverses or hides text, written out; and not too long."""
    if len(text) > _MOST_CHARACTERS:
        left_out = len(text) - _MOST_CHARACTERS
        text = text[:_MOST_CHARACTERS]
        text += f"\n... {left_out} characters left out; see the run's files"
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    hidden = {char for char in set(text) if char not in _KEPT and _is_hidden(char)}
    for char in hidden:
        text = text.replace(char, f"\\u{{{ord(char):x}}}")
    return text


def _is_hidden(char: str) -> bool:
    # Controls, formats (which bidirectional overrides are), surrogates, unassigned code points.
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Cn", "Co")


@lru_cache(maxsize=1)
def _formatter() -> HtmlFormatter[str]:
    return HtmlFormatter(nowrap=True)


@lru_cache(maxsize=512)
def python_code(source: str) -> Markup:
    """Python source, coloured."""
    return _code(source, PythonLexer(stripnl=False))


def metal_code(source: str) -> Markup:
    """Metal source, coloured."""
    return _code(source, CppLexer(stripnl=False))


def _code(source: str, lexer: Lexer) -> Markup:
    return Markup(highlight(visible(source), lexer, _formatter()))


def code_styles() -> tuple[str, str]:
    """The style sheets of coloured code for light and for dark pages."""

    def rules(style: str) -> str:
        # Its stub leaves get_style_defs untyped.
        formatter: Any = HtmlFormatter(style=style)
        # The panel's own background and text stay: both styles are made for other ones.
        found = str(formatter.get_style_defs(".code")).splitlines()
        return "\n".join(line for line in found if line.startswith(".code ."))

    # Of Pygments' light styles this one keeps WCAG's 4.5 to 1 on the panel with every colour.
    return rules("xcode"), rules("github-dark")


@dataclass(frozen=True)
class DiffLine:
    """One line; `kind` is ``same``, ``added``, ``removed`` or ``place``."""

    kind: str
    text: str


def diff_lines(before: str, after: str) -> list[DiffLine]:
    """What changed from one source to the next, with three lines around it."""
    old, new = visible(before).splitlines(), visible(after).splitlines()
    if len(old) + len(new) > _MOST_DIFF_LINES:
        return [DiffLine("place", "too long to be compared here; see `metalwright diff`")]
    return list(_diff(old, new))


def _diff(old: list[str], new: list[str]) -> Iterator[DiffLine]:
    kinds = {"+": "added", "-": "removed", "@": "place"}
    lines = difflib.unified_diff(old, new, n=3, lineterm="")
    for number, text in enumerate(lines):
        if number >= 2:  # the first two are the names of the files
            yield DiffLine(kinds.get(text[:1], "same"), text)
