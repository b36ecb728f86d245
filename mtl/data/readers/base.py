"""What every reader of a format takes and gives, and the table of formats.

A reader yields ``(line, cells)``: the line on which a row starts, counted from 1 (0 when the
format has no lines), and the cells of the wanted columns, for example
``(3, {0: ["EU", "rejects"], -1: ["I-ORG", "O"]})``. It is lazy, so a file may be larger than
memory. Lines that are no row go to :meth:`Source.reject`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl.data.readers.notes import Notes
from mtl.data.rows import BadRows, Role, place
from mtl.errors import ConfigError, DataError, Mismatch, Place, Problem, nearest
from mtl.registry import Registry

if TYPE_CHECKING:
    from mtl.data.readers.annotated import Annotated

Column = str | int
Cells = Mapping[Column, Any]
Columns = dict[str, Column]

PLACE = "_place"
"""Cell in which a reader says where in its line a row stands, such as ``questions[2]``."""


Found = dict[str, Any]
"""What reading finds of how files are written, by the option that would say it: of the first."""


@dataclass(frozen=True)
class Dialect:
    """How a text file writes its cells, where it is said and not guessed."""

    delimiter: str | None = None
    """What stands between the cells of a CSV, TSV or CoNLL file."""
    quoting: bool | None = None
    """Whether a quotation mark at the start of a cell of a CSV or TSV file encloses it."""
    comment: str | None = None
    """What comment lines of a CoNLL file begin with; empty where there are none."""
    keep_blank: bool = False
    """Whether a blank row is given in its place, and not left out and counted."""
    usual_delimiter: str | None = None
    """What cells were apart by in files of the same kind: tried before others."""
    usual_quoting: bool | None = None
    """Whether quotation marks enclosed cells in TSV files of the same kind."""

    @property
    def said(self) -> list[str]:
        """The options that the user has set."""
        named = ("delimiter", "quoting", "comment")
        return [name for name in named if getattr(self, name) is not None]


@dataclass(frozen=True)
class Source:
    """One file, and what is wanted from it."""

    path: Path
    roles: tuple[Role, ...]
    columns: Columns
    """Role to column; only roles that are wanted."""
    header: bool | None = None
    encoding: str = "utf-8"
    section: str = "data"
    """The config section that names the file, for messages; empty for a command line's."""
    bad_rows: BadRows = field(default_factory=BadRows)
    title: str = ""
    """What messages call it, where its path says nothing to the user."""
    dialect: Dialect = Dialect()
    notes: Notes = field(default_factory=Notes)
    found: Found = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.title or str(self.path)

    @property
    def wanted(self) -> list[Column]:
        """The columns to read, each once."""
        return list(dict.fromkeys(self.columns.values()))

    @property
    def needed(self) -> list[str]:
        """The named columns without which there is no row."""
        required = {role.name for role in self.roles if role.required}
        return [c for r, c in self.columns.items() if r in required and isinstance(c, str)]

    def reject(self, line: int, wrong: Mismatch, raw: object, advice: str | None = None) -> None:
        """File a bad row of this file; see :meth:`mtl.data.rows.BadRows.reject`."""
        self.bad_rows.reject(self.name, line, wrong, raw, advice)

    def count(self, line: int, what: str, then: str, number: int = 1) -> None:
        """Count what is left out or put right; see :meth:`mtl.data.readers.notes.Notes.count`."""
        self.notes.count(place(self.name, line), what, then, number)

    def say(self, sentence: str) -> None:
        """Note what holds for this file; see :meth:`mtl.data.readers.notes.Notes.say`."""
        self.notes.say(self.name, sentence)

    def fail(self, line: int, expected: str, found: str, advice: str = "") -> DataError:
        """Return an error about the file as a whole, or about the place where reading ends.

        See :class:`mtl.errors.Problem` for what is said.
        """
        return DataError(Problem(Place(self.name, line), expected, found, advice))

    def key(self, option: str) -> str:
        """Return how the user says an option of this file."""
        return f"{self.section}.{option}" if self.section else f"--{option}"

    def told(self, key: str) -> str:
        """Return a key in brackets for a note; nothing where a command line named the file."""
        return f" (`{key}`)" if self.section else ""

    def refuse(self, option: str, expected: str, found: str, advice: str = "") -> ConfigError:
        """Return an error about an option of this file's section."""
        return ConfigError(Problem(self.key(option), expected, found, advice))

    def column_key(self, role: str) -> str:
        """Return how the user says the column of a role: ``columns`` stands beside the section."""
        task = self.section.rpartition(".")[0]
        return f"{task}{'.' if task else ''}columns.{role}"

    def refuse_column(self, role: str, expected: str, found: str, advice: str = "") -> ConfigError:
        """Return an error about the column of a role."""
        return ConfigError(Problem(self.column_key(role), expected, found, advice))


