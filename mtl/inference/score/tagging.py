"""Scores of a file of gold and predicted labels, one token a line.

The last two columns are the gold and the predicted label; a blank line ends a sentence::

    John   B-PER B-PER
    works  O     O
    there  O     B-LOC
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mtl.errors import DataError
from mtl.inference.score.files import read_text
from mtl.metrics.chunks import PREFIXES, is_chunk_label
from mtl.metrics.entities import count_entities, entity_labels, entity_rows
from mtl.metrics.rows import EntityRow, LabelRow, ratio
from mtl.metrics.tokens import count_tokens, report_order, token_rows

_BLANKS = re.compile(r"[ \t]+")


class Columns(NamedTuple):
    """A file's labels by sentence, and the line where each label stands first."""

    gold: list[list[str]]
    predicted: list[list[str]]
    first_line: dict[str, int]


class TaggingScore(NamedTuple):
    """What a file of labels scores; rates on 0 to 1."""

    sentences: int
    tokens: int
    accuracy: float
    entities: list[EntityRow]
    """The line over all types, then each type; empty where the labels mark no entities."""
    labels: list[LabelRow]

    def as_dict(self) -> dict[str, Any]:
        """Return the scores for JSON.

        ``accuracy``, ``precision``, ``recall``, ``f1`` and ``types`` are in percent, as
        `conlleval` prints them; ``labels`` is on 0 to 1, as scikit-learn's report is.
        """
        result: dict[str, Any] = {
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
    confusion = count_tokens(columns.predicted, columns.gold, labels)
    tokens = int(confusion.sum())
    return TaggingScore(
        sentences=len(columns.gold),
        tokens=tokens,
        accuracy=ratio(int(confusion.trace()), tokens),
        entities=_entities(columns, path),
        labels=token_rows(confusion, labels),
    )


def _entities(columns: Columns, path: Path) -> list[EntityRow]:
    """Return the entity rows, or nothing where no label marks an entity."""
    strange = [label for label in columns.first_line if not is_chunk_label(label)]
    if strange and not any(map(_has_prefix, columns.first_line)):
        return []
    if strange:
        raise DataError(
            f"{path}:{columns.first_line[strange[0]]}: expected an entity label (O, or B-, I-, E- "
            f"or S- and a type), but got '{strange[0]}'."
        )
    labels = entity_labels(columns.first_line)
    counts = count_entities(columns.predicted, columns.gold, labels)
    return entity_rows(counts.chunks, labels.types)


def _has_prefix(label: str) -> bool:
    """Return whether a label is an entity's prefix and type."""
    prefix, dash, _ = label.partition("-")
    return bool(dash) and prefix in PREFIXES


def read_columns(path: Path) -> Columns:
    """Read a file's last two columns.

    Raises:
        DataError: As `score_tagging` says.
    """
    columns = Columns([], [], {})
    width, inside = 0, False
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        cells = _BLANKS.split(line.strip(" \t")) if line.strip() else []
        if not cells:
            inside = False
            continue
        width = width or len(cells)
        _check_width(cells, width, f"{path}:{number}")
        if not inside:
            columns.gold.append([])
            columns.predicted.append([])
            inside = True
        columns.gold[-1].append(cells[-2])
        columns.predicted[-1].append(cells[-1])
        for label in cells[-2:]:
            columns.first_line.setdefault(label, number)
    if not columns.gold:
        raise DataError(f"{path}: expected lines of gold and predicted labels, but it is empty.")
    return columns


def _check_width(cells: Sequence[str], width: int, where: str) -> None:
    """Refuse a line whose last two columns cannot be the labels."""
    if len(cells) < 2:
        raise DataError(
            f"{where}: expected at least 2 columns, the last two the gold and the predicted "
            f"label, but got {len(cells)}."
        )
    if len(cells) != width:
        raise DataError(
            f"{where}: expected {width} columns, as in the first line, but got {len(cells)}."
        )
