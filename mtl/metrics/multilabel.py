"""Scores of multi-label classification, where an example may have any number of labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mtl.metrics.confusion import LabelCounts, micro, rates
from mtl.metrics.rows import ratio


class MultiLabelCounts(NamedTuple):
    """Per-label counts, and how many examples have exactly their gold labels."""

    labels: LabelCounts
    exact: int
    examples: int


def count_multilabel(predicted: npt.ArrayLike, gold: npt.ArrayLike) -> MultiLabelCounts:
    """Count decisions.

    Args:
        predicted: Whether each label is predicted, shape (examples, labels), bool or 0 and 1.
        gold: Whether each label is true, of the same shape.
    """
    guess, truth = np.asarray(predicted, dtype=bool), np.asarray(gold, dtype=bool)
    assert guess.shape == truth.shape, (guess.shape, truth.shape)
    each = LabelCounts(
        *(part.sum(axis=0, dtype=np.int64) for part in (guess & truth, guess, truth))
    )
    return MultiLabelCounts(each, int((guess == truth).all(axis=1).sum()), len(truth))


def multilabel_scores(counts: MultiLabelCounts) -> dict[str, float]:
    """Return ``micro_f1``, ``macro_f1`` (over all labels) and ``subset_accuracy``."""
    f1 = rates(counts.labels).f1
    return {
        "micro_f1": micro(counts.labels).f1,
        "macro_f1": ratio(float(f1.sum()), len(f1)),
        "subset_accuracy": ratio(counts.exact, counts.examples),
    }
