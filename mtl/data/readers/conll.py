"""CoNLL columns: one word a line, columns apart by blanks or tabs, sentences by empty lines.

A sentence as it stands in a file::

    # sent_id = 7
    EU NNP I-NP I-ORG
    rejects VBZ I-VP O
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mtl.data.readers.base import FORMATS, Cells, Columns, Format, Source
from mtl.data.readers.conll_layout import DOCUMENT, FIELDS, Layout, layout_of
from mtl.data.readers.delimiters import delimiter_of
from mtl.data.readers.text import lines
from mtl.errors import Mismatch

_USUAL = {"tokens": 0, "tags": -1}
_COUNTED = {"tokens": 1, "tags": -1}
_CONLLU = {"tokens": 1, "tags": 3}
_NONE = ("", "none", "false")
_Line = tuple[int, list[str]]


def sentences(
    numbered: Iterable[tuple[int, str]], layout: Layout, source: Source | None = None
) -> Iterator[list[_Line]]:
    """Yield each sentence as its numbered lines of cells.

    Args:
        numbered: Lines with their numbers.
        layout: How they are written.
        source: The file that they are of, which counts what is left out. Without one every line is
            a word, document marks and comments as well.
    """
    sentence: list[_Line] = []
    for number, line in numbered:
        cells = layout.cells(line)
        if source is not None and cells:
            if cells[0] == DOCUMENT:
                cells = []
            elif not sentence and layout.is_comment(line, cells):
                source.count(number, "comment line", "left out")
                continue
            elif what := layout.no_word(cells):
                source.count(number, what, "left out")
                continue
        if cells:
            sentence.append((number, cells))
        elif sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def read_conll(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield a row for each sentence: the line of its first word, and a list for each column.

    Lines must be as wide as most of the file's are, if a column is counted from the end or nearly
    all lines are: one without its label, or with a blank in its word, would otherwise give another
    column for it.
    """
    layout = _layout(source)
    wanted = [int(column) for column in source.wanted]
    needed = max((c + 1 if c >= 0 else -c for c in wanted), default=1)
    width = layout.width if layout.uniform or min(wanted, default=0) < 0 else 0
    if width < needed:
        width = 0
    first = True
    for sentence in sentences(lines(source), layout, source):
        if first and _is_header(source, sentence[0], layout):
            del sentence[0]
        first = False
        bad = next((line for line in sentence if _misfit(line[1], wanted, needed, width)), None)
        if bad is not None:
            source.reject(bad[0], _wrong(bad[1], needed, width), [" ".join(c) for _, c in sentence])
        elif sentence:
            yield sentence[0][0], {c: [cells[c] for _, cells in sentence] for c in wanted}


def _misfit(cells: list[str], wanted: list[int], needed: int, width: int) -> bool:
    size = len(cells)
    return size < needed or (width and size != width) or not all(cells[c] for c in wanted)


def _wrong(cells: list[str], needed: int, width: int) -> Mismatch:
    if len(cells) < needed or (width and len(cells) != width):
        return Mismatch(f"{max(needed, width)} columns", f"got {len(cells)}")
    return Mismatch("a word and its label", f"column {cells.index('')} is empty")


def _is_header(source: Source, line: _Line, layout: Layout) -> bool:
    if source.header is None and layout.names:
        source.say(
            f"line {line[0]} holds the columns' names and is no word"
            f"{source.told(source.key('header'))}"
        )
    return source.header is True or (source.header is None and bool(layout.names))


def _layout(source: Source) -> Layout:
    comment, said = source.dialect.comment, source.dialect.delimiter
    delimiter = None if said is None else delimiter_of(said)
    if said is not None and delimiter is None:
        raise source.refuse("delimiter", "to be what cells are apart by", f"got '{said}'")
    if comment is not None:
        comment = "" if comment.lower() in _NONE else comment
    return layout_of((line for _, line in lines(source)), delimiter, comment)


def fit_columns(source: Source) -> Columns:
    """Return the columns as numbers.

    A name is looked up in the file's first line and among CoNLL-U's; a name that is nowhere leaves
    the usual place: words first, tags last, after the words' numbers where there are such.

    Raises:
        ConfigError: If a required role of another type has no number.
    """
    kinds = {role.name: role for role in source.roles}
    if all(isinstance(column, int) for column in source.columns.values()):
        return source.columns
    layout = _layout(source)
    conllu = layout.counted and layout.width == len(FIELDS)
    names = [name.lower() for name in layout.names or (FIELDS if conllu else ())]
    usual = _CONLLU if conllu else _COUNTED if layout.counted else _USUAL
    fitted: Columns = {}
    for name, column in source.columns.items():
        role = kinds[name]
        if isinstance(column, int):
            fitted[name] = column
        elif column.lower() in names:
            fitted[name] = names.index(column.lower())
        elif role.type in usual:
            fitted[name] = usual[role.type]
        elif role.required:
            raise source.refuse_column(
                name,
                f"to be a column's number, because {source.path.name} is read as CoNLL columns",
                f"got '{column}'",
            )
    if usual is not _USUAL:
        told = ", ".join(f"{name}={column}" for name, column in fitted.items())
        key = source.told(source.column_key("…"))
        source.say(f"words are counted from 1, so the columns are {told}{key}")
    return fitted


FORMATS.register("conll")(
    Format(read_conll, (".conll", ".conllu"), fit_columns, options=("delimiter", "comment"))
)
