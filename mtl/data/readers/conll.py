"""CoNLL columns: one word a line, columns apart by blanks or tabs, sentences by empty lines.

A sentence as it stands in a file::

    EU NNP I-NP I-ORG
    rejects VBZ I-VP O
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from mtl.data.readers.base import FORMATS, Cells, Columns, Format, Source
from mtl.data.readers.text import lines

DOCUMENT = "-DOCSTART-"
_BLANKS = str.maketrans("\t\r\n\f\v", "     ")
_USUAL = {"tokens": 0, "tags": -1}
_Line = tuple[int, list[str]]


def sentences(
    numbered: Iterable[tuple[int, str]], *, marks: bool = False
) -> Iterator[list[tuple[int, list[str]]]]:
    """Yield each sentence as its numbered lines of cells.

    Args:
        numbered: Lines with their numbers.
        marks: Whether document marks are words as well, and not left out.
    """
    sentence: list[_Line] = []
    for number, line in numbered:
        # ASCII white space alone: a no-break space can be a word, or part of one.
        cells = [cell for cell in line.translate(_BLANKS).split(" ") if cell]
        if cells and (marks or cells[0] != DOCUMENT):
            sentence.append((number, cells))
        elif sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def read_conll(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield a row for each sentence: the line of its first word, and a list for each column.

    Where a column is counted from the end, every line must be as wide as the file's first one:
    a line without its label would otherwise give another column for it.
    """
    wanted = [int(column) for column in source.wanted]
    needed = max((c + 1 if c >= 0 else -c for c in wanted), default=1)
    width = 0
    body = islice(lines(source), 1 if source.header else 0, None)
    for sentence in sentences(body):
        if not width and min(wanted, default=0) < 0:
            width = len(sentence[0][1])
        sizes = [len(cells) for _, cells in sentence]
        misfit = (n < needed or (width and n != width) for n in sizes)
        bad = next((line for line, odd in zip(sentence, misfit, strict=True) if odd), None)
        if bad is None:
            yield sentence[0][0], {c: [cells[c] for _, cells in sentence] for c in wanted}
        else:
            reason = f"Expected {max(needed, width)} columns, but got {len(bad[1])}"
            source.reject(bad[0], reason, [" ".join(cells) for _, cells in sentence])


def fit_columns(source: Source) -> Columns:
    """Return the columns as numbers: a file without names has its words first, its tags last.

    Raises:
        ConfigError: If a required role of another type has no number.
    """
    kinds = {role.name: role for role in source.roles}
    fitted: Columns = {}
    for name, column in source.columns.items():
        role = kinds[name]
        if isinstance(column, int):
            fitted[name] = column
        elif role.type in _USUAL:
            fitted[name] = _USUAL[role.type]
        elif role.required:
            raise source.refuse_column(
                name,
                f"Expected a column's number, but got '{column}': {source.path.name} is read as "
                "CoNLL columns, which have no names.",
            )
    return fitted


FORMATS.register("conll")(Format(read_conll, (".conll",), fit_columns))
