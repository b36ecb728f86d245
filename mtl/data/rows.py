"""Rows: what a data file becomes, and what happens to the lines that do not.

One row, as tasks see it::

    {"tokens": ["EU", "rejects"], "labels": ["I-ORG", "O"],
     "_file": "eng.train", "_line": 3, "_id": "train-0"}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from mtl.data.value_types import VALUE_TYPES
from mtl.errors import ConfigError, DataError, Mismatch, Place, Problem, one_of

if TYPE_CHECKING:
    import pyarrow as pa

    from mtl.types import Row

POLICIES = ("error", "skip")
_CHUNK = 10_000
"""Rows that are hashed at a time."""


@dataclass(frozen=True)
class Role:
    """What a task wants from a column.

    Args:
        name: The key of ``columns`` in the task's YAML, and of the row.
        type: A name in :data:`mtl.data.value_types.VALUE_TYPES`: ``text``, ``tokens``,
            ``tags``, ``label``, ``labels``, ``number``, ``texts``, ``answers``, ``spans`` or
            ``record``.
        required: Whether every row must have a value for it.
        help: What it is, in a few words.
        target: Whether it is what the task learns to predict; predictions do without.
        instead_of: Roles that are not required where this one has a column, which then is.
        needs: Roles that are required beside it.
        further: Roles that its second and later columns are read as, where it has several.
        together: Whether rows with the same value stay on one side when validation is cut.
    """

    name: str
    type: str
    required: bool = True
    help: str = ""
    target: bool = False
    instead_of: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    together: bool = False

    def __post_init__(self) -> None:
        VALUE_TYPES.get(self.type, where=f"type of role {self.name}")


def remark(one: str, several: str, text: str, *, harmless: bool = False) -> str:
    """Return a key to count by: ``remark("target", "targets", "longer than 8.")``.

    Args:
        one: What is counted, of one.
        several: The same of several.
        text: The rest of the sentence.
        harmless: Whether nothing is lost by it.
    """
    return f"{one}|{several}|{text}{HARMLESS if harmless else ''}"


HARMLESS = "|"
"""The end of a key of something by which nothing is lost."""


class Remarked(NamedTuple):
    """What was counted under one key."""

    number: int
    text: str
    """The sentence: ``3 targets longer than 8.``."""
    harmless: bool


def remarked(counts: Mapping[str, int]) -> list[Remarked]:
    """Return what was counted, by keys that :func:`remark` made."""
    found = []
    for key, count in sorted(counts.items()):
        one, several, text = key.removesuffix(HARMLESS).split("|", 2)
        if count:
            sentence = f"{count:,} {one if count == 1 else several} {text}"
            found.append(Remarked(count, sentence, key.endswith(HARMLESS)))
    return found


def told(counts: Mapping[str, int], section: str) -> list[str]:
    """Return what was counted, a sentence each: ``tasks.qa: 3 targets longer than 8.``."""
    return [f"{section}: {found.text}" for found in remarked(counts)]


def where(row: Row) -> str:
    """Return ``file:line`` of a row, or its file alone where lines are not known."""
    return place(row["_file"], row["_line"])


def at_row(row: Row, error: DataError) -> DataError:
    """Return an error about a row with its place."""
    here = Place(row["_file"], row["_line"])
    told = [replace(p, where=here) if isinstance(p, Problem) else p for p in error.problems]
    return DataError(*told)


def place(file: str | Path, line: int) -> str:
    """Return ``file:line``, or the file alone if `line` is 0."""
    return f"{file}:{line}" if line else str(file)


@dataclass(frozen=True)
class Reject:
    """A line that is no row: where it stands, why, and what was found there."""

    file: str
    line: int
    reason: str
    raw: object


@dataclass
class BadRows:
    """Stops at the first bad row, or collects them all.

    Args:
        policy: ``error`` or ``skip``.
        section: The config section that holds ``on_bad_row``, for messages.
    """

    keeps: ClassVar[bool] = False
    """Whether a file may have bad rows alone, because their places are kept."""

    policy: str = "error"
    section: str = "data"
    rejects: list[Reject] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigError(one_of(f"{self.section}.on_bad_row", self.policy, POLICIES))

    def __len__(self) -> int:
        return len(self.rejects)

    def reject(
        self, file: str | Path, line: int, wrong: Mismatch, raw: object, advice: str | None = None
    ) -> None:
        """File a bad row.

        Args:
            file: Where it stands.
            line: Its line, counted from 1; 0 if not known.
            wrong: What was expected there, and what was found.
            raw: What was found there; anything that JSON can hold, the rest as ``repr``.
            advice: What to do, where neither mending the row nor skipping it is.

        Raises:
            DataError: Under the policy ``error``.
        """
        if self.policy == "error":
            here = Place(file, line)
            raise DataError(Problem(here, wrong.expected, wrong.found, advice or self.advice))
        self.rejects.append(Reject(str(file), line, str(wrong), raw))

    @property
    def advice(self) -> str:
        """What the user can do about a bad row."""
        return f"Mend it, or set `{self.section}.on_bad_row=skip` to leave such rows out."

    def summary(self) -> str:
        """Return one sentence on the rows that were left out, or an empty string."""
        if not self.rejects:
            return ""
        first = self.rejects[0]
        rows = "1 row was" if len(self) == 1 else f"{len(self):,} rows were"
        return (
            f"{rows} skipped (`{self.section}.on_bad_row=skip`), "
            f"the first at {place(first.file, first.line)}: {first.reason}."
        )


def write_rejects(path: str | Path, groups: Iterable[BadRows]) -> None:
    """Write rejects of some sections, a JSON object a line: file, line, reason, raw, section."""
    # Half a character, which UTF-8 has no bytes for, becomes JSON's escape of it.
    with Path(path).open("w", encoding="utf-8", errors="backslashreplace") as out:
        for group in groups:
            for reject in group.rejects:
                record = {**vars(reject), "section": group.section}
                out.write(json.dumps(record, ensure_ascii=False, default=repr) + "\n")


class Rows(Sequence["Row"]):
    """The rows of a split, in an Arrow table: in memory, or mapped from disk when large.

    Args:
        table: A column for each role that has values, and ``_file``, ``_line``, ``_id``.
        records: Names of the columns that hold JSON.
        indices: The rows of the table that belong here, in order; all when ``None``.
        path: The Arrow stream that `table` is mapped from; copies in other processes map it too.
    """

    def __init__(
        self,
        table: pa.Table,
        records: Iterable[str] = (),
        indices: npt.NDArray[np.int64] | None = None,
        path: Path | None = None,
    ) -> None:
        self.table = table
        self.records = frozenset(records)
        self._indices = indices
        self.path = path

    def __len__(self) -> int:
        return self.table.num_rows if self._indices is None else len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Rows: ...

    def __getitem__(self, index: int | slice) -> Row | Rows:
        """Return one row, without the roles it has no value for; of a slice, rows.

        Raises:
            IndexError: If `index` is outside of ``-len .. len - 1``.
        """
        size = len(self)
        if isinstance(index, slice):
            return self.select(range(size)[index])
        if not -size <= index < size:
            raise IndexError(f"Expected a row between 0 and {size - 1}, but got {index}")
        index = index % size
        at = index if self._indices is None else int(self._indices[index])
        return self._row(self.table.slice(at, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Row]:
        for chunk in self.chunks():
            yield from chunk

    def chunks(self, size: int = 1_000) -> Iterator[list[Row]]:
        """Yield the rows in order, so many at a time: much quicker than one by one."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            at = np.arange(start, stop) if self._indices is None else self._indices[start:stop]
            first, last = int(at.min()), int(at.max())
            if last - first < 4 * size:
                yield self._between(first, last, at - first)
            else:  # Taking from all of a table in a file would read all of it.
                yield [self[i] for i in range(start, stop)]

    def _between(self, first: int, last: int, at: npt.NDArray[np.int64]) -> list[Row]:
        """Return some of the rows from `first` to `last`; what they are made of goes at once."""
        part = self.table.slice(first, last - first + 1)
        if not np.array_equal(at, np.arange(part.num_rows)):
            part = part.take(at)
        return [self._row(values) for values in part.to_pylist()]

    def digest(self) -> str:
        """Return a hash of what the rows hold, wherever they were read from.

        Their files and lines do not count.
        """
        table = self.table.drop_columns(["_file", "_line"]).replace_schema_metadata()
        found = hashlib.blake2b(table.schema.serialize(), digest_size=16)
        for batch in table.to_batches(_CHUNK):
            found.update(batch.serialize())
        found.update(repr(sorted(self.records)).encode())
        if self._indices is not None:
            found.update(self._indices.tobytes())
        return found.hexdigest()

    def __repr__(self) -> str:
        return f"Rows({len(self)} rows of {', '.join(self.roles)})"

    def __reduce__(self) -> tuple[object, ...]:
        if self.path is None:
            return Rows, (self.table, self.records, self._indices)
        return _mapped_rows, (self.path, self.table.column_names, self.records, self._indices)

    @property
    def roles(self) -> list[str]:
        """The roles that at least one row has."""
        return [name for name in self.table.column_names if not name.startswith("_")]

    def column(self, role: str) -> Iterator[Any]:
        """Return the values of one role in every row, ``None`` where a row has none.

        Raises:
            KeyError: If no row has the role.
        """
        parse = json.loads if role in self.records else None
        for batch in self.values(role).chunks:
            for value in batch:
                found = value.as_py()
                yield parse(found) if parse and found is not None else found

    def values(self, role: str) -> pa.ChunkedArray:
        """Return the values of one role as they lie in the table: JSON where they are records.

        Raises:
            KeyError: If no row has the role.
        """
        column = self.table.column(role)
        return column if self._indices is None else column.take(self._indices)

    def select(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Rows:
        """Return the rows at `indices`, without copying them."""
        chosen = np.asarray(indices, dtype=np.int64)
        if self._indices is not None:
            chosen = self._indices[chosen]
        return Rows(self.table, self.records, chosen, self.path)

    def _row(self, values: Row) -> Row:
        row = {name: value for name, value in values.items() if value is not None}
        for name in self.records & row.keys():
            row[name] = json.loads(row[name])
        return row


def map_table(path: Path) -> pa.Table:
    """Return the table in an Arrow stream, mapped from disk, not read."""
    import pyarrow as pa

    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def _mapped_rows(
    path: Path, names: list[str], records: Iterable[str], indices: npt.NDArray[np.int64] | None
) -> Rows:
    return Rows(map_table(path).select(names), records, indices, path)
