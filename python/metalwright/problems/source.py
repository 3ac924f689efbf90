"""Reading and rewriting a problem file's text, without running it.

The syntax tree says where a constant's value stands; the new value is put in its place in the text,
so comments survive and every line keeps its number.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from metalwright.errors import Error, user_error

# Arithmetic over literals, as `--set` takes it: `2**12`, `(64, 128)`, `-1.5`.
_LITERAL_NODES = (
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.BinOp,
    ast.UnaryOp,
    ast.operator,
    ast.unaryop,
    ast.Load,
)
# A module-level constant may also refer to names: `(64, N // 2)`, `torch.float32`.
_CONSTANT_NODES = (*_LITERAL_NODES, ast.Name, ast.Attribute)


@dataclass(frozen=True)
class ProblemSource:
    """The text of a problem file, and its module-level constants as source text, in order."""

    text: str
    constants: Mapping[str, str]


def parse_problem(text: str, where: str) -> ProblemSource:
    """Checks the form of a KernelBench problem file.

    Raises:
        Error: ``problem-syntax``, ``problem-without-model``, ``problem-without-inputs``.
    """
    tree = _parse(text, where)
    defined = set(_defined_names(tree))
    if "Model" not in defined:
        raise user_error("problem-without-model", path=where)
    if "get_inputs" not in defined:
        raise user_error("problem-without-inputs", path=where)
    return ProblemSource(text, {name: _segment(text, node) for name, node in _constants(tree)})


def looks_like_problem(text: str) -> bool:
    """Whether a file in a folder is meant as a problem: it defines one of the two required names.

    Text that is not Python counts as meant, so that the mistake is reported and not passed over.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return True
    return not {"Model", "get_inputs"}.isdisjoint(_defined_names(tree))


def override_constants(text: str, overrides: Mapping[str, str], where: str) -> str:
    """Returns `text` with the module-level constants named in `overrides` set to new source text.

    Raises:
        Error: ``unknown-constant``, which lists the constants of the file.
    """
    found: dict[str, list[ast.expr]] = {}
    for name, node in _constants(_parse(text, where)):
        found.setdefault(name, []).append(node)
    edits: list[tuple[int, int, str]] = []
    starts = _line_starts(text)
    for name, value in overrides.items():
        if name not in found:
            raise user_error(
                "unknown-constant", where=where, name=name, constants=", ".join(found) or "none"
            )
        for node in found[name]:
            begin, end = _span(starts, node)
            # A value over several lines keeps its line count, so that line numbers stay true.
            lines = text.encode()[begin:end].count(b"\n")
            edits.append((begin, end, f"({value}{chr(10) * lines})" if lines else value))
    data = text.encode()
    for begin, end, value in sorted(edits, reverse=True):
        data = data[:begin] + value.encode() + data[end:]
    return data.decode()


def parse_override(text: str) -> tuple[str, str]:
    """Splits ``NAME=VALUE``; the value is a Python literal, arithmetic included (``2**12``).

    Raises:
        Error: ``bad-override``.
    """
    name, separator, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not separator or not name.isidentifier():
        raise user_error("bad-override", text=text, reason="is not of the form NAME=VALUE")
    try:
        tree = ast.parse(value, mode="eval")
    except SyntaxError:
        tree = None
    if tree is None or not all(
        isinstance(node, (ast.Expression, *_LITERAL_NODES)) for node in ast.walk(tree)
    ):
        raise user_error("bad-override", text=text, reason=f"{value or 'nothing'} is no literal")
    return name, value


def _parse(text: str, where: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise user_error(
            "problem-syntax",
            path=where,
            line=error.lineno or 0,
            column=error.offset or 0,
            message=error.msg,
        ) from None
    except ValueError as error:  # a null byte
        raise Error("problem-syntax", f"{where}: {error}") from None


def _defined_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            pairs = [pair for target in node.targets for pair in _pair(target, node.value)]
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            pairs = list(_pair(node.target, node.value))
        else:
            continue
        for name, value in pairs:
            if all(isinstance(part, _CONSTANT_NODES) for part in ast.walk(value)):
                yield name, value


def _pair(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif (
        isinstance(target, ast.Tuple)
        and isinstance(value, ast.Tuple)
        and len(target.elts) == len(value.elts)
    ):
        for inner, element in zip(target.elts, value.elts, strict=True):
            yield from _pair(inner, element)


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _span(starts: list[int], node: ast.expr) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return (
        starts[node.lineno - 1] + node.col_offset,
        starts[node.end_lineno - 1] + node.end_col_offset,
    )


def _segment(text: str, node: ast.expr) -> str:
    begin, end = _span(_line_starts(text), node)
    return " ".join(text.encode()[begin:end].decode().split())
