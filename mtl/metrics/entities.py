"""Entity-level precision, recall and F1, equal to `conlleval`'s.

A gold span counts as found when its type, its first and its last token all agree. Spans are those
of :func:`mtl.labels.spans_of`, which draws `conlleval`'s boundaries (Tjong Kim Sang, CoNLL-2000 to
2003). The script knows no ``S`` and joins ``E-X B-X`` into one span; here ``E`` and ``S`` always
end one, as BIOES means them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from mtl.labels import OUTSIDE, spans_of, tag_of
from mtl.metrics.tables import EntityRow, harmonic, ratio

Counts = npt.NDArray[np.int64]
"""Counts by type, shape (types, 3): correct, predicted, gold spans."""

OVERALL = "overall"


def entity_types(labels: Iterable[str]) -> list[str]:
    """Return the types of a label set, sorted by name, as `conlleval` prints them."""
    tags = {tag_of(label) for label in labels}
    return sorted({tag.type for tag in tags if tag is not None and tag.letter != OUTSIDE})


def count_entities(
    predicted: Iterable[Sequence[str]], gold: Iterable[Sequence[str]], types: Sequence[str]
) -> Counts:
    """Count the spans of sentences.

    Args:
        predicted: The predicted labels of each sentence.
        gold: The gold labels of each sentence, of equal lengths.
        types: All types, in the order of the result's rows.

    Raises:
        DataError: If a label is of no scheme.
    """
    index = {name: row for row, name in enumerate(types)}
    counts = np.zeros((len(types), 3), dtype=np.int64)
    for guess, truth in zip(predicted, gold, strict=True):
        assert len(guess) == len(truth), (len(guess), len(truth))
        found, real = set(spans_of(guess)), set(spans_of(truth))
        for column, group in enumerate((found & real, found, real)):
            for span in group:
                counts[index[span.type], column] += 1
    return counts


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
        entity_row(name, *(int(n) for n in row)) for name, row in zip(types, counts, strict=True)
    )
    return [total, *(row for row in each if row.predicted or row.gold)]
