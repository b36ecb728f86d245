"""Heads that choose: one class of several, or yes or no for each of several."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl.heads.base import LinearHead, as_float


class WeightedHead(LinearHead):
    """Labels that may weigh differently in the loss.

    Args:
        hidden_size: D.
        classes: C.
        dropout: On the states.
        class_weights: (C,) in the loss; 1 when None.
        gamma: Of the focal loss; cross-entropy where it is 0.
    """

    class_weights: Tensor

    def __init__(
        self,
        hidden_size: int,
        classes: int,
        dropout: float = 0.0,
        class_weights: Sequence[float] | None = None,
        gamma: float = 0.0,
    ) -> None:
        super().__init__(hidden_size, classes, dropout)
        self.gamma = gamma
        weights = torch.ones(classes) if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights.float(), persistent=False)


class ClassificationHead(WeightedHead):
    """One class of C, by cross-entropy or focal loss.

    Args:
        hidden_size: D.
        classes: C.
        dropout: On the states.
        label_smoothing: Share of the target that is spread evenly over all classes
            (Szegedy et al. 2016, section 7); for cross-entropy.
        class_weights: (C,) weight of each class in the loss; the mean is then weighted too.
        gamma: Of the focal loss; cross-entropy where it is 0.
    """

    chooses = "one"

    def __init__(
        self,
        hidden_size: int,
        classes: int,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        gamma: float = 0.0,
    ) -> None:
        super().__init__(hidden_size, classes, dropout, class_weights, gamma)
        self.label_smoothing = label_smoothing

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the summed loss; `targets["labels"]` is (G,) class numbers."""
        logits, labels = as_float(logits), targets["labels"]
        if self.gamma:
            log_p = logits.log_softmax(-1).gather(1, labels[:, None])[:, 0]
            weights = self.class_weights[labels] * doubt(log_p, self.gamma)
            return -(weights * log_p).sum()
        return F.cross_entropy(
            logits,
            labels,
            weight=self.class_weights,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the summed weights of the target classes."""
        return float(self.class_weights[targets["labels"]].sum())


class MultiLabelHead(WeightedHead):
    """Yes or no for each of C labels, by binary cross-entropy or focal loss.

    Args:
        hidden_size: D.
        classes: C.
        dropout: On the states.
        class_weights: (C,) what a yes counts for each label; a no counts 1.
        gamma: Of the focal loss; cross-entropy where it is 0.
    """

    chooses = "any"

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the summed loss; `targets["labels"]` is (G, C) of 0 and 1."""
        gold = targets["labels"].float()
        return binary_losses(as_float(logits), gold, self.gamma, self.class_weights).sum()

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the number of decisions, whatever they weigh, as PyTorch's `pos_weight` does."""
        return float(targets["labels"].numel())


def binary_losses(
    logits: Tensor, gold: Tensor, gamma: float = 0.0, yes: Tensor | None = None
) -> Tensor:
    """Return the binary cross-entropy or focal loss of each decision, in the shape of `logits`.

    Args:
        logits: Of a yes.
        gold: 0 or 1, in the same shape.
        gamma: Of the focal loss; cross-entropy where it is 0.
        yes: What a yes counts, of a shape that broadcasts; a no counts 1.
    """
    losses = F.binary_cross_entropy_with_logits(logits, gold, pos_weight=yes, reduction="none")
    if not gamma:
        return losses
    return losses * doubt(F.logsigmoid(torch.where(gold > 0, logits, -logits)), gamma)


def doubt(log_p: Tensor, gamma: float) -> Tensor:
    """Return ``(1 - p) ** gamma``, the focal loss's factor (Lin et al. 2017, equation 4).

    Args:
        log_p: Logarithms of the right answers' probabilities.
        gamma: How much less a decision counts that is right already.
    """
    tiny = torch.finfo(log_p.dtype).tiny  # At 0 the slope of a power below 1 is infinite.
    return (-torch.expm1(log_p)).clamp_min(tiny) ** gamma
