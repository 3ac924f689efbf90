"""Parameters without the computation: `ModelNew.__init__` from the reference's source or state."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_DROPPED_FUNCTIONS = {"get_inputs", "get_init_inputs"}


def module_definitions(source: str, taken: frozenset[str]) -> tuple[str, str] | None:
    """Everything that the constructor of a problem file's ``Model`` needs, and nothing else.

    Returns the text that stands before the class (imports, constants, functions, other classes) and
    the class itself as ``ModelNew``. No class keeps its ``forward``, so that a candidate has no way
    to call the reference's computation. Definitions that the constructor cannot reach are left out.
    None if ``Model`` is not written as a class in this file, or a definition has a name in `taken`.
    """
    tree = ast.parse(source)
    if not any(isinstance(s, ast.ClassDef) and s.name == "Model" for s in tree.body):
        return None
    _StripForward().visit(tree)
    definitions: dict[str, ast.stmt] = {}
    order: list[ast.stmt] = []
    for statement in tree.body:
        names = list(_bound_names(statement))
        if _DROPPED_FUNCTIONS.issuperset(names) and names:
            continue
        order.append(statement)
        for name in names:
            definitions[name] = statement
    needed: set[int] = {id(definitions["Model"])}
    pending = [definitions["Model"]]
    while pending:
        for node in ast.walk(pending.pop()):
            if not isinstance(node, ast.Name):
                continue
            # The name may be bound by several statements: all of them run, so all are kept.
            for statement in order:
                if id(statement) not in needed and node.id in _bound_names(statement):
                    needed.add(id(statement))
                    pending.append(statement)
    before = [s for s in order if id(s) in needed and s is not definitions["Model"]]
    if any(not taken.isdisjoint(_bound_names(statement)) for statement in before):
        return None
    model = _Rename().visit(definitions["Model"])
    return (
        "\n".join(_text(statement) for statement in before),
        ast.unparse(ast.fix_missing_locations(model)),
    )


def _text(statement: ast.stmt) -> str:
    text = ast.unparse(ast.fix_missing_locations(statement))
    return f"\n\n{text}\n\n" if isinstance(statement, (ast.ClassDef, ast.FunctionDef)) else text


def _bound_names(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            for alias in aliases:
                yield alias.asname or alias.name.split(".")[0]
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case _:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id


class _StripForward(ast.NodeTransformer):
    """Leaves of every class its constructor and what that uses, without docstrings."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        methods = {s.name: s for s in node.body if isinstance(s, _FUNCTIONS)}
        others = [s for s in node.body if not isinstance(s, _FUNCTIONS) and not _is_text(s)]
        kept: set[str] = set()
        pending: list[ast.AST] = [*others]
        if "__init__" in methods:
            kept.add("__init__")
            pending.append(methods["__init__"])
        while pending:
            for part in ast.walk(pending.pop()):
                name = getattr(part, "attr", None) or getattr(part, "id", None)
                if name in methods and name not in kept and name != "forward":
                    kept.add(name)
                    pending.append(methods[name])
        node.body = [
            s
            for s in node.body
            if not _is_text(s) and (not isinstance(s, _FUNCTIONS) or s.name in kept)
        ] or [ast.Pass()]
        return node


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class _Rename(ast.NodeTransformer):
    """Model becomes ModelNew, also in ``super(Model, self)``."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = "ModelNew"
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name("ModelNew", node.ctx) if node.id == "Model" else node