Read = Callable[[Source], Iterator[tuple[int, Cells]]]
Write = Callable[[Path, "Iterable[Annotated]"], None]


@dataclass(frozen=True)
class Format:
    """How files of one format are read.

    Args:
        read: The reader.
        endings: Endings of file names that mean this format, with their dot.
        fit: Returns a source's columns as this format can have them.
        options: The options of a :class:`Dialect` that it has.
        within: The names of the formats that its files also are, such as ``json``; the first one is
            how it is written.
        claims: Whether a file of a format `within` is of this one.
        write: Writes texts with their spans, where an annotation tool reads the format.
        folders: Whether a folder of its files is one set of data.
    """

    read: Read
    endings: tuple[str, ...] = ()
    fit: Callable[[Source], Columns] = attrgetter("columns")
    options: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    claims: Callable[[Source], bool] = field(default=lambda source: False)
    write: Write | None = None
    folders: bool = False


FORMATS: Registry[Format] = Registry("data format", "mtl.readers")


SIMILAR = 0.85
"""How alike a missing column and the one that was meant must be; other columns are other things."""


def missing_column(name: str, known: Iterable[str]) -> tuple[str, str]:
    """Return what was expected, and found, where a column is not there."""
    names = [in_line(other) for other in known]
    near = nearest(name, names, SIMILAR)
    meant = f" (did you mean {near!r}?)" if near else ""
    return f"a column '{name}'", f"found {', '.join(names[:20]) or 'none'}{meant}"


def column_advice(source: Source, name: str, known: Iterable[str]) -> str:
    """Return the sentence on the key that says where a column's content stands instead.

    Args:
        source: The file, of a task's ``data`` section; else there is no such key.
        name: The column that is not there.
        known: Those that are.
    """
    task = source.section.rpartition(".")[0]
    role = next((r for r in source.roles if source.columns.get(r.name) == name), None)
    if not task or role is None:
        return ""
    near = nearest(name, known, SIMILAR) or "…"
    about = role.help.partition(",")[0] or f"the {role.name}"
    key = f"{task}.columns.{role.name}={near}"
    one = f" (`{task}.data.columns.SPLIT.{role.name}` for one split alone)"
    other = next((r for r in source.roles if role.name in r.instead_of), None)
    instead = f", or `{task}.columns.{other.name}` to one with {other.help}" if other else ""
    return f"Set `{key}`{one} to the column that holds {about}{instead}."


def in_line(name: object) -> str:
    """Return a name that stands in a file as a part of one line."""
    text = str(name)
    return text if text.isprintable() else repr(text)


def check_columns(source: Source, line: int, names: Iterable[str], advice: str = "") -> None:
    """Raise an error if a needed column is not among `names`.

    Raises:
        DataError: With the nearest existing name.
    """
    known = list(names)
    for name in source.needed:
        if name not in known:
            where = column_advice(source, name, known)
            raise source.fail(line, *missing_column(name, known), f"{where} {advice}".strip())


def only_names(source: Source) -> Columns:
    """Return the columns of a source whose format names them.

    Raises:
        ConfigError: If one is a number.
    """
    for role, column in source.columns.items():
        if not isinstance(column, str):
            raise source.refuse_column(
                role,
                f"to be a column's name, because those of {source.path.name} have names",
                f"got {column!r}",
                f"Names of digits stand in quotes, as in \"{source.column_key(role)}='{column}'\".",
            )
    return source.columns
