"""CSV and TSV: with or without a header, quoted or not, apart by whatever the rows show.

TSV files come in two dialects: quoted like CSV, or with every quotation mark meaning itself.
Which one a file is in is judged by all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice

from mtl.data.readers.base import FORMATS, Cells, Column, Format, Source, check_columns
from mtl.data.readers.delimiters import advice_on, find_delimiter
from mtl.data.readers.headers import begins_with_names, check_numbers
from mtl.data.readers.quoting import Row, is_quoted, plain_rows, quoted_rows
from mtl.data.readers.word_rows import ROLE, SENTENCE, find_boundaries
from mtl.errors import Mismatch

OWN = {"csv": ",", "tsv": "\t"}
"""What cells are apart by, unless a file shows another delimiter."""
_SAMPLE = 200


def read_delimited(format: str, source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a file of one of the formats in :data:`OWN`."""
    delimiter = find_delimiter(source, OWN[format])
    rows = _rows(source, format, delimiter)
    return cells_of(source, rows, advice_on(source, delimiter))


def column_names(format: str, source: Source) -> list[str]:
    """Return the cells of a file's first row, which are the columns' names if it has names."""
    delimiter = find_delimiter(source, OWN[format])
    _, first = next(_filled(_rows(source, format, delimiter)), (0, []))
    return [cell.strip() for cell in first]


def _rows(source: Source, format: str, delimiter: str) -> Iterator[Row]:
    if len(delimiter) == 1 and _quoting(source, format, delimiter):
        return quoted_rows(source, delimiter)
    if source.dialect.delimiter is None:
        return plain_rows(source, delimiter)
    return _rejoined(source, delimiter)


def _quoting(source: Source, format: str, delimiter: str) -> bool:
    """Whether quotation marks enclose cells: as said, as usual, else as the file shows."""
    if source.dialect.quoting is not None or format == "csv":
        return source.dialect.quoting is not False
    found = source.dialect.usual_quoting
    if found is None and (found := is_quoted(source, delimiter)) is not None:
        source.found.setdefault("quoting", found)
    return bool(found)


def _rejoined(source: Source, delimiter: str) -> Iterator[Row]:
    """Yield rows in which a delimiter inside the text divides nothing.

    Without marks around cells, a row of too many has the delimiter in its text, if a text is
    among its columns: ``mail a@b.example now@positive`` has two cells, apart by ``@``.
    """
    sample = islice(_filled(plain_rows(source, delimiter)), _SAMPLE)
    width = min((len(cells) for _, cells in sample), default=0)
    kinds = {role.name: role.type for role in source.roles}
    texts = {
        column if isinstance(column, int) else -width - 1
        for role, column in source.columns.items()
        if kinds.get(role) == "text"
    }
    at = min(texts) % width if len(texts) == 1 and -width <= min(texts) < width else None
    for line, cells in plain_rows(source, delimiter):
        more = len(cells) - width
        if at is not None and more > 0:
            source.count(line, "text that holds the delimiter", "read as a whole")
            cells[at : at + more + 1] = [delimiter.join(cells[at : at + more + 1])]
        yield line, cells


def _filled(rows: Iterator[Row]) -> Iterator[Row]:
    return (row for row in rows if any(cell.strip() for cell in row[1]))


def cells_of(source: Source, rows: Iterator[Row], advice: str = "") -> Iterator[tuple[int, Cells]]:
    """Yield the wanted cells of rows, the first of which may be the columns' names.

    Args:
        source: What is wanted.
        rows: Every row with its line, blank ones too.
        advice: What the user may have to say where cells are not found.
    """
    first = next(_filled(rows), None)
    if first is None:
        return
    names = _header(source, *first, advice)
    width = len(first[1])
    at = {c: names.get(c) if isinstance(c, str) else c for c in source.wanted}
    places = {column: place for column, place in at.items() if place is not None}
    needed = max((i + 1 if i >= 0 else -i for i in places.values()), default=0)
    body = rows if names else chain([first], rows)
    sample = list(islice(body, _SAMPLE))
    body = chain(sample, body)
    boundaries = find_boundaries(source, names, sample, places)
    if boundaries is not None:
        source.say(
            f"rows of one word are gathered into sentences by {boundaries.name}"
            f"{source.told(source.column_key(ROLE))}"
        )
        body = boundaries.track(body)
    for line, cells in _with_blank(source, body, width):
        if len(cells) == width >= needed:
            wanted: dict[Column, str] = {column: cells[place] for column, place in places.items()}
            yield line, wanted if boundaries is None else {**wanted, SENTENCE: boundaries.of(cells)}
        else:
            wrong = Mismatch(f"{max(width, needed)} columns", f"got {len(cells)}")
            usual = source.bad_rows.advice
            source.reject(line, wrong, cells, f"{usual} {advice}" if advice else None)


def _with_blank(source: Source, rows: Iterator[Row], width: int) -> Iterator[Row]:
    """Yield rows; blank ones are counted and left out, or kept where they are wanted.

    An empty line is a row only between others, and only where rows have one cell.
    """
    keep = source.dialect.keep_blank
    empty: list[int] = []
    for line, cells in rows:
        if not cells:
            empty.append(line)
            continue
        for place in empty:
            if keep and width == 1:
                yield place, [""]
            else:
                source.count(place, "blank row", "left out")
        empty.clear()
        if any(cell.strip() for cell in cells) or (keep and len(cells) == width):
            yield line, cells
        else:
            source.count(line, "blank row", "left out")


def _header(source: Source, line: int, cells: list[str], advice: str) -> dict[str, int]:
    """Return the names in the first line with their places; empty if it is a row like others."""
    if source.header is False and source.needed:
        raise source.refuse(
            "header",
            "to be true where columns have names",
            f"got false, and `{source.needed[0]}` is a name",
            "Give columns by number, counted from 0.",
        )
    if source.header is False:
        return {}
    if source.header is None and not source.needed and not begins_with_names(source, line, cells):
        return {}
    if source.header is None and source.needed:
        numbers = "If there is no header, give columns by number, counted from 0."
        advice = f"{advice} {numbers}".strip()
    names = [cell.strip() for cell in cells]
    check_numbers(source, names)
    check_columns(source, line, names, advice)
    for name in source.needed:
        if names.count(name) > 1:
            source.say(f"{names.count(name)} columns are called '{name}', and the first is read")
    return {name: place for place, name in reversed(list(enumerate(names)))}


for _format, _endings in (("csv", (".csv",)), ("tsv", (".tsv", ".tab"))):
    FORMATS.register(_format)(
        Format(partial(read_delimited, _format), _endings, options=("delimiter", "quoting"))
    )
