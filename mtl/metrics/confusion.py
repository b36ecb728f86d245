"""Precision, recall and F1 of labels, from a confusion matrix or from counts.

Conventions are scikit-learn's with ``zero_division=0``: a quotient over nothing is 0, and averages
run over the labels that occur in the gold or in the predicted data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mtl.metrics.tables import LabelRow, harmonic, ratio

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Rates(NamedTuple):
    """Each label's precision, recall, F1 and support, shape (labels,)."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints


class LabelCounts(NamedTuple):
    """Each label's counts, shape (labels,)."""

    right: Ints
    predicted: Ints
    gold: Ints


def confusion_matrix(predicted: npt.ArrayLike, gold: npt.ArrayLike, n_labels: int) -> Ints:
    """Count label pairs.

    Args:
        predicted: Predicted label ids, shape (n,), each in [0, n_labels).
        gold: Gold label ids, shape (n,).
        n_labels: How many labels there are.

    Returns:
        Shape (n_labels, n_labels), rows gold, columns predicted.
    """
    guess, truth = np.asarray(predicted, dtype=np.int64), np.asarray(gold, dtype=np.int64)
    assert guess.shape == truth.shape, (guess.shape, truth.shape)
    assert all(((ids >= 0) & (ids < n_labels)).all() for ids in (guess, truth)), n_labels
    pairs = np.bincount(truth * n_labels + guess, minlength=n_labels * n_labels)
    return pairs.reshape(n_labels, n_labels).astype(np.int64)


def label_counts(confusion: Ints) -> LabelCounts:
    """Return each label's counts from a confusion matrix (rows gold, columns predicted)."""
    return LabelCounts(np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1))


def divide(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """Divide element by element; 0 where the denominator is 0."""
    above = np.asarray(numerator, dtype=np.float64)
    below = np.asarray(denominator, dtype=np.float64)
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def rates(counts: LabelCounts) -> Rates:
    """Return each label's precision, recall, F1 = 2·right / (predicted + gold), and support."""
    return Rates(
        precision=divide(counts.right, counts.predicted),
        recall=divide(counts.right, counts.gold),
        f1=divide(2 * counts.right, counts.predicted + counts.gold),
        support=counts.gold,
    )


def occurring(counts: LabelCounts) -> npt.NDArray[np.bool_]:
    """Return which labels stand anywhere in the gold or the predicted data."""
    return (counts.predicted + counts.gold) > 0


def micro(counts: LabelCounts) -> LabelRow:
    """Return the average in which every decision weighs the same."""
    right, predicted, gold = (int(c.sum()) for c in counts)
    precision, recall = ratio(right, predicted), ratio(right, gold)
    return LabelRow("micro avg", precision, recall, harmonic(precision, recall), gold)


def macro(counts: LabelCounts) -> LabelRow:
    """Return the average in which every label that occurs weighs the same."""
    weights = occurring(counts).astype(np.float64)
    return _weighted("macro avg", rates(counts), weights)


def weighted(counts: LabelCounts) -> LabelRow:
    """Return the average in which a label weighs as often as it stands in the gold data."""
    return _weighted("weighted avg", rates(counts), counts.gold.astype(np.float64))


def _weighted(name: str, each: Rates, weights: Floats) -> LabelRow:
    """Return a weighted mean over labels."""
    total = float(weights.sum())
    precision, recall, f1 = (ratio(float(r @ weights), total) for r in each[:3])
    return LabelRow(name, precision, recall, f1, int(each.support.sum()))


def label_rows(counts: LabelCounts, labels: Sequence[str]) -> list[LabelRow]:
    """Return one line for each label that occurs, then the micro, macro and weighted averages.

    Args:
        counts: The labels' counts.
        labels: The labels' names, in the order of the counts.
    """
    each, shown = rates(counts), occurring(counts)
    rows = [
        LabelRow(
            label,
            float(each.precision[i]),
            float(each.recall[i]),
            float(each.f1[i]),
            int(each.support[i]),
        )
        for i, label in enumerate(labels)
        if shown[i]
    ]
    return [*rows, micro(counts), macro(counts), weighted(counts)]


def matthews(confusion: Ints) -> float:
    """Return the Matthews correlation coefficient, in [-1, 1]; 0 where it is undefined.

    The multi-class form R_K of Gorodkin, "Comparing two K-category assignments by a K-category
    correlation coefficient" (2004), equation 8, in exact integers up to the square root.
    """
    right, total = int(confusion.trace()), int(confusion.sum())
    predicted = [int(n) for n in confusion.sum(axis=0)]
    gold = [int(n) for n in confusion.sum(axis=1)]
    both = right * total - sum(p * g for p, g in zip(predicted, gold, strict=True))
    spread_predicted = total**2 - sum(p * p for p in predicted)
    spread_gold = total**2 - sum(g * g for g in gold)
    return ratio(both, math.sqrt(spread_predicted) * math.sqrt(spread_gold))


def report_order(labels: Iterable[str]) -> list[str]:
    """Return labels by type, then prefix, and ``O`` last: B-LOC, I-LOC, B-PER, I-PER, O."""

    def key(label: str) -> tuple[bool, str, str]:
        prefix, _, type_ = label.partition("-")
        return (label == "O", type_, prefix)

    return sorted(labels, key=key)
