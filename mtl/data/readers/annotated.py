"""What the exports of annotation tools share: a text and its spans a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mtl.config.section import Values
from mtl.data.readers.base import Cells, Column, Columns, Read, Source
from mtl.data.readers.jsons import BROKEN, elements, fault, member, skip
from mtl.data.readers.text import lines, whole
from mtl.data.value_types import show
from mtl.errors import Mismatch, as_mismatch

CELLS = ("text", "tokens", "spans", "id")
_PLACES = {"text": "text", "tokens": "tokens", "spans": "spans", "id": "id", "key": "id"}
"""The cell of each role that a tool's export has."""
SAMPLE = 50
"""Records by which a tool is recognized."""

Record = tuple[int, Any]
Fields = dict[Column, Any]
ToCells = Callable[[Source, int, Any], "Cells | None"]
"""Takes a line's number and its record, and returns the cells, or None if it is no example; raises
ValueError where it is broken."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """A text with spans, to be written as a tool reads it."""

    text: str
    spans: list[Values]
    """Each with ``start``, ``end`` (exclusive), ``label`` and maybe ``score``."""
    id: Any = None
    words: list[tuple[int, int]] = field(default_factory=list)
    """The places of its words, where they are known."""


def fit_annotated(source: Source) -> Columns:
    """Return the cells that an export has for the roles that are asked for.

    Raises:
        ConfigError: If a required role has none.
    """
    fitted: Columns = {}
    standing = {n for r in source.roles if r.name in CELLS for n in r.instead_of}
    for role in source.roles:
        if role.name == "id" and role.name not in source.columns:
            continue
        if role.name in _PLACES:
            fitted[role.name] = _PLACES[role.name]
        elif role.required and role.name not in standing:
            raise source.refuse_column(
                role.name,
                f"to be one of {{{', '.join(CELLS)}}}, which exports of annotation tools have",
                f"got '{source.columns.get(role.name)}'",
                f"Set `{source.key('format')}` to another format.",
            )
    return fitted


def reader(to_cells: ToCells) -> Read:
    """Return a reader of a file of JSON records, each of which `to_cells` turns into cells."""

    def read(source: Source) -> Iterator[tuple[int, Cells]]:
        for line, record in records(source):
            try:
                cells = to_cells(source, line, record)
            except UNLIKE as problem:
                source.reject(line, unlike(problem, record), record)
                continue
            if cells is not None:
                yield line, cells

    return read


UNLIKE = (ValueError, TypeError, KeyError, AttributeError)
"""What a record raises that is not built as its tool builds it."""


def unlike(problem: Exception, record: object) -> Mismatch:
    """Return what is wrong with a record."""
    return as_mismatch(problem, "a record as its tool exports it", f"got {show(record)}")


def claims(is_record: Callable[[Source, object], bool]) -> Callable[[Source], bool]:
    """Return whether the first records of a file are a tool's: one is, and all could be."""

    def claimed(source: Source) -> bool:
        try:
            first = [record for _, record in islice(records(source, quiet=True), SAMPLE)]
            return any(is_record(source, record) for record in first)
        except (*BROKEN, *UNLIKE):
            return False

    return claimed


def records(source: Source, *, quiet: bool = False) -> Iterator[Record]:
    """Yield the records of a file with their lines: of a list, or one a line.

    Args:
        source: The file.
        quiet: Whether what is broken ends the records with the json module's error.

    Raises:
        DataError: If a list is broken.
    """
    first = next((line for _, line in lines(source) if line.strip()), "").lstrip()
    listed = first.startswith("[") and not _is_record(first)
    if listed or (first.startswith("{") and not _is_record(first)):
        try:
            yield from _listed(whole(source))
        except BROKEN as problem:
            if quiet:
                raise
            line = getattr(problem, "lineno", 0)
            raise source.fail(line, "JSON", f"found {fault(problem)}") from None
        return
    for number, line in lines(source):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except BROKEN as problem:
            if quiet:
                raise
            source.reject(number, Mismatch("JSON", f"found {fault(problem)}"), line.strip())


def _is_record(line: str) -> bool:
    """Whether a line is a record of its own, and not the beginning of a list of them."""
    try:
        value = json.loads(line)
    except BROKEN:
        return False
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], str)
    return isinstance(value, dict) and not _lists_records(value)


def _lists_records(value: Values) -> bool:
    """Whether an object is not a record itself, but holds a list of them."""
    return "text" not in value and any(
        isinstance(value.get(key), list) and "data" not in value.keys() - {key} for key in HOLDERS
    )


HOLDERS = ("annotations", "data")
"""Under which key an object may hold the list of all records."""


def _listed(text: str) -> Iterator[Record]:
    top = skip(text, 0)
    if text[top : top + 1] == "{":
        top = next((at for key in HOLDERS if (at := member(text, top, key))), 0)
    if text[top : top + 1] != "[":
        raise json.JSONDecodeError("no list of records", text, top)
    line, counted = 1, 0
    for at, value in elements(text, top):
        line += text.count("\n", counted, at)
        counted = at
        yield line, value


def text_of(record: Values, *names: str) -> str:
    """Return the text of a record, under the first of some names that it has.

    Raises:
        ValueError: If it has none.
    """
    found = next((record[name] for name in names if isinstance(record.get(name), str)), None)
    if found is None:
        raise Mismatch(f"a text under '{names[0]}'", f"got {', '.join(record) or 'nothing'}")
    return found


def an_object(record: object, tool: str) -> Values:
    """Return a record that is an object.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(record, dict):
        raise Mismatch(f"an object as {tool} exports it", f"got {show(record)}")
    return record


def leave_out(source: Source, line: int, what: str, number: int = 1) -> None:
    """Count what is left out of a file: ``leave_out(source, 3, "relation")``."""
    if number:
        source.count(line, what, "left out", number)


def write_lines(path: Path, items: Iterable[object]) -> None:
    """Write a JSON value a line."""
    from mtl.files import open_whole

    with open_whole(path) as out:
        for item in items:
            out.writelines(_in_parts(item))
            out.write("\n")


def _in_parts(item: object) -> Iterator[str]:
    """Yield what :func:`json.dumps` returns, so that a long text and its answers are not copied."""
    if not isinstance(item, dict) or not item:
        yield json.dumps(item, ensure_ascii=False)
        return
    lead = "{"
    for name, value in item.items():
        yield f"{lead}{json.dumps(name, ensure_ascii=False)}: "
        yield json.dumps(value, ensure_ascii=False)
        lead = ", "
    yield "}"


def write_list(path: Path, items: Iterable[object]) -> None:
    """Write a JSON list, an item a line."""
    from mtl.files import open_whole

    with open_whole(path) as out:
        lead = "[\n"
        for item in items:
            out.write(lead + json.dumps(item, ensure_ascii=False))
            lead = ",\n"
        out.write("\n]\n" if lead[0] == "," else "[]\n")
