"""A look at a candidate's text before anything of it is run.

It saves the time of running what cannot work and tells the model at once. It is no defence: what a
candidate may do is decided by the worker's confinement and the judge's checks.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from metalwright.generation.extraction import CLASS

# What a candidate has a use for. Others are not refused for safety, but because a candidate with
# files, processes or a network in it does something else than its task.
ALLOWED_IMPORTS = frozenset(
    [
        *("__future__", "base64", "collections", "contextlib", "dataclasses", "enum", "functools"),
        *("itertools", "math", "metalwright", "numbers", "numpy", "operator", "struct", "textwrap"),
        *("torch", "typing", "zlib"),
    ]
)
_FORBIDDEN_CALLS = {
    "__import__": "import what you need at the top",
    "breakpoint": "",
    "compile": "metalwright.compile compiles Metal",
    "eval": "",
    "exec": "",
    "exit": "",
    "input": "",
    "open": "a candidate works on its inputs alone",
    "quit": "",
    "globals": "",
    "vars": "",
}
_FORBIDDEN_ATTRIBUTES = {
    "torch.compile": "it is a baseline, not a kernel of yours",
    "torch.load": "a candidate works on its inputs alone",
    "torch.save": "a candidate works on its inputs alone",
    "torch.manual_seed": "it changes the state of the whole process",
    "torch.set_num_threads": "it changes the state of the whole process",
    "torch.set_default_dtype": "it changes the state of the whole process",
    "torch.use_deterministic_algorithms": "it changes the state of the whole process",
    "torch.cuda.graphs": "replaying a graph is not computing",
    "torch.utils.cpp_extension": "kernels are written in Metal",
    "torch.backends": "it changes the state of the whole process",
}
_KERNEL = re.compile(r"\bkernel\s+void\s+(\w+)|\[\[\s*kernel\s*\]\]\s*(?:\w+\s+)*?void\s+(\w+)")


@dataclass(frozen=True)
class Remark:
    """Something seen in the text."""

    line: int
    message: str
    refused: bool
    """The candidate need not be run."""


def look(source: str) -> list[Remark]:
    """Remarks on a candidate's text, which has to be valid Python, in the order of its lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    remarks = [*_imports(tree), *_calls(tree), *_model(tree), *_handlers(tree)]
    if not _compiles_metal(tree):
        remarks.append(
            Remark(1, "no call of metalwright.compile: there is no kernel of yours in it", True)
        )
    elif not find_kernels(source):
        remarks.append(Remark(1, "no text in it declares a kernel function", False))
    return sorted(remarks, key=lambda remark: (remark.line, remark.message))


def find_kernels(source: str) -> dict[str, str]:
    """The Metal texts of a candidate by the first kernel in each, for people and reports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        text = _text_of(node)
        match = _KERNEL.search(text) if text else None
        if text and match:
            found.setdefault(match[1] or match[2], text.strip("\n") + "\n")
    return found


def _text_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        # What is filled in at run time is shown as it is written.
        return "".join(
            part.value
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
            else ast.unparse(part).removeprefix("f'").removesuffix("'")
            for part in node.values
        )
    return None


def _imports(tree: ast.Module) -> Iterator[Remark]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
            if node.module == "metalwright":
                names += [f"metalwright.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] not in ALLOWED_IMPORTS:
                yield Remark(node.lineno, f"imports {name}, which a candidate may not", True)
            elif re.match(r"metalwright\.(_native|evaluation|search|runs|generation)\b", name):
                yield Remark(node.lineno, f"imports {name}, which is not for candidates", True)


def _calls(tree: ast.Module) -> Iterator[Remark]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            advice = _FORBIDDEN_CALLS.get(node.func.id)
            if advice is not None:
                text = f"calls {node.func.id}()" + (f": {advice}" if advice else "")
                yield Remark(node.lineno, text, True)
        elif isinstance(node, ast.Attribute):
            name = _dotted(node)
            advice = _FORBIDDEN_ATTRIBUTES.get(name or "")
            if advice is not None:
                yield Remark(node.lineno, f"uses {name}: {advice}", True)
            elif node.attr in ("__globals__", "__subclasses__", "__code__", "f_back", "gi_frame"):
                yield Remark(node.lineno, f"uses {node.attr}", True)


def _dotted(node: ast.expr) -> str | None:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _model(tree: ast.Module) -> Iterator[Remark]:
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == CLASS]
    if not classes:
        yield Remark(1, f"there is no class {CLASS}", True)
        return
    model = classes[-1]
    bases = [_dotted(base) for base in model.bases]
    if any(base == "Model" for base in bases):
        yield Remark(model.lineno, f"{CLASS} inherits from the reference Model", True)
    elif not bases:
        yield Remark(model.lineno, f"{CLASS} is no torch.nn.Module", True)
    methods = {n.name for n in model.body if isinstance(n, ast.FunctionDef)}
    if "forward" not in methods and all(base in ("nn.Module", "torch.nn.Module") for base in bases):
        yield Remark(model.lineno, f"{CLASS} has no forward", True)


def _handlers(tree: ast.Module) -> Iterator[Remark]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(_compiles_metal(n) for n in node.body):
            yield Remark(
                node.lineno,
                "catches errors of its own kernels; a fallback to torch counts as no kernel",
                False,
            )


def _compiles_metal(tree: ast.AST) -> bool:
    return any(
        isinstance(node, (ast.Attribute, ast.Name))
        and (node.attr if isinstance(node, ast.Attribute) else node.id)
        in ("compile", "compile_shader")
        for node in ast.walk(tree)
    )
