"""Heads that choose: one class of several, or yes or no for each of several."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl.heads.base import LinearHead, as_float


class ClassificationHead(LinearHead):
    """One class of C, by cross-entropy.

    Args:
        hidden_size: D.
        classes: C.
        dropout: On the states.
        label_smoothing: Share of the target that is spread evenly over all classes
            (Szegedy et al. 2016, section 7).
        class_weights: (C,) weight of each class in the loss; the mean is then weighted too.
    """

    chooses = "one"
    class_weights: Tensor

    def __init__(
        self,
        hidden_size: int,
        classes: int,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(hidden_size, classes, dropout)
        self.label_smoothing = label_smoothing
        weights = torch.ones(classes) if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights.float(), persistent=False)

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the summed cross-entropy; `targets["labels"]` is (G,) class numbers."""
        return F.cross_entropy(
            as_float(logits),
            targets["labels"],
            weight=self.class_weights,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the summed weights of the target classes."""
        return float(self.class_weights[targets["labels"]].sum())


class MultiLabelHead(LinearHead):
    """Yes or no for each of C labels, by binary cross-entropy."""

    chooses = "any"

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the summed binary cross-entropy; `targets["labels"]` is (G, C) of 0 and 1."""
        return F.binary_cross_entropy_with_logits(
            as_float(logits), targets["labels"].float(), reduction="sum"
        )

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the number of decisions."""
        return float(targets["labels"].numel())
