"""Rows of cells that quotation marks may enclose, and which files have such cells.

A cell in marks may hold delimiters, line ends, and marks that are written twice::

    1,"two
    lines, ""in"" marks",pos
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator

from mtl.data.readers.base import Source
from mtl.data.readers.delimiters import LONGEST_CELL
from mtl.data.readers.text import lines
from mtl.errors import Mismatch

Row = tuple[int, list[str]]
"""The line that a row begins on, and its cells."""
MARK = '"'
_LIKE_ROWS = 3
"""Lines inside one cell that look like rows, from which on it is said."""


def quoted_rows(source: Source, delimiter: str) -> Iterator[Row]:
    """Yield every row, blank ones too. One whose marks do not close is filed as a bad row.

    After a bad row, reading goes on with the line after the mark, as if it had not been there.
    """
    tape = _Tape(source)
    reader = _strict(tape, delimiter)
    while True:
        tape.taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            _refuse(source, tape.taken, delimiter, problem)
            tape.back(1)
            reader = _strict(tape, delimiter)
            continue
        if len(tape.taken) > _LIKE_ROWS and _like_rows(tape.taken, delimiter, len(cells)):
            source.count(
                tape.taken[0][0],
                "cell of several lines that each look like a row",
                "read as one text (is a quotation mark missing?)",
            )
        yield tape.taken[0][0], cells


def plain_rows(source: Source, delimiter: str) -> Iterator[Row]:
    """Yield every row, blank ones too; marks mean themselves."""
    for number, line in lines(source):
        text = line.rstrip("\r\n")
        yield number, text.split(delimiter) if text else []


def is_quoted(source: Source, delimiter: str) -> bool | None:
    """Return whether a TSV file has its cells in marks as CSV files have, judged by all of it.

    None if no cell begins with one, so that nothing can be said.

    It has if marks close wherever they open, and no more rows are then of another width than
    without them. Where some marks do not close, nine of ten cells that begin with one must end
    with one too: then it is the others that are wrong.
    """
    if not any(line.startswith(MARK) or delimiter + MARK in line for _, line in lines(source)):
        return None
    try:
        quoted = Counter(len(row) for row in _strict(_Tape(source), delimiter) if row)
    except csv.Error:
        closed, opened = _closed_cells(source, delimiter)
        return closed * 10 > opened * 9
    plain = Counter(len(cells) for _, cells in plain_rows(source, delimiter) if cells)
    return _misfits(quoted) <= _misfits(plain)


class _Tape(Iterator[str]):
    """A file's lines, with those that the row at hand has taken."""

    def __init__(self, source: Source) -> None:
        self.taken: list[tuple[int, str]] = []
        self._again: list[tuple[int, str]] = []
        self._lines = lines(source, newline="")

    def __next__(self) -> str:
        item = self._again.pop() if self._again else next(self._lines)
        self.taken.append(item)
        return item[1]

    def back(self, kept: int) -> None:
        """Give back the lines taken, but the first ones."""
        self._again.extend(reversed(self.taken[kept:]))


def _strict(tape: _Tape, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST_CELL)
    return csv.reader(tape, delimiter=delimiter, strict=True)


def _misfits(widths: Counter[int]) -> int:
    return widths.total() - max(widths.values(), default=0)


def _closed_cells(source: Source, delimiter: str) -> tuple[int, int]:
    """Return how many cells a mark opens and closes, and how many one opens."""
    closed = opened = 0
    for _, cells in plain_rows(source, delimiter):
        for cell in cells:
            if cell.startswith(MARK):
                opened += 1
                inner = cell[1:-1].replace(MARK * 2, "")
                closed += len(cell) > 1 and cell.endswith(MARK) and MARK not in inner
    return closed, opened


def _like_rows(taken: list[tuple[int, str]], delimiter: str, width: int) -> bool:
    inner = [line for _, line in taken[1:-1]]
    return width > 1 and all(line.count(delimiter) == width - 1 for line in inner)


def _refuse(
    source: Source, taken: list[tuple[int, str]], delimiter: str, problem: csv.Error
) -> None:
    if "expected after" not in str(problem) and "unexpected end" not in str(problem):
        first = taken[0][0] if taken else 0
        source.reject(first, Mismatch("a row of cells", f"found {problem}"), None)
        return
    opens, closes = _marks(taken, delimiter)
    if closes == opens:
        found = f"more of the cell after the quotation mark that closes it on line {closes}"
    elif closes:
        found = f"that the one that opens here is closed in the middle of line {closes}"
    else:
        found = "that the one that opens here is closed nowhere"
    source.reject(
        opens,
        Mismatch("quotation marks that enclose a whole cell", f"found {found}"),
        [line for _, line in taken[:1]],
        _advice(source),
    )


def _advice(source: Source) -> str:
    key = "quoting=false" if source.section else "no-quoting"
    return (
        "Close it (a mark inside such a cell is written twice), or set "
        f"`{source.key(key)}` if marks stand for themselves in this file."
    )


def _marks(taken: list[tuple[int, str]], delimiter: str) -> tuple[int, int]:
    """Return the lines where the mark at fault opens and closes a cell; 0 where it does not."""
    opens, inside = taken[0][0], False
    for number, line in taken:
        text = line.rstrip("\r\n")
        at = 0
        while at <= len(text):
            if not inside and not text.startswith(MARK, at):
                at = text.find(delimiter, at) + 1 or len(text) + 1
            elif not inside:
                opens, inside, at = number, True, at + 1
            elif (at := text.find(MARK, at)) < 0:
                break
            elif text.startswith(MARK * 2, at):
                at += 2
            else:
                inside, at = False, at + 1
                if at < len(text) and not text.startswith(delimiter, at):
                    return opens, number
                at += 1
    return opens, 0
