"""Finding the candidate in a model's answer."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from dataclasses import dataclass

from metalwright.generation.fences import Block, blocks, longer_readings, split_lines
from metalwright.generation.patches import PatchError, apply_patch, is_patch

CLASS = "ModelNew"
_PYTHON = {"python", "py", "python3", ""}
# Trying every beginning and end of a long answer without fences would take minutes.
_MAX_TRIES = 40


@dataclass(frozen=True)
class Extracted:
    """A candidate's text, and by which rule it was found."""

    source: str
    rule: str


class Unparsable(Exception):
    """There is no candidate in the answer. The message goes back to the model."""


def extract(answer: str, parent: str | None = None, *, truncated: bool = False) -> Extracted:
    """Finds the Python file in an answer: one that parses and defines ModelNew.

    A file in a block of its own wins, the last one if there are several; then blocks that make one
    together; then changes to `parent`, the text that the model was shown; then code without fences.

    Raises:
        Unparsable: with the reason that is most useful to the model.
    """
    answer = answer.removeprefix("\ufeff")
    found = list(blocks(answer))
    for finding in (
        _whole_file(answer, found),
        _changes(found, answer, parent),
        None if found else _without_fences(answer),
    ):
        if finding is not None:
            return finding
    raise Unparsable(_reason(answer, found, parent, truncated))


def defines_model(source: str) -> bool:
    """Whether a text is Python and defines ModelNew."""
    tree = _parse(source)
    return tree is not None and _defines(tree)


def _whole_file(answer: str, found: list[Block]) -> Extracted | None:
    for position in reversed(range(len(found))):
        block = found[position]
        for number, reading in enumerate([block, *longer_readings(answer, block)]):
            tree = _parse(reading.text)
            if tree is None or not _defines(tree):
                continue
            if not reading.closed and number == 0 and not _looks_whole(reading.text):
                continue
            earlier = _needed(tree, found[:position])
            if earlier:
                text = "\n\n".join([*(b.text.strip("\n") for b in earlier), reading.text])
                if _parse(text) is not None:
                    return Extracted(_tidy(text), "blocks put together")
            return Extracted(_tidy(reading.text), "longer block" if number else "block")
    together = "\n\n".join(block.text.strip("\n") for block in found if block.info in _PYTHON)
    whole = all(block.closed for block in found) or _looks_whole(together)
    if whole and defines_model(together):
        return Extracted(_tidy(together), "blocks put together")
    return None


def _looks_whole(text: str) -> bool:
    # Cut off at a place where the text still parses: the end of the class is missing, not its
    # beginning. A class with a forward that returns something is taken for whole.
    return bool(re.search(r"def forward\b.*\n\s+return\b[^\n]*\n", text, re.S))


def _needed(tree: ast.Module, earlier: list[Block]) -> list[Block]:
    """The earlier blocks that define names which this one uses and does not define."""
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _loads(n)}
    missing = used - _bound(tree) - set(dir(builtins))
    chosen: list[Block] = []
    for block in reversed(earlier):
        other = _parse(block.text) if block.info in _PYTHON else None
        if other is None or _defines(other):
            continue
        given = missing & _bound(other)
        if given:
            chosen.insert(0, block)
            missing -= given
    return chosen


def _loads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _bound(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name() if not _loads(node):
                names.add(node.id)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.arg():
                names.add(node.arg)
            case ast.alias():
                names.add((node.asname or node.name).split(".")[0])
            case ast.ExceptHandler() if node.name:
                names.add(node.name)
    return names


def _changes(found: list[Block], answer: str, parent: str | None) -> Extracted | None:
    if parent is None:
        return None
    patches = [b.text for b in found if is_patch(b.text)]
    if not patches and not found and is_patch(answer):
        patches = [answer]
    text = parent
    try:
        for patch in patches:
            text = apply_patch(text, patch)
    except PatchError:
        return None
    if patches and defines_model(text):
        return Extracted(_tidy(text), "changes to the parent")
    return None


def _without_fences(answer: str) -> Extracted | None:
    if defines_model(answer):
        return Extracted(_tidy(answer), "the whole answer")
    lines = split_lines(answer)
    starts = [
        index
        for index, line in enumerate(lines)
        if re.match(r"(import|from|class|def|@|#|\"\"\"|[A-Za-z_]\w*\s*=)", line)
    ]
    if not any(re.match(rf"class {CLASS}\b", line) for line in lines):
        return None
    for start in starts[:_MAX_TRIES]:
        end = len(lines)
        for _ in range(_MAX_TRIES):
            text = "\n".join(lines[start:end])
            error = _syntax_error(text)
            if error is None:
                if defines_model(text):
                    return Extracted(_tidy(text), "code without fences")
                break
            # Prose behind the code: cut before the line that Python stumbles over.
            cut = start + max((error.lineno or 1) - 1, 0)
            end = cut if cut < end else end - 1
            if end <= start:
                break
    return None


def _reason(answer: str, found: list[Block], parent: str | None, truncated: bool) -> str:
    if not answer.strip():
        return "the answer is empty"
    if truncated or (found and not found[-1].closed):
        return "the answer was cut off before its code ended; give a shorter file"
    patches = [block.text for block in found if is_patch(block.text)]
    if patches and parent is not None:
        try:
            text = parent
            for patch in patches:
                text = apply_patch(text, patch)
        except PatchError as error:
            return f"the changes cannot be applied: {error}; give the whole file"
        error_of_text = _syntax_error(text)
        if error_of_text is not None:
            return f"with the changes the file is not Python: {_describe(error_of_text)}"
    for block in reversed(found):
        if f"class {CLASS}" in block.text:
            error_of_block = _syntax_error(block.text)
            if error_of_block is not None:
                return f"the file is not valid Python: {_describe(error_of_block)}"
    if not found:
        return "there is no code block in the answer"
    return f"no code block defines class {CLASS}"


def _describe(error: SyntaxError) -> str:
    line = (error.text or "").strip()
    return f"line {error.lineno}: {error.msg}" + (f": {line[:200]}" if line else "")


def _defines(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ClassDef) and node.name == CLASS for node in tree.body)


def _parse(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            # Metal in an ordinary string has backslashes that Python warns about.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _syntax_error(text: str) -> SyntaxError | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxError(str(error) or "too deeply nested")
    return None


def _tidy(text: str) -> str:
    return "\n".join(split_lines(text)).strip("\n").lstrip("\ufeff") + "\n"
