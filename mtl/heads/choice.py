"""A head that chooses one of several states: one score for each, compared within a row."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl.heads.base import Head, as_float
from mtl.heads.spans import by_window


class ChoiceHead(Head):
    """One choice of a row's, by the softmax of a linear score of each (Devlin et al. 2019, 4.4).

    It has no bias: one would shift all choices of a row alike. Shapes: R rows, G choices of all
    rows, D hidden. Inputs: ``sizes`` (R,), how many choices each row has; their sum is G. Targets:
    ``choice`` (R,), the number of the right one.
    """

    def __init__(self, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, 1, bias=False)
        nn.init.normal_(self.linear.weight, std=0.02)

    def forward(self, states: Tensor) -> Tensor:
        """Return (G, 1) scores for (G, D) states."""
        return self.linear(self.dropout(states))

    def within(self, given: dict[str, Tensor], outputs: Tensor) -> None:
        """Return None: the choices of a row are compared, wherever they stand."""
        del given, outputs

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the summed cross-entropy over each row's choices."""
        if not len(targets["sizes"]):
            return logits.sum() * 0.0
        scores = by_window(as_float(logits), targets["sizes"], -math.inf)[..., 0]  # (R, choices)
        return F.cross_entropy(scores, targets["choice"], reduction="sum")

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the number of rows."""
        return float(len(targets["choice"]))


def shares(logits: Tensor, sizes: list[int]) -> list[Tensor]:
    """Return the probabilities of each row's choices, (choices,), for (G, 1) logits."""
    return [torch.softmax(part[:, 0], 0) for part in torch.split(logits, sizes)]
