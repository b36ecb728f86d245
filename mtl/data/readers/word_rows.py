"""Tables with a word in each row: rows are gathered into sentences.

Which rows belong together says a column: filled where a sentence begins, or the same in all its
rows. Empty lines do too, where there is no such column::

    Sentence #,Word,POS,Tag        id,word,label
    Sentence: 1,Ada,NNP,B-per      7,Ada,B-per
    ,ran,VBD,O                     7,ran,O
    Sentence: 2,Rome,NNP,B-geo     8,Rome,B-geo
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mtl.data.readers.base import Cells, Column, Source
from mtl.errors import DataError

SENTENCE = "_sentence"
"""Cell in which a reader says which sentence a row of one word belongs to; may be blank."""
ROLE = "sentence"
LEAST = 5
"""Rows of one word each, from which on a file is taken to have a word in each row."""
_WORDS = ("tokens", "tags")
_NAME = re.compile(r"(sent|sentence)s?[\W_]*(#|id|idx|no|nr|num|number|index)?", re.IGNORECASE)

Row = tuple[int, list[str]]


class Boundaries:
    """Where sentences begin in a table of words: by a column, or by empty lines.

    Args:
        place: The column's number; None for empty lines.
        name: What the user is told.
    """

    def __init__(self, place: int | None, name: str) -> None:
        self.place = place
        self.name = name
        self._gaps = 0

    def track(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield rows, but empty lines that end sentences."""
        for line, cells in rows:
            if self.place is None and not cells:
                self._gaps += 1
            else:
                yield line, cells

    def of(self, cells: Sequence[str]) -> str:
        """Return the name of the sentence of the row that was yielded last."""
        return str(self._gaps) if self.place is None else cells[self.place]


def find_boundaries(
    source: Source, names: Mapping[str, int], sample: Sequence[Row], places: Mapping[Column, int]
) -> Boundaries | None:
    """Return where sentences begin; None if rows are sentences, or nothing tells.

    Args:
        source: What is wanted.
        names: The columns' numbers by name; empty where they have none.
        sample: The first rows, empty ones too.
        places: The wanted columns' numbers.
    """
    kinds = {role.name: role.type for role in source.roles}
    own = [places[c] for r, c in source.columns.items() if kinds[r] in _WORDS and c in places]
    rows = [cells for _, cells in sample if any(cell.strip() for cell in cells)]
    words = (cells[i] for cells in rows for i in own if i < len(cells))
    if not own or len(rows) < LEAST or not all(map(_is_word, words)):
        return None
    if source.columns.get(ROLE) in places:
        return None  # It is read as any other column, and said by the user.
    others = [i for i in range(len(rows[0])) if i not in own]
    for name, at in names.items():
        if at in others and _NAME.fullmatch(name):
            return Boundaries(at, f"column '{name}'")
    for at in others:
        cells = [row[at].strip() for row in rows if at < len(row)]
        if cells[0] and 0 < sum(map(bool, cells)) * 2 <= len(cells):
            name = next((name for name, place in names.items() if place == at), str(at))
            return Boundaries(at, f"column '{name}'")
    filled = [bool(cells) for _, cells in sample]
    if False in filled[: len(filled) - filled[::-1].index(True)]:
        return Boundaries(None, "empty lines")
    return None


def gather(source: Source, rows: Iterable[tuple[int, Cells]]) -> Iterator[tuple[int, Cells]]:
    """Yield a row for each sentence, with lists for its words and their labels.

    Rows that do not say which sentence they are of are yielded as they are. A sentence that has
    lost a row as a bad one is left out and counted.

    Raises:
        DataError: If the rows of a sentence do not stand together, or all rows of a file hold one
            word and nothing says which belong together.
    """
    said = source.columns.get(ROLE)
    kinds = {role.name: role.type for role in source.roles}
    words = [c for r, c in source.columns.items() if kinds[r] in _WORDS]
    open_: _Sentence | None = None
    seen: set[str] = set()
    single = first = 0
    for line, cells in rows:
        marked = SENTENCE in cells or (said is not None and said in cells)
        if not marked or not words:
            single = single + 1 if single >= 0 and _one_word(cells, words) else -1
            first = first or line
            yield line, cells
            continue
        name = str(cells[SENTENCE] if SENTENCE in cells else cells[said]).strip()  # type: ignore[index]
        if open_ is None or (name and name != open_.name):
            if open_ is not None:
                yield from open_.close(source)
            if name in seen:
                raise source.fail(
                    line,
                    f"the rows of sentence '{name}' to stand together",
                    "it goes on here after another one",
                    "Sort the rows by sentence.",
                )
            seen.add(name)
            open_ = _Sentence(name, line, words, len(source.bad_rows))
        open_.add(line, cells)
    if open_ is not None:
        yield from open_.close(source)
    if single >= LEAST:
        raise _unmarked(source, first, single)


class _Sentence:
    """The rows of a sentence as they come."""

    def __init__(self, name: str, line: int, words: Sequence[Column], bad: int) -> None:
        self.name = name
        self._line = line
        self._words = words
        self._bad = bad
        self._rows: list[Cells] = []

    def add(self, line: int, cells: Cells) -> None:
        self._rows.append(cells)

    def close(self, source: Source) -> Iterator[tuple[int, Cells]]:
        if len(source.bad_rows) != self._bad:
            source.count(self._line, "sentence with a bad row", "left out as a whole")
            return
        first: dict[Column, Any] = dict(self._rows[0])
        first.pop(SENTENCE, None)
        gathered = {c: [row.get(c) for row in self._rows] for c in self._words if c in first}
        yield self._line, first | gathered


def _is_word(cell: str) -> bool:
    return len(cell.split()) <= 1 and not (len(cell) > 1 and cell.startswith("["))


def _one_word(cells: Cells, words: Sequence[Column]) -> bool:
    """Whether a row holds one word as a text, not a list of one."""
    found = [cells[c] for c in words if c in cells]
    return bool(found) and all(isinstance(c, str) and c.strip() and _is_word(c) for c in found)


def _unmarked(source: Source, line: int, rows: int) -> DataError:
    return source.fail(
        line,
        "a sentence in each row",
        f"each of {rows:,} rows holds one word",
        f"Set `{source.column_key(ROLE)}` to the column that says which sentence a word is of.",
    )
