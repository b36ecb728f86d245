"""What becomes of rows that cannot be read, where each is to have an answer at its place."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from mtl.data.rows import BadRows, Role, place
from mtl.errors import DataError, Mismatch, Place, Problem
from mtl.inference.questions import ERROR
from mtl.types import Row

KEY = Role("key", "record", required=False, help="what the user calls the row")
"""Column ``id`` of an input, handed through to the output as it stands."""
ID = "id"
"""The column that `KEY` is read from."""


class Strict(BadRows):
    """Stops at the first bad row; there is no configuration that could say otherwise."""

    def reject(
        self, file: str | Path, line: int, wrong: Mismatch, raw: object, advice: str | None = None
    ) -> None:
        """Raise DataError with the row's place."""
        mend = "Mend the row, or take it out."
        raise DataError(Problem(Place(file, line), wrong.expected, wrong.found, mend))


class Marked(BadRows):
    """Keeps bad rows at their places among the others, so that answers stay aligned with rows."""

    keeps = True

    def __init__(self) -> None:
        super().__init__("skip", section="")
        self.read = 0
        """Rows so far that are right."""
        self.marks: list[tuple[int, Row]] = []
        """Bad rows, each with how many right ones stand before it."""

    def reject(
        self, file: str | Path, line: int, wrong: Mismatch, raw: object, advice: str | None = None
    ) -> None:
        """File a bad row.

        Raises:
            DataError: If no row has what it lacks: that is a column, for which a command line's
                file has no key, and so the advice is empty.
        """
        if advice == "":
            raise DataError(Problem(Place(file, line), wrong.expected, wrong.found))
        given = raw if isinstance(raw, dict) else {}
        mark: Row = {"_file": str(file), "_line": line, ERROR: str(wrong)}
        texts = (given.get(name) for name in ("text", "tokens"))
        mark["text"] = next((text for text in texts if isinstance(text, str)), None)
        if given.get(ID) is not None:
            mark[KEY.name] = given[ID]
        self.marks.append((self.read, mark))

    def __len__(self) -> int:
        return len(self.marks)

    def told(self, policy: str) -> str:
        """Return what is said of the bad rows, under ``mark`` or ``skip``."""
        first = self.marks[0][1]
        rows = "1 row" if len(self.marks) == 1 else f"{len(self.marks):,} rows"
        have = "has" if len(self.marks) == 1 else "have"
        then = f"{have} an `error` for an answer" if policy == "mark" else "left out"
        where = place(first["_file"], first["_line"])
        return f"{rows} {then} (`--on-bad-row={policy}`), the first at {where}: {first[ERROR]}."

    def count(self, row: Row) -> Row:
        """Count a right row."""
        self.read += 1
        return row


class Aligned(Sequence["Row"]):
    """Right rows and bad ones, in the order in which they were read.

    Args:
        rows: The right ones.
        marks: The bad ones, each with how many right ones stand before it.
    """

    def __init__(self, rows: Sequence[Row], marks: Sequence[tuple[int, Row]]) -> None:
        self.rows = rows
        self.marks = marks
        self._places = [before + number for number, (before, _) in enumerate(marks)]

    def __len__(self) -> int:
        return len(self.rows) + len(self.marks)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """Return one row; of a slice, a list."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(f"Expected a row below {len(self)}, but got {index}")
        before = bisect.bisect_left(self._places, index)
        if before < len(self._places) and self._places[before] == index:
            return self.marks[before][1]
        return self.rows[index - before]

    def __iter__(self) -> Iterator[Row]:
        bad = iter(self.marks)
        at, mark = next(bad, (len(self.rows), None))
        for number, row in enumerate(self.rows):
            while mark is not None and at <= number:
                yield mark
                at, mark = next(bad, (len(self.rows), None))
            yield row
        while mark is not None:
            yield mark
            at, mark = next(bad, (len(self.rows), None))
