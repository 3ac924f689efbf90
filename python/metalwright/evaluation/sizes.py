"""Held-out sizes: constants of a problem file that only feed get_inputs, and other values for them.

Found by data-flow over the syntax tree: a module-level integer may be varied if no path leads from
it to the model, its constructor's arguments or anything else that is not the inputs.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from metalwright.problems import Problem

_INPUTS = "get_inputs"
_MODEL = ("Model", "get_init_inputs")
_MOST = 1 << 20


def free_sizes(source: str) -> dict[str, int]:
    """The module-level integers that only the inputs depend on, with their values."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    uses = {name: _loads(node) for name, node in _definitions(tree)}
    reached = _reach(uses, [_INPUTS])
    others = [
        name
        for name in uses
        if name in _MODEL or (name not in reached and not _is_value(tree, name))
    ]
    fixed = _reach(uses, others) | {name for node in _statements(tree) for name in _loads(node)}
    found = {}
    for name, node in _definitions(tree):
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if (
            isinstance(value, ast.Constant)
            and type(value.value) is int
            and 1 < value.value <= _MOST
            and name in reached
            and name not in fixed
        ):
            found[name] = value.value
    return found


def other_sizes(problem: Problem) -> list[dict[str, str]]:
    """Overrides that give sizes which the problem does not show, at most four.

    One larger, one smaller, odd and ragged ones; all free constants at once, each by another
    amount, and the smallest of all, 1.
    """
    free = free_sizes(problem.source)
    if not free:
        return []

    def each(change: object) -> dict[str, str]:
        assert callable(change)
        return {name: str(max(1, change(value))) for name, value in free.items()}

    tried: list[dict[str, str]] = [
        each(lambda value: value + 1),
        each(lambda value: value - 1),
        each(lambda value: (value * 5 // 8) | 1),
        each(lambda value: 1),
    ]
    kept = []
    for overrides in tried:
        if overrides not in kept and any(overrides[name] != str(free[name]) for name in free):
            kept.append(overrides)
    return kept


def text_of(overrides: Mapping[str, str]) -> str:
    """``N = 33, M = 7``."""
    return ", ".join(f"{name} = {value}" for name, value in overrides.items())


def _definitions(tree: ast.Module) -> list[tuple[str, ast.stmt]]:
    found: list[tuple[str, ast.stmt]] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.append((node.name, node))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        found.append((name.id, node))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append((node.target.id, node))
    # Assigned twice: nobody can say which value is meant.
    names = [name for name, _ in found]
    return [(name, node) for name, node in found if names.count(name) == 1]


def _statements(tree: ast.Module) -> list[ast.stmt]:
    """What runs at the top level and is no definition: all of it counts as use."""
    defined = {id(node) for _, node in _definitions(tree)}
    plain = (ast.Import, ast.ImportFrom)
    return [n for n in tree.body if id(n) not in defined and not isinstance(n, plain)]


def _is_value(tree: ast.Module, name: str) -> bool:
    node = dict(_definitions(tree))[name]
    return isinstance(node, (ast.Assign, ast.AnnAssign))


def _loads(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _reach(uses: Mapping[str, set[str]], start: list[str]) -> set[str]:
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(uses.get(name, ()))
    return reached
