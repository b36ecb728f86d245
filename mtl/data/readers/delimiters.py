"""What stands between the cells of a CSV or TSV file: as it is said, else as the first rows show.

A file that its usual separator does not fit, such as this ``.csv``, is tried with the others::

    text;label
    Good, really;pos
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from mtl.data.readers.base import Column, Source
from mtl.data.readers.text import lines

NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space"}
USUAL = (",", ";", "\t", "|")
LONGEST_CELL = 1 << 24
"""Characters in a cell; more are taken for a quotation mark that nothing closes."""
_LINES = 1_000
_ROWS = 200


def named(delimiter: str) -> str:
    """Return a delimiter's name in the plural, for messages."""
    return f"{NAMES[delimiter]}s" if delimiter in NAMES else f"'{delimiter}'"


def in_key(delimiter: str) -> str:
    """Return a delimiter as it is said on a command line."""
    return NAMES.get(delimiter, delimiter)


def delimiter_of(said: str) -> str | None:
    """Return the delimiter that a user says, by name or as it is; None if it cannot be one."""
    by_name = {name: mark for mark, name in NAMES.items()}
    found = by_name.get(said.lower(), "\t" if said == "\\t" else said)
    return None if not found or '"' in found or "\n" in found or "\r" in found else found


@dataclass(frozen=True)
class _Sample:
    """The first rows of a file, cut at one delimiter."""

    rows: list[list[str]]

    @property
    def names(self) -> list[str]:
        return [cell.strip() for cell in self.rows[0]] if self.rows else []

    @property
    def width(self) -> int:
        """Cells of every row; 0 where rows differ."""
        widths = {len(row) for row in self.rows}
        return widths.pop() if len(widths) == 1 else 0

    def has(self, names: Sequence[str]) -> bool:
        return all(name in self.names for name in names)


def find_delimiter(source: Source, own: str) -> str:
    """Return what a file's cells are apart by; another one than usual is noted.

    Args:
        source: The file. Where its dialect names a delimiter, that is it.
        own: The delimiter that its ending stands for. Others are tried only if it, and that of
            files of the same kind, do not give the wanted columns in every one of the first rows.

    Raises:
        ConfigError: If the named one cannot be a delimiter.
    """
    said = source.dialect.delimiter
    if said is not None:
        found = delimiter_of(said)
        if found is None:
            raise source.refuse(
                "delimiter",
                f"to be what stands between two cells, or one of {{{', '.join(NAMES.values())}}}",
                f"got '{said}'",
            )
        return found
    text = [line for _, line in islice(lines(source, newline=""), _LINES)]
    tried = dict.fromkeys(filter(None, (source.dialect.usual_delimiter, own, *USUAL)))
    samples = {mark: _sample(text, mark) for mark in tried}
    found = _fitting(source, samples, own)
    source.found.setdefault("delimiter", found)
    if found != own:
        source.say(
            f"cells are taken to be apart by {named(found)}{source.told(source.key('delimiter'))}"
        )
    return found


def _sample(text: Sequence[str], delimiter: str) -> _Sample:
    csv.field_size_limit(LONGEST_CELL)
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # Whatever it is, reading the whole file finds it.
        rows.extend(islice(csv.reader(text, delimiter=delimiter), _ROWS))
    if len(text) == _LINES and len(rows) < _ROWS:
        rows = rows[:-1]  # The last row may go on.
    return _Sample([row for row in rows if any(cell.strip() for cell in row)])


def _fitting(source: Source, samples: dict[str, _Sample], own: str) -> str:
    names = source.needed
    numbers = [c for c in source.wanted if isinstance(c, int)]
    if not source.columns:  # Nothing is wanted: it is only asked what the columns are called.
        wide = [mark for mark, sample in samples.items() if sample.width > 1]
        return next(iter(wide), own)
    for mark, sample in samples.items():
        if sample.width >= _least(numbers, bool(names)) and sample.has(names):
            return mark
    if names:
        return next((mark for mark, sample in samples.items() if sample.has(names)), own)
    return own


def _least(numbers: Sequence[Column], named: bool) -> int:
    """Return how many cells a row must have for columns of these numbers, all of them apart."""
    reach = max((c + 1 if c >= 0 else -c for c in numbers if isinstance(c, int)), default=1)
    return max(reach, 1 if named else len(set(numbers)))


def advice_on(source: Source, delimiter: str) -> str:
    """Return the sentence on the delimiter that was tried, and the key that names another."""
    return (
        f"Cells are taken to be apart by {named(delimiter)}; `{source.key('delimiter')}` says "
        "otherwise."
    )
