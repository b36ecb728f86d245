"""CSV and TSV: with or without a header, quoted or not.

TSV files come in two dialects: quoted like CSV, or with every quotation mark meaning itself.
Which one a file is in is found by reading its first rows in the strict quoted dialect.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain, islice

from mtl.data.readers.base import FORMATS, Cells, Format, Source, check_columns
from mtl.data.readers.text import lines

LONGEST_CELL = 1 << 24
_SAMPLE = 5_000
_Row = tuple[int, list[str]]


def _parse(source: Source, delimiter: str) -> Iterator[_Row]:
    """Yield ``(line, cells)`` of each row that is not blank; a row may span lines."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader((line for _, line in lines(source, newline="")), delimiter=delimiter)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            source.reject(start, f"Expected a row of quoted cells, but found {problem}", None)
            continue
        if any(cell.strip() for cell in cells):
            yield start, cells


def _plain(source: Source) -> Iterator[_Row]:
    for number, line in lines(source):
        if line.strip():
            yield number, line.rstrip("\r\n").split("\t")


def is_quoted(source: Source) -> bool:
    """Return whether a TSV file quotes its cells as CSV does.

    It does if its first rows have a cell that begins with a quotation mark, and all of them are
    of one width when read so, with nothing between a closing mark and the next tab.
    """
    text = (line for _, line in lines(source, newline=""))
    head = list(islice(text, _SAMPLE))
    if not any(cell.startswith('"') for line in head for cell in line.split("\t")):
        return False
    csv.field_size_limit(LONGEST_CELL)
    again = (line for _, line in lines(source, newline=""))
    reader = csv.reader(again, delimiter="\t", strict=True)
    try:
        return len({len(row) for row in islice(reader, _SAMPLE) if row}) == 1
    except csv.Error:
        return False


def read_csv(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a comma-separated file."""
    return _cells(source, _parse(source, ","))


def read_tsv(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a tab-separated file."""
    rows = _parse(source, "\t") if is_quoted(source) else _plain(source)
    return _cells(source, rows)


def _cells(source: Source, rows: Iterator[_Row]) -> Iterator[tuple[int, Cells]]:
    first = next(rows, None)
    if first is None:
        return
    names = _header(source, *first)
    width = len(first[1])
    at = {c: names.get(c) if isinstance(c, str) else c for c in source.wanted}
    places = {column: place for column, place in at.items() if place is not None}
    needed = max((i + 1 if i >= 0 else -i for i in places.values()), default=0)
    for line, cells in rows if names else chain([first], rows):
        if len(cells) == width >= needed:
            yield line, {column: cells[place] for column, place in places.items()}
        else:
            reason = f"Expected {max(width, needed)} columns, but got {len(cells)}"
            source.reject(line, reason, cells)


def _header(source: Source, line: int, cells: list[str]) -> dict[str, int]:
    """Return the names in the first line with their places; empty if it is a row like others."""
    if source.header is False and source.needed:
        raise source.refuse(
            "header",
            f"Expected columns by number where there is no header, but got '{source.needed[0]}'.",
        )
    if source.header is False or (source.header is None and not source.needed):
        return {}
    advice = (
        ""
        if source.header
        else f" If {source.path.name} has no header, give columns by number, counted from 0."
    )
    names = [cell.strip() for cell in cells]
    check_columns(source, line, names, advice)
    return {name: place for place, name in reversed(list(enumerate(names)))}


FORMATS.register("csv")(Format(read_csv, (".csv",)))
FORMATS.register("tsv")(Format(read_tsv, (".tsv", ".tab")))
