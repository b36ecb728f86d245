"""The shell of regression."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtl.metrics.regression import N_SUMS, regression_scores, regression_sums
from mtl.metrics.rows import ValueRow
from mtl.metrics.shells.base import CountMetric


class RegressionMetric(CountMetric[ValueRow]):
    """RMSE and Pearson's correlation from running sums in float64.

    Ranks merge by addition; how exact that is, and what `shift` is for, stands in
    :mod:`mtl.metrics.regression`.

    Args:
        shift: A constant near the gold mean, the same on every rank: the training mean, say.
            0 is fine while the mean is less than about 10,000 times the deviation.
        **kwargs: What `torchmetrics.Metric` takes.
    """

    def __init__(self, shift: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shift = shift
        self.count("sums", N_SUMS, dtype=torch.float64)

    def update(self, predicted: Tensor, gold: Tensor) -> None:
        """Add examples.

        Args:
            predicted: Predicted numbers, shape (n,), any float type.
            gold: True numbers, shape (n,).
        """
        p, g = (side.detach().reshape(-1).double().cpu().numpy() for side in (predicted, gold))
        self.add("sums", regression_sums(p, g, self.shift))

    def compute(self) -> dict[str, float]:
        """Return ``rmse`` and ``pearson``."""
        return regression_scores(self.counts("sums"))

    def rows(self) -> list[ValueRow]:
        """Return both scores and the number of examples."""
        sums = self.counts("sums")
        scores = [ValueRow(name, value) for name, value in regression_scores(sums).items()]
        return [*scores, ValueRow("examples", int(sums[0]))]
