"""One split: from a path or glob to rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl.data.readers.base import (
    FORMATS,
    PLACE,
    Cells,
    Column,
    Columns,
    Dialect,
    Found,
    Read,
    Source,
)
from mtl.data.readers.compressed import ending_of
from mtl.data.readers.files import find, format_of
from mtl.data.readers.notes import Notes
from mtl.data.readers.several import Wish, joined, spread
from mtl.data.readers.table import make_rows
from mtl.data.readers.word_rows import gather
from mtl.data.rows import BadRows, Role, Rows, place
from mtl.data.value_types import VALUE_TYPES, show
from mtl.errors import ConfigError, DataError, Mismatch, Problem, as_mismatch, one_of

if TYPE_CHECKING:
    from mtl.types import Row

ID = Role("id", "label", required=False, help="a name of the row, unique in its split")
REQUIRE = ("all", "inputs")

Check = Callable[["Row"], "Row | None"]
"""Takes a row as it was read and returns it, put right where that is possible, or None if it is to
be left out; raises ValueError with a sentence where it is wrong."""


def read_split(
    pattern: str | Path | Sequence[str | Path],
    *,
    columns: Mapping[str, Wish],
    roles: Sequence[Role],
    bad_rows: BadRows | None = None,
    split: str = "data",
    format: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    require: str = "all",
    key: str | None = None,
    base: Path | None = None,
    check: Check | None = None,
    read: Read | None = None,
    title: str = "",
    dialect: Dialect | None = None,
    notes: list[str] | None = None,
    found: Found | None = None,
) -> Rows:
    """Read the files that paths or globs name into rows.

    Args:
        pattern: A path or glob, or several; the files of a glob are read in sorted order.
        columns: Role to column: a name, or a number counted from 0 (from the end if negative).
            A role of texts or labels may have several.
            A column for ``id``, where no role has that name, gives the rows their ``_id``.
        roles: What the task wants.
        bad_rows: What happens to rows that cannot be read; stops at the first one by default.
        split: The split's name; the n-th row without an id is called ``<split>-<n>``.
        format: A name in :data:`mtl.data.readers.base.FORMATS`; guessed when ``None``.
        header: Whether a CSV or TSV file begins with names; when ``None``, it does if `columns`
            gives names.
        encoding: Of text files; a byte-order mark wins over UTF-8.
        require: ``all``, or ``inputs`` to leave targets out, as predictions do.
        key: The config key that holds `pattern`, for messages.
        base: The folder that a relative pattern starts from; the current one when ``None``.
        check: Puts a row right or refuses it.
        read: Reads the rows, where `pattern` merely names them and is no path.
        title: What messages call the file, where its path says nothing to the user.
        dialect: How text files write their cells, where it is not to be guessed.
        notes: Takes a sentence for each thing that was guessed, converted or left out.
        found: Takes how the files turn out to be written.

    Raises:
        DataError: If a file is missing, empty, malformed, or has no rows.
        ConfigError: If an option does not fit.
    """
    bad_rows = BadRows() if bad_rows is None else bad_rows
    key = key or f"{bad_rows.section}.{split}"
    task = bad_rows.section.rpartition(".")[0]
    single, roles = spread(columns, roles, f"{task}.columns" if task else "columns")
    chosen = _choose_roles(roles, single, require, bad_rows.section)
    mapped = {role.name: single[role.name] for role in chosen if role.name in single}
    findings = Notes()
    common = Source(
        Path(),
        tuple(chosen),
        mapped,
        header,
        encoding,
        bad_rows.section,
        bad_rows,
        title,
        dialect or Dialect(),
        findings,
        {} if found is None else found,
    )
    patterns = [pattern] if isinstance(pattern, str | Path) else pattern
    sources = (
        replace(common, path=file)
        for one in patterns
        for file in ([Path(one)] if read else find(one, key, base))
    )
    cells = (item for source in sources for item in _read(source, format, read))
    before = len(bad_rows)
    rows = make_rows(_convert(cells, chosen, split, check), joined(common)[0].roles)
    if notes is not None:
        sentences = findings.sentences(bad_rows.section)
        notes.extend(sentence for sentence in sentences if sentence not in notes)
    if len(rows) or (bad_rows.keeps and len(bad_rows)):
        return rows
    rejected = bad_rows.rejects[before:]
    if not rejected:
        found_none = f"found none in '{title or patterns[0]}'"
        raise DataError(Problem(key, "to have rows", found_none))
    first = rejected[0]
    at = place(first.file, first.line)
    skipped = f"all {len(rejected):,} were skipped, the first at {at}: {first.reason}"
    raise DataError(Problem(key, "to have rows", skipped))


def _choose_roles(
    roles: Sequence[Role], columns: Mapping[str, Column], require: str, section: str
) -> list[Role]:
    """Return the roles to read: those with a column, without targets for ``inputs``."""
    assert require in REQUIRE, require
    task = section.rpartition(".")[0]
    where = f"{task}.columns" if task else "columns"
    known = settled([*roles, *([] if any(r.name == ID.name for r in roles) else [ID])], columns)
    for name, column in columns.items():
        if name not in {role.name for role in known}:
            raise ConfigError(one_of(where, name, (role.name for role in known)))
        if not isinstance(column, str | int) or isinstance(column, bool):
            expected = "to be a column's name or number"
            raise ConfigError(Problem(f"{where}.{name}", expected, f"got {column!r}"))
    chosen = [role for role in known if require == "all" or not role.target]
    others = {name for role in chosen for name in role.instead_of}
    for role in chosen:
        if role.name not in others:
            _demand(role, columns, f"{where}.")
    # Which of roles that stand for each other a file has, its format may tell.
    others.update(name for r in chosen if r.instead_of for name in (r.name, *r.needs))
    return [role for role in chosen if role.name in columns or role.name in others]


def settled(roles: Sequence[Role], columns: Mapping[str, Column]) -> list[Role]:
    """Return roles of which those with a column make the ones that they stand for optional."""
    standing = [role for role in roles if role.instead_of and role.name in columns]
    replaced = {name for role in standing for name in role.instead_of}
    needed = {name for role in standing for name in (role.name, *role.needs)}
    return [
        replace(role, required=role.name in needed or (role.required and role.name not in replaced))
        for role in roles
    ]


def _demand(role: Role, columns: Mapping[str, Column], where: str) -> None:
    """Raise ConfigError if a required role has no column."""
    if role.required and role.name not in columns:
        expected = f"to be the column of the task's {role.name}{role.help and f' ({role.help})'}"
        raise ConfigError(Problem(f"{where}{role.name}", expected, "got none"))


def _read(
    source: Source, format: str | None, read: Read | None
) -> Iterator[tuple[Source, int, Cells]]:
    if read is None:
        name = format_of(source, format)
        source.found.setdefault("format", name)
        source.found.setdefault("ending", ending_of(source.path))
        layout = FORMATS.get(name)
        for option in source.dialect.said:
            if option not in layout.options:
                has = ", ".join(other for other in FORMATS if option in FORMATS.get(other).options)
                raise source.refuse(
                    option,
                    f"to be of a file in a format that has it, one of {{{has}}}",
                    f"{source.name} is read as {name}",
                )
        columns = layout.fit(source)
        roles = tuple(settled(source.roles, columns))
        source, read = replace(source, columns=columns, roles=roles), layout.read
    for role in source.roles:
        _demand(role, source.columns, source.column_key(""))
    rows = read(source)
    words = any(role.type == "tokens" for role in source.roles)
    whole, join = joined(source)
    for role in whole.roles:
        if role.type == "text" and role.name in whole.columns.keys() - source.columns.keys():
            source.say(f"the columns {whole.columns[role.name]} are read as one text")
    for line, cells in gather(source, rows) if words else rows:
        yield whole, line, join(cells)


def _convert(
    found: Iterable[tuple[Source, int, Cells]],
    roles: Sequence[Role],
    split: str,
    check: Check | None,
) -> Iterator[Row]:
    named = any(role.name == ID.name for role in roles)
    seen: set[str] = set()
    number = 0
    for source, line, cells in found:
        try:
            row = _row(cells, source.columns, source.roles)
            checked = check(row) if check else row
            if checked is None:
                continue
            row = checked
            name = row.pop(ID.name, None) or f"{split}-{number}"
            if name in seen:
                raise Mismatch("ids that occur once", f"'{name}' is a second time here")
        except ValueError as problem:
            wrong = as_mismatch(problem, "a row of the task")
            if PLACE in cells:
                wrong = wrong.inside(f"({cells[PLACE]})")
            source.reject(line, wrong, dict(cells))
            continue
        if named:
            seen.add(name)
        number += 1
        yield {**row, "_file": source.name, "_line": line, "_id": name}


def _row(cells: Cells, columns: Columns, roles: Sequence[Role]) -> Row:
    row: dict[str, Any] = {}
    for role in roles:
        if role.name not in columns:
            continue
        column = columns[role.name]
        cell = cells.get(column)
        try:
            value = None if cell is None else VALUE_TYPES.get(role.type).convert(cell)
        except ValueError as problem:
            wrong = as_mismatch(problem, f"a cell of type {role.type}")
            raise wrong.inside(f"in column {column!r}") from None
        if value is not None:
            row[role.name] = value
        elif role.required:
            raise Mismatch(f"{role.type} in column {column!r}", f"got {show(cell)}")
    words = next((row[r.name] for r in roles if r.type == "tokens" and r.name in row), None)
    for name in (r.name for r in roles if r.type == "tags" and r.name in row):
        if words is not None and len(row[name]) != len(words):
            raise Mismatch(
                f"one of `{name}` for each of {len(words)} tokens", f"got {len(row[name])}"
            )
    return row
