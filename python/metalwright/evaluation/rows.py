"""Fresh inputs for every timed call: no two are alike, and none has been seen before.

Made in the judge from the draws it holds: each floating-point tensor is rotated by a random number
of elements. That costs a copy, and a result for one of them is no result for another. Where the
reference does not take rotated inputs (a matrix that has to be positive definite), the draws are
given in turn as they are.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metalwright.evaluation.exchange import DTYPES, Layout
from metalwright.evaluation.reference import Draw

MAX_ROWS = 512
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Row:
    """The inputs of one call: a draw, and by how many elements each of its tensors is rotated."""

    draw: Draw
    offsets: tuple[int, ...]

    def pieces(self) -> list[tuple[int, memoryview]]:
        """The file's content: byte offsets with what stands there."""
        content = memoryview(self.draw.content)
        found = []
        for entry, offset in zip(self.draw.layout["tensors"], self.offsets, strict=True):
            start, size, item = entry["offset"], _bytes(entry), DTYPES[entry["dtype"]].itemsize
            cut = start + offset * item
            found.append((start, content[cut : start + size]))
            if offset:
                found.append((start + size - offset * item, content[start:cut]))
        return found

    def content(self) -> bytearray:
        """The whole of it."""
        result = bytearray(self.draw.layout["size"])
        for place, piece in self.pieces():
            result[place : place + len(piece)] = piece
        return result


class RowMaker:
    """Makes rows of the draws that it is given; all have one layout."""

    def __init__(self, draws: Sequence[Draw], output_bytes: int) -> None:
        layout = draws[0].layout
        # Sizes that depend on the seed cannot share a file of equal rows.
        self._draws = [draw for draw in draws if draw.layout == layout]
        self.layout: Layout = layout
        size = max(1, layout["size"] + output_bytes)
        self.most = max(1, min(MAX_ROWS, _MAX_BYTES // size - 1))
        self.rotates = any(_rotates(entry) for entry in layout["tensors"])

    def make(self, count: int) -> list[Row]:
        """So many new rows."""
        rows = []
        for _ in range(count):
            draw = self._draws[secrets.randbelow(len(self._draws))]
            offsets = tuple(
                1 + secrets.randbelow(_count(entry) - 1) if self.rotates and _rotates(entry) else 0
                for entry in draw.layout["tensors"]
            )
            rows.append(Row(draw, offsets))
        return rows


def write_rows(path: Path, layout: Layout, rows: Sequence[Row]) -> None:
    """Writes them one after the other into a file that a worker may have mapped."""
    size = layout["size"]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.ftruncate(descriptor, size * len(rows))
        for number, row in enumerate(rows):
            for place, piece in row.pieces():
                os.pwrite(descriptor, piece, number * size + place)
    finally:
        os.close(descriptor)


def _rotates(entry: Layout) -> bool:
    return bool(DTYPES[entry["dtype"]].is_floating_point) and _count(entry) > 1


def _count(entry: Layout) -> int:
    result = 1
    for length in entry["shape"]:
        result *= length
    return result


def _bytes(entry: Layout) -> int:
    return _count(entry) * DTYPES[entry["dtype"]].itemsize
