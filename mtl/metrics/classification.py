"""Scores of text classification from a confusion matrix (rows gold, columns predicted)."""

from __future__ import annotations

import math

from mtl.metrics.confusion import Ints, label_counts, macro
from mtl.metrics.rows import ratio


def accuracy(confusion: Ints) -> float:
    """Return the share of examples with the right label; 0 without examples."""
    return ratio(int(confusion.trace()), int(confusion.sum()))


def macro_f1(confusion: Ints) -> float:
    """Return the mean F1 over the labels that occur in the gold or the predicted data."""
    return macro(label_counts(confusion)).f1


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


def classification_scores(confusion: Ints) -> dict[str, float]:
    """Return ``accuracy``, ``macro_f1`` and ``mcc``."""
    return {
        "accuracy": accuracy(confusion),
        "macro_f1": macro_f1(confusion),
        "mcc": matthews(confusion),
    }
