"""Reading the tables that `xctrace export` writes as XML."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from metalwright.errors import Error


@dataclass
class Cell:
    """One value of a row: its text, and the parts it is made of (a process has a pid)."""

    text: str
    parts: dict[str, Cell] = field(default_factory=dict)

    def part(self, tag: str) -> Cell | None:
        """The nearest part called `tag`, at any depth."""
        if tag in self.parts:
            return self.parts[tag]
        for inner in self.parts.values():
            found = inner.part(tag)
            if found is not None:
                return found
        return None


Row = dict[str, Cell]


class TableReader:
    """Yields the rows of one exported table, keyed by the mnemonics of its schema.

    A value that occurs again is written as a reference to the first one: ``<duration ref="7"/>``.
    The first one may be part of another value, in any earlier row. The rows of a second ``node``
    can rely on the schema of the first. Tables grow to gigabytes, so rows are dropped as soon as
    they are read; what is kept is one cell per distinct value.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._known: dict[str, Cell] = {}
        self.columns: tuple[str, ...] = ()

    def _fail(self, reason: str) -> Error:
        return Error("unreadable-trace", f"{self._path}: {reason}")

    def _cell(self, element: ElementTree.Element) -> Cell:
        reference = element.get("ref")
        if reference is not None:
            if reference not in self._known:
                raise self._fail(f"refers to value {reference}, which it does not hold")
            return self._known[reference]
        text = (element.text or "").strip() or element.get("fmt", "")
        cell = Cell(text, {child.tag: self._cell(child) for child in element})
        identifier = element.get("id")
        if identifier is not None:
            self._known[identifier] = cell
        return cell

    def rows(self) -> Iterator[Row]:
        """The rows, in the order of the file.

        Raises:
            Error: ``unreadable-trace``.
        """
        node: ElementTree.Element | None = None
        try:
            for event, element in ElementTree.iterparse(self._path, events=("start", "end")):
                if event == "start":
                    node = element if element.tag == "node" else node
                elif element.tag == "schema" and element.get("name") == self._schema:
                    self.columns = tuple(
                        column.findtext("mnemonic", "") for column in element.findall("col")
                    )
                elif element.tag == "row":
                    cells = [self._cell(child) for child in element]
                    if len(cells) != len(self.columns):
                        raise self._fail(
                            f"a row of {self._schema} has {len(cells)} values, "
                            f"the schema {len(self.columns)} columns"
                        )
                    yield dict(zip(self.columns, cells, strict=True))
                    if node is not None:
                        node.clear()  # this row and everything before it
        except ElementTree.ParseError as error:
            raise self._fail(f"not XML: {error}") from None
        except OSError as error:
            raise self._fail(error.strerror or str(error)) from None
