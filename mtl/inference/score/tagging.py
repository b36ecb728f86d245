"""Scores of a file of gold and predicted labels, one token a line.

The last two columns are the gold and the predicted label; a blank line ends a sentence::

    John   B-PER B-PER
    works  O     O
    there  O     B-LOC
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mtl.config.section import Values
from mtl.data.readers.conll import sentences
from mtl.data.readers.conll_layout import layout_of
from mtl.errors import DataError, Place, Problem
from mtl.inference.score.files import read_text
from mtl.labels import tag_of, usual_spelling
from mtl.metrics.confusion import confusion_matrix, label_counts, label_rows, report_order
from mtl.metrics.entities import count_entities, entity_rows, entity_types
from mtl.metrics.tables import EntityRow, LabelRow, ratio


class Columns(NamedTuple):
    """A file's labels by sentence, and the line where each label stands first."""

    gold: list[list[str]]
    predicted: list[list[str]]
    first_line: dict[str, int]

    def spelled(self, usual: Mapping[str, str]) -> Columns:
        """Return the same with every label as it is usually spelled."""
        gold, predicted = (
            [[usual[label] for label in sentence] for sentence in side]
            for side in (self.gold, self.predicted)
        )
        return Columns(gold, predicted, {usual[n]: line for n, line in self.first_line.items()})


class TaggingScore(NamedTuple):
    """What a file of labels scores; rates on 0 to 1."""

    sentences: int
    tokens: int
    accuracy: float
    entities: list[EntityRow]
    """The line over all types, then each type; empty where the labels mark no entities."""
    labels: list[LabelRow]

    def as_dict(self) -> Values:
        """Return the scores for JSON.

        ``accuracy``, ``precision``, ``recall``, ``f1`` and ``types`` are in percent, as
        `conlleval` prints them; ``labels`` is on 0 to 1, as scikit-learn's report is.
        """
        result: Values = {
            "sentences": self.sentences,
            "tokens": self.tokens,
            "accuracy": 100 * self.accuracy,
        }
        if self.entities:
            total, *each = self.entities
            result |= _percent(total)
            result["types"] = {row.type: _percent(row) for row in each}
        result["labels"] = {
            row.label: dict(zip(LabelRow._fields[1:], row[1:], strict=True)) for row in self.labels
        }
        return result


def _percent(row: EntityRow) -> dict[str, float]:
    """Return a row's rates in percent, and its counts."""
    rates = {"precision": row.precision, "recall": row.recall, "f1": row.f1}
    counts = {"correct": row.correct, "predicted": row.predicted, "gold": row.gold}
    return {name: 100 * rate for name, rate in rates.items()} | counts


def score_tagging(path: Path) -> TaggingScore:
    """Score a file of gold and predicted labels.

    Args:
        path: Columns divided by blanks or tabs, every line with as many as the first.

    Returns:
        Entity scores equal to `conlleval`'s, and the token-level report. Labels of which none has
        an entity prefix, such as parts of speech, give the report alone.

    Raises:
        DataError: If the file cannot be read, a line has fewer than two columns or not as many as
            the first, a label is no entity label where others are, or there is no token.
    """
    columns = read_columns(path)
    labels = report_order(columns.first_line)
    number = {label: i for i, label in enumerate(labels)}
    predicted, gold = (
        [number[label] for sentence in side for label in sentence]
        for side in (columns.predicted, columns.gold)
    )
    confusion = confusion_matrix(predicted, gold, len(labels))
    tokens = int(confusion.sum())
    return TaggingScore(
        sentences=len(columns.gold),
        tokens=tokens,
        accuracy=ratio(int(confusion.trace()), tokens),
        entities=_entities(columns, path),
        labels=label_rows(label_counts(confusion), labels),
    )


def _entities(columns: Columns, path: Path) -> list[EntityRow]:
    """Return the entity rows, or nothing where no label marks an entity."""
    tags = {label: tag_of(label) for label in columns.first_line}
    strange = next((label for label, tag in tags.items() if tag is None), None)
    if strange is not None:
        if not any(tag is not None and tag.type for tag in tags.values()):
            return []
        place = Place(path, columns.first_line[strange])
        expected = "an entity label (O, or B-, I-, E- or S- and a type)"
        raise DataError(Problem(place, expected, f"got '{strange}'"))
    types = entity_types(columns.first_line)
    return entity_rows(count_entities(columns.predicted, columns.gold, types), types)


def read_columns(path: Path) -> Columns:
    """Read a file's last two columns.

    Raises:
        DataError: As `score_tagging` says.
    """
    columns = Columns([], [], {})
    width = 0
    lines = read_text(path).split("\n")
    for sentence in sentences(enumerate(lines, start=1), layout_of(lines, comment="")):
        width = width or len(sentence[0][1])
        for number, cells in sentence:
            _check_width(cells, width, Place(path, number))
            for label in cells[-2:]:
                columns.first_line.setdefault(label, number)
        columns.gold.append([cells[-2] for _, cells in sentence])
        columns.predicted.append([cells[-1] for _, cells in sentence])
    if not columns.gold:
        expected = "lines that end in a gold and a predicted label"
        raise DataError(Problem(Place(path), expected, "it is empty"))
    usual = usual_spelling(columns.first_line)
    return columns.spelled(usual) if usual else columns


def _check_width(cells: Sequence[str], width: int, place: Place) -> None:
    """Refuse a line whose last two columns cannot be the labels."""
    found = f"got {len(cells)}"
    if len(cells) < 2:
        expected = "at least 2 columns, the last two the gold and the predicted label"
        raise DataError(Problem(place, expected, found))
    if len(cells) != width:
        raise DataError(Problem(place, f"{width} columns, as in the first line", found))
