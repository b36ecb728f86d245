"""The first rows of a file, with what stands in each of its columns.

The format, what cells are apart by and the names are found as readers find them in training.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from mtl.data import hub
from mtl.data.readers.base import FORMATS, Column, Dialect, Source
from mtl.data.readers.compressed import ending_of
from mtl.data.readers.conll_layout import FIELDS, layout_of
from mtl.data.readers.delimited import OWN
from mtl.data.readers.delimiters import find_delimiter
from mtl.data.readers.files import format_of
from mtl.data.readers.headers import is_usual
from mtl.data.readers.nested import MARK
from mtl.data.readers.peek import header
from mtl.data.readers.text import lines
from mtl.data.readers.typed import of_dataset, read_rows
from mtl.data.rows import BadRows, Role
from mtl.inspection.guess.corpora import Corpus
from mtl.labels import tag_of
from mtl.tasks import TASK_TYPES

SAMPLE = 500
"""Rows that are looked at."""
TABLES = ("csv", "tsv", "xlsx", "json", "jsonl", "parquet", "arrow")
"""Formats with columns of any kind."""
UNKNOWN = "unknown"
"""Of files whose ending and content say nothing."""


@dataclass
class Table:
    """What a file's first rows show."""

    format: str
    columns: dict[Column, list[Any]] = field(default_factory=dict)
    """By name or number: the cells, ``None`` where a row has none."""
    named: bool = True
    """Whether its columns have names."""
    words: list[str] = field(default_factory=list)
    """Of CoNLL columns: their names, or as many empty texts."""
    counted: bool = False
    """Whether the first of CoNLL columns counts the words."""

    @property
    def rows(self) -> int:
        """How many were looked at."""
        return max(map(len, self.columns.values()), default=0)


def look(corpus: Corpus) -> Table:
    """Return what a corpus's sample file shows.

    Raises:
        MtlError: If it cannot be read.
    """
    if corpus.files:
        return Table("parallel")
    if corpus.classes:
        return Table("folders")
    if corpus.saved:
        return _saved(corpus.sample)
    roles = tuple(TASK_TYPES.get("token_classification").roles())
    source = Source(corpus.sample, roles, {}, section="", bad_rows=BadRows("skip"))
    name = _format(source)
    if name == "conll":
        return _conll(source)
    if name not in TABLES:
        return Table(name)
    return _table(source, name)


def _format(source: Source) -> str:
    found, ending = format_of(source, None), ending_of(source.path)
    if any(ending in FORMATS.get(name).endings for name in FORMATS):
        return found
    first = [line for _, line in islice(lines(source), SAMPLE) if line.strip()]
    if found == "conll" and _labels_words(first):
        return found
    if all("\t" in line for line in first):
        return "tsv"
    return "text" if ending == ".txt" else UNKNOWN


def _labels_words(lines: list[str]) -> bool:
    """Whether lines are words with labels, and not plain text: the last column's values recur."""
    layout = layout_of(lines)
    last = [cells[-1] for line in lines if len(cells := layout.cells(line)) == layout.width]
    marked = all(tag_of(label) for label in last)
    return layout.uniform and layout.width > 1 and (marked or len(set(last)) * 2 <= len(last))


def _conll(source: Source) -> Table:
    layout = layout_of(line for _, line in lines(source))
    conllu = layout.counted and layout.width == len(FIELDS)
    names = layout.names or (list(FIELDS) if conllu else [""] * layout.width)
    roles = tuple(Role(f"column{n}", "tags", required=False) for n in range(layout.width))
    wanted = replace(source, roles=roles, columns={r.name: n for n, r in enumerate(roles)})
    columns: dict[Column, list[Any]] = {n: [] for n in range(layout.width)}
    for _, cells in islice(FORMATS.get("conll").read(wanted), SAMPLE):
        for number in columns:
            columns[number].append(cells[number])
    return Table("conll", columns, bool(layout.names), names, layout.counted)


def _table(source: Source, format: str) -> Table:
    names = [name for name in header(source, format) if MARK not in name]
    named = format not in ("csv", "tsv", "xlsx") or _are_names(names)
    own: list[Column] = list(names) if named else list(range(len(names)))
    roles = tuple(Role(f"column{n}", "record", required=False) for n in range(len(own)))
    if format in OWN:
        apart = find_delimiter(source, OWN[format])
        source = replace(source, dialect=Dialect(delimiter=apart))
    wanted = replace(
        source,
        roles=roles,
        columns={role.name: column for role, column in zip(roles, own, strict=True)},
        header=named if format in ("csv", "tsv", "xlsx") else None,
    )
    rows = [cells for _, cells in islice(FORMATS.get(format).read(wanted), SAMPLE)]
    return Table(format, {c: [cells.get(c) for cells in rows] for c in own}, named)


def _are_names(cells: list[str]) -> bool:
    """Whether a first row names columns: one is a usual name, or all look like names of things."""
    if any(is_usual(cell) for cell in cells):
        return True
    short = all(0 < len(cell) <= 40 and len(cell.split()) <= 2 for cell in cells)
    wordy = (
        all(cell.replace("_", " ").replace("-", " ").split()[0].isalpha() for cell in cells)
        if short
        else False
    )
    return wordy and len(set(cells)) == len(cells) > 1


def _saved(folder: Path) -> Table:
    loaded = hub.load(str(folder), "mtl init", [])
    dataset = loaded["train"] if "train" in loaded else next(iter(loaded.values()))
    opened = of_dataset(dataset)
    roles = tuple(Role(name, "record", required=False) for name in opened.schema.names)
    source = Source(folder, roles, {role.name: role.name for role in roles}, section="")
    rows = [cells for _, cells in islice(read_rows(source, opened, lambda error: error), SAMPLE)]
    return Table("saved", {r.name: [cells.get(r.name) for cells in rows] for r in roles})
