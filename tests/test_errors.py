"""The table of user errors: complete, used, and filled in where it is used."""

import ast
import string
from pathlib import Path

import pytest

import metalwright
from metalwright.errors import TABLE, Error, user_error

SOURCES = sorted(Path(metalwright.__file__).parent.rglob("*.py"))


def raised():
    """Every call of user_error in the package: code, names of values, place."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "user_error":
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    names = {keyword.arg for keyword in node.keywords}
                    yield code.value, names, f"{path.name}:{node.lineno}"


def test_every_code_that_is_raised_is_in_the_table_with_its_values():
    for code, names, place in raised():
        assert code in TABLE, place
        text = TABLE[code]
        wanted = {
            field
            for template in (text.what, text.hint)
            for _, field, _, _ in string.Formatter().parse(template)
            if field
        }
        assert names == wanted, place


def test_every_row_of_the_table_is_raised_somewhere():
    everything = "".join(path.read_text("utf-8") for path in SOURCES if path.name != "errors.py")
    assert [code for code in TABLE if f'"{code}"' not in everything] == []


def test_an_error_prints_what_happened_and_what_to_do():
    error = user_error("no-problems", path="here")
    assert (error.code, error.message) == ("no-problems", "here: no problem files in it")
    assert str(error) == f"{error.message}\n{error.hint}"
    assert str(Error("code", "only this")) == "only this"
    with pytest.raises(KeyError):
        user_error("no-such-code")
