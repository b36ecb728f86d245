"""Shells of text classification, with one label an example or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtl.errors import DataError
from mtl.metrics.classification import classification_scores
from mtl.metrics.confusion import LabelCounts, label_counts, label_rows
from mtl.metrics.multilabel import MultiLabelCounts, count_multilabel, multilabel_scores
from mtl.metrics.rows import LabelRow
from mtl.metrics.shells.base import CountMetric


class ClassificationMetric(CountMetric[LabelRow]):
    """Accuracy, macro F1 and Matthews correlation of single-label classification.

    Args:
        labels: The task's labels, in the order of their ids.
        **kwargs: What `torchmetrics.Metric` takes.
    """

    def __init__(self, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = list(labels)
        self.count("confusion", len(self.labels), len(self.labels))

    def update(self, predicted: Tensor, gold: Tensor) -> None:
        """Count label ids.

        Args:
            predicted: Predicted ids, shape (n,), integers.
            gold: Gold ids, shape (n,), integers.

        Raises:
            DataError: If an id is outside the label set.
        """
        n = len(self.labels)
        guess, truth = predicted.reshape(-1).long(), gold.reshape(-1).long()
        assert guess.shape == truth.shape, (guess.shape, truth.shape)
        _check_ids("predicted", guess, n)
        _check_ids("gold", truth, n)
        self.add("confusion", torch.bincount(truth * n + guess, minlength=n * n).reshape(n, n))

    def compute(self) -> dict[str, float]:
        """Return ``accuracy``, ``macro_f1`` and ``mcc``."""
        return classification_scores(self.counts("confusion"))

    def rows(self) -> list[LabelRow]:
        """Return one line for each label that occurs, then micro, macro and weighted averages."""
        return label_rows(label_counts(self.counts("confusion")), self.labels)


def _check_ids(side: str, ids: Tensor, n_labels: int) -> None:
    """Refuse ids outside the label set."""
    if ids.numel() and not (int(ids.min()) >= 0 and int(ids.max()) < n_labels):
        raise DataError(
            f"Expected {side} label ids to be in 0..{n_labels - 1}, but got ids from "
            f"{int(ids.min())} to {int(ids.max())}."
        )


class MultiLabelMetric(CountMetric[LabelRow]):
    """Micro and macro F1 and subset accuracy of multi-label classification.

    Args:
        labels: The task's labels, in the order of the columns.
        **kwargs: What `torchmetrics.Metric` takes.
    """

    def __init__(self, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = list(labels)
        self.count("decisions", 3, len(self.labels))
        self.count("examples", 2)

    def update(self, predicted: Tensor, gold: Tensor) -> None:
        """Count decisions.

        Args:
            predicted: Whether each label is predicted, shape (n, labels), bool or 0 and 1.
            gold: Whether each label is true, of the same shape.
        """
        assert predicted.shape[1:] == (len(self.labels),), predicted.shape
        each, exact, examples = count_multilabel(predicted.cpu().numpy(), gold.cpu().numpy())
        self.add("decisions", torch.stack([torch.from_numpy(part) for part in each]))
        self.add("examples", torch.tensor([exact, examples]))

    def compute(self) -> dict[str, float]:
        """Return ``micro_f1``, ``macro_f1`` and ``subset_accuracy``."""
        exact, examples = (int(n) for n in self.counts("examples"))
        return multilabel_scores(MultiLabelCounts(self._label_counts(), exact, examples))

    def rows(self) -> list[LabelRow]:
        """Return one line for each label that occurs, then micro, macro and weighted averages."""
        return label_rows(self._label_counts(), self.labels)

    def _label_counts(self) -> LabelCounts:
        """Return the state as each label's counts."""
        return LabelCounts(*self.counts("decisions"))
