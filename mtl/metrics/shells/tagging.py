"""Shells of token classification; both take the labels of sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtl.metrics.entities import count_entities, entity_labels, entity_rows, token_accuracy
from mtl.metrics.rows import EntityRow, LabelRow
from mtl.metrics.shells.base import CountMetric
from mtl.metrics.tokens import count_tokens, report_order, token_averages, token_rows

Labels = Sequence[Sequence[str]]
"""The labels of a batch of sentences: one sequence a sentence, one label a token."""


class EntityMetric(CountMetric[EntityRow]):
    """Entity precision, recall and F1 as `conlleval` has them, and token accuracy.

    Args:
        labels: The task's label set; every entity type occurs in it.
        **kwargs: What `torchmetrics.Metric` takes.

    Raises:
        DataError: If a label is no entity label.
    """

    def __init__(self, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = entity_labels(labels)
        self.count("chunks", len(self.labels.types), 3)
        self.count("tokens", 2)

    def update(self, predicted: Labels, gold: Labels) -> None:
        """Count the chunks of sentences.

        Args:
            predicted: Predicted labels, a sequence a sentence.
            gold: Gold labels, of the same lengths.

        Raises:
            DataError: If a label is outside the set, or lengths differ.
        """
        counts = count_entities(predicted, gold, self.labels)
        self.add("chunks", counts.chunks)
        self.add("tokens", counts.tokens)

    def compute(self) -> dict[str, float]:
        """Return ``precision``, ``recall``, ``f1`` over all types, and token ``accuracy``."""
        total = self.rows()[0]
        return {
            "precision": total.precision,
            "recall": total.recall,
            "f1": total.f1,
            "accuracy": token_accuracy(self.counts("tokens")),
        }

    def rows(self) -> list[EntityRow]:
        """Return the line over all types, then one for each type that occurs."""
        return entity_rows(self.counts("chunks"), self.labels.types)


class TokenTable(CountMetric[LabelRow]):
    """Each label as a class of its own, ``O`` among them.

    Args:
        labels: The task's label set.
        **kwargs: What `torchmetrics.Metric` takes.
    """

    def __init__(self, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = report_order(labels)
        self.count("confusion", len(self.labels), len(self.labels))

    def update(self, predicted: Labels, gold: Labels) -> None:
        """Count the labels of sentences; arguments and errors are those of `EntityMetric`."""
        self.add("confusion", count_tokens(predicted, gold, self.labels))

    def compute(self) -> dict[str, float]:
        """Return the micro (which is the accuracy), macro and weighted F1, as ``token_…_f1``."""
        return token_averages(self.counts("confusion"))

    def rows(self) -> list[LabelRow]:
        """Return one line for each label that occurs, then micro, macro and weighted averages."""
        return token_rows(self.counts("confusion"), self.labels)
