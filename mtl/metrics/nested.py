"""Strict scores of spans that may lie inside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mtl.metrics.base import CountMetric
from mtl.metrics.entities import entity_rows
from mtl.metrics.tables import EntityRow


class NestedScores(CountMetric[EntityRow]):
    """Precision, recall and F1 of spans, which may be nested: right in label, start and end.

    Args:
        labels: The labels, in the order of their numbers.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = list(labels)
        self.count("spans", len(self.labels), 3)

    def update(
        self, preds: Sequence[npt.NDArray[np.int64]], target: Sequence[npt.NDArray[np.int64]]
    ) -> None:
        """Count the spans of examples, (K, 3) each: first word, last word, label number."""
        counts = np.zeros((len(self.labels), 3), dtype=np.int64)
        for guess, truth in zip(preds, target, strict=True):
            found, real = ({tuple(span) for span in side.tolist()} for side in (guess, truth))
            for column, group in enumerate((found & real, found, real)):
                for *_, label in group:
                    counts[label, column] += 1
        self.add("spans", counts)

    def compute(self) -> dict[str, float]:
        """Return ``f1``, ``precision`` and ``recall`` over all labels."""
        total = self.rows()[0]
        return {"f1": total.f1, "precision": total.precision, "recall": total.recall}

    def rows(self) -> list[EntityRow]:
        """Return the line over all labels, then one for each label that occurs."""
        return entity_rows(self.counts("spans"), self.labels)
