"""The shell of language modeling."""

from __future__ import annotations

from typing import Any

import torch

from mtl.metrics.likelihood import Likelihood, likelihood_scores
from mtl.metrics.rows import ValueRow
from mtl.metrics.shells.base import CountMetric


class LikelihoodMetric(CountMetric[ValueRow]):
    """Perplexity and its relatives from running sums in float64; ranks merge by addition."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count("sums", len(Likelihood._fields), dtype=torch.float64)

    def update(self, found: Likelihood) -> None:
        """Add the sums of some texts."""
        self.add("sums", list(found))

    def compute(self) -> dict[str, float]:
        """Return what :func:`mtl.metrics.likelihood.likelihood_scores` does."""
        return likelihood_scores(Likelihood(*self.counts("sums").tolist()))

    def rows(self) -> list[ValueRow]:
        """Return the scores, and the numbers of tokens and bytes."""
        sums = Likelihood(*self.counts("sums").tolist())
        scores = [ValueRow(name, value) for name, value in likelihood_scores(sums).items()]
        return [*scores, ValueRow("tokens", int(sums.tokens)), ValueRow("bytes", int(sums.bytes))]
