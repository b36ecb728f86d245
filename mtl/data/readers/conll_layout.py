"""How a file of CoNLL columns is written: what cells are apart by, and which lines are no words.

The layouts that are told apart, by all lines of a file::

    # id 7 domain=en          a comment: before a sentence's first word, and unlike the rows
    # _ _ O                   a word: as wide as the rows, with a label that others have too
    New York<tab>B-LOC        cells apart by tabs, where only then all rows are of one width
    1-2<tab>Mara's<tab>…      CoNLL-U: a range of words, and 8.1 an empty node, are no words
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mtl.data.readers.headers import is_usual
from mtl.labels import OUTSIDE, tag_of

DOCUMENT = "-DOCSTART-"
COMMENT = "#"
FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U."""
SPACE = " \t\r\n\f\v"
_BLANKS = str.maketrans("\t\r\n\f\v", "     ")
_RANGE = re.compile(r"\d+-\d+")
_EMPTY = re.compile(r"\d+\.\d+")
_MOST_VALUES = 10_000
_UNIFORM = 0.95
_NAMES = frozenset({"pos", "iob", "bio", "phrase", "entity", "head", "deprel"})


def split_blanks(line: str) -> list[str]:
    """Return the cells between blanks or tabs; a no-break space can be a word, or part of one."""
    return [cell for cell in line.translate(_BLANKS).split(" ") if cell]


@dataclass
class Layout:
    """What the lines of a file show."""

    delimiter: str | None = None
    """What cells are apart by; None for blanks and tabs."""
    comment: str = ""
    """What comments begin with; empty where there are none."""
    guessed: bool = True
    """Whether a line that begins so may be a word all the same."""
    width: int = 0
    """Cells of most lines."""
    uniform: bool = False
    """Whether nearly all lines have as many."""
    counted: bool = False
    """Whether the first cells count the words of each sentence from 1."""
    last: frozenset[str] = frozenset()
    """What stands last in lines that are surely words."""
    names: list[str] = field(default_factory=list)
    """The columns' names, where the file's first words are names."""

    def cells(self, line: str) -> list[str]:
        """Return a line's cells; none of a line of white space."""
        if self.delimiter is None:
            return split_blanks(line)
        text = line.rstrip(SPACE)
        return [cell.strip(SPACE) for cell in text.split(self.delimiter)] if text else []

    def is_comment(self, line: str, cells: list[str]) -> bool:
        """Whether a line before a sentence's first word is a comment."""
        if not self.comment or not line.startswith(self.comment):
            return False
        return not (self.guessed and len(cells) == self.width and self._may_be_last(cells[-1]))

    def _may_be_last(self, cell: str) -> bool:
        """Whether a cell is like those that stand last in words: one of them, or as they a tag."""
        if cell in self.last:
            return True
        return OUTSIDE in self.last and "-" in cell and tag_of(cell) is not None

    def no_word(self, cells: list[str]) -> str:
        """Return what a line of CoNLL-U is where it is no word, else an empty text."""
        if not self.counted:
            return ""
        if _RANGE.fullmatch(cells[0]):
            return "word range"
        return "empty node" if _EMPTY.fullmatch(cells[0]) else ""


def layout_of(
    lines: Iterable[str], delimiter: str | None = None, comment: str | None = None
) -> Layout:
    """Return the layout that lines show.

    Args:
        lines: All lines of a file.
        delimiter: What cells are apart by, where it is said.
        comment: What comments begin with, where it is said; empty for none.
    """
    by_blanks, by_tabs = _Shape(None), _Shape("\t")
    shapes = (by_blanks, by_tabs) if delimiter in (None, "\t", " ") else (_Shape(delimiter),)
    mark = COMMENT if comment is None else comment
    begins = True
    for line in lines:
        if not line.strip(SPACE) or line.startswith(DOCUMENT):
            begins = True
            continue
        if begins and mark and line.startswith(mark):
            continue
        for shape in shapes:
            shape.add(line, begins)
        begins = False
    best = shapes[0]
    tabs = by_tabs.width > 1 and by_tabs.share > by_blanks.share
    if delimiter == "\t" or (delimiter is None and tabs):
        best = by_tabs
    return Layout(
        delimiter=best.delimiter,
        comment=mark,
        guessed=comment is None,
        width=best.width,
        uniform=best.share >= _UNIFORM,
        counted=best.counted,
        last=frozenset(best.last),
        names=best.names,
    )


class _Shape:
    """What is counted of a file's lines as they are cut in one way."""

    def __init__(self, delimiter: str | None) -> None:
        self.delimiter = delimiter
        self.widths: Counter[int] = Counter()
        self.last: set[str] = set()
        self.names: list[str] = []
        self._cut = Layout(delimiter=delimiter)
        self._expected = 1
        self._in_order = self._rows = 0

    def add(self, line: str, begins: bool) -> None:
        if self.delimiter is not None and self.delimiter not in line:
            self.widths[1] += 1  # Most files have no tab: they are not cut at it.
            return
        cells = self._cut.cells(line)
        if not self.widths and names_columns(cells):
            self.names = cells
            return
        self.widths[len(cells)] += 1
        if len(self.last) < _MOST_VALUES:
            self.last.add(cells[-1])
        self._expected = 1 if begins else self._expected
        if cells[0][:1].isdigit() and (_RANGE.fullmatch(cells[0]) or _EMPTY.fullmatch(cells[0])):
            return
        self._rows += 1
        self._in_order += cells[0] == str(self._expected)
        self._expected += 1

    @property
    def width(self) -> int:
        return self.widths.most_common(1)[0][0] if self.widths else 0

    @property
    def share(self) -> float:
        return self.widths[self.width] / self.widths.total() if self.widths else 0.0

    @property
    def counted(self) -> bool:
        return self.width > 1 and self._in_order > _UNIFORM * self._rows


def names_columns(cells: list[str]) -> bool:
    """Whether a line holds nothing but names that columns of words usually have."""
    names = [cell.lower() for cell in cells]
    return len(set(names)) == len(names) > 1 and all(is_usual(n) or n in _NAMES for n in names)
