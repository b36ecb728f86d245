"""Entity-level precision, recall and F1, equal to `conlleval`'s.

A gold chunk counts as found when its type, its first and its last token all agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mtl.errors import DataError
from mtl.metrics.chunks import Tag, chunks, parse_tag
from mtl.metrics.rows import EntityRow, harmonic, ratio

Counts = npt.NDArray[np.int64]
"""Per-type counts, shape (types, 3): correct, predicted, gold chunks."""

OVERALL = "overall"


class EntityLabels(NamedTuple):
    """A label set, parsed once: each label's tag and each type's row in the counts."""

    tags: dict[str, Tag]
    types: dict[str, int]


class EntityCounts(NamedTuple):
    """All that entity scores are made of; equal fields of two parts of a corpus add up."""

    chunks: Counts
    tokens: Counts
    """Shape (2,): tokens with the right label, all tokens."""


def entity_labels(labels: Iterable[str]) -> EntityLabels:
    """Parse a label set; its types are sorted by name, as `conlleval` prints them.

    Raises:
        DataError: If a label is no entity label.
    """
    tags = {label: parse_tag(label) for label in labels}
    types = sorted({tag.type for tag in tags.values() if tag.prefix != "O"})
    return EntityLabels(tags, {kind: row for row, kind in enumerate(types)})


def count_entities(
    predicted: Iterable[Sequence[str]], gold: Iterable[Sequence[str]], labels: EntityLabels
) -> EntityCounts:
    """Count the chunks of sentences, given as one sequence of labels each.

    Args:
        predicted: The predicted labels of each sentence.
        gold: The gold labels of each sentence, of equal lengths.
        labels: The label set.

    Returns:
        The counts, rows in the order of ``labels.types``.

    Raises:
        DataError: If a label is outside the set, or lengths differ.
    """
    counts = np.zeros((len(labels.types), 3), dtype=np.int64)
    right = total = 0
    for guess, truth in zip(predicted, gold, strict=True):
        _check(guess, truth, labels)
        found, real = set(chunks(guess, labels.tags)), set(chunks(truth, labels.tags))
        for column, group in enumerate((found & real, found, real)):
            for chunk in group:
                counts[labels.types[chunk.type], column] += 1
        right += sum(a == b for a, b in zip(guess, truth, strict=True))
        total += len(truth)
    return EntityCounts(counts, np.array([right, total], dtype=np.int64))


def _check(guess: Sequence[str], truth: Sequence[str], labels: EntityLabels) -> None:
    """Refuse a sentence whose two sequences differ in length or hold an unknown label."""
    if len(guess) != len(truth):
        raise DataError(
            f"Expected one predicted label for each of {len(truth)} gold labels, "
            f"but got {len(guess)}."
        )
    for side, sequence in (("predicted", guess), ("gold", truth)):
        unknown = set(sequence) - labels.tags.keys()
        if unknown:
            known = ", ".join(sorted(labels.tags))
            raise DataError(
                f"Expected {side} labels to be one of {{{known}}}, but got '{min(unknown)}'."
            )


def entity_row(name: str, correct: int, predicted: int, gold: int) -> EntityRow:
    """Return precision, recall and F1 of three counts; 0 where a denominator is 0."""
    precision, recall = ratio(correct, predicted), ratio(correct, gold)
    return EntityRow(name, precision, recall, harmonic(precision, recall), correct, predicted, gold)


def entity_rows(counts: Counts, types: Iterable[str]) -> list[EntityRow]:
    """Return the line over all types, named `OVERALL`, then one for each type that occurs.

    Args:
        counts: Shape (types, 3): correct, predicted, gold.
        types: The types' names, in the order of the rows.
    """
    total = entity_row(OVERALL, *(int(n) for n in counts.sum(axis=0)))
    each = (
        entity_row(kind, *(int(n) for n in row)) for kind, row in zip(types, counts, strict=True)
    )
    return [total, *(row for row in each if row.predicted or row.gold)]


def token_accuracy(tokens: Counts) -> float:
    """Return the share of tokens with the right label."""
    return ratio(int(tokens[0]), int(tokens[1]))
