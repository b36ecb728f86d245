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


def label_counts(confusion: Ints, order: Sequence[int] | None = None) -> LabelCounts:
    """Return each label's counts from a confusion matrix (rows gold, columns predicted).

    Args:
        confusion: Shape (labels, labels).
        order: The labels' numbers in the order of the result; as they are when None.
    """
    if order is not None:
        confusion = confusion[np.ix_(order, order)]
    return LabelCounts(np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1))


def rates(counts: LabelCounts) -> Rates:
    """Return each label's precision, recall, F1 = 2·right / (predicted + gold), and support."""
    right, predicted, gold = counts
    above = np.stack([right, right, 2 * right]).astype(np.float64)
    below = np.stack([predicted, gold, predicted + gold])
    precision, recall, f1 = np.divide(above, below, out=np.zeros_like(above), where=below != 0)
    return Rates(precision, recall, f1, gold)


def averages(counts: LabelCounts) -> tuple[LabelRow, LabelRow, LabelRow]:
    """Return the micro, macro and weighted averages.

    In the first every decision weighs the same, in the second every label that occurs in the gold
    or the predicted data, and in the third a label weighs as often as it stands in the gold data.
    """
    right, predicted, gold = (int(c.sum()) for c in counts)
    precision, recall = ratio(right, predicted), ratio(right, gold)
    micro = LabelRow("micro avg", precision, recall, harmonic(precision, recall), gold)
    occurs = counts.predicted + counts.gold > 0
    each, rows = rates(counts)[:3], []
    for name, by_label in (("macro avg", occurs), ("weighted avg", counts.gold)):
        weights = by_label.astype(np.float64)
        total = float(weights.sum())
        precision, recall, f1 = (ratio(float(rate @ weights), total) for rate in each)
        rows.append(LabelRow(name, precision, recall, f1, gold))
    return micro, rows[0], rows[1]


def label_rows(counts: LabelCounts, labels: Sequence[str]) -> list[LabelRow]:
    """Return one line for each label that occurs, then the micro, macro and weighted averages.

    Args:
        counts: The labels' counts.
        labels: The labels' names, in the order of the counts.
    """
    rows = [
        LabelRow(label, float(precision), float(recall), float(f1), int(support))
        for label, precision, recall, f1, support, predicted in zip(
            labels, *rates(counts), counts.predicted, strict=True
        )
        if support + predicted > 0
    ]
    return [*rows, *averages(counts)]


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
