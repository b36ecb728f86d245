"""What right texts cost, by token."""

from __future__ import annotations

import math
from typing import Any

import torch

from mtl.metrics.rows import ValueRow
from mtl.metrics.shells.base import CountMetric


class PerplexityMetric(CountMetric[ValueRow]):
    """The exponential of the mean negative log-likelihood of a token."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count("sums", 2, dtype=torch.float64)

    def update(self, nll: float, tokens: int) -> None:
        """Add summed negative log-likelihoods, in nats, of so many tokens."""
        self.add("sums", [nll, tokens])

    def compute(self) -> float:
        """Return the perplexity; not a number where there were no tokens."""
        return self._value()

    def rows(self) -> list[ValueRow]:
        """Return the perplexity and the number of tokens; nothing where there were none."""
        tokens = int(self.counts("sums")[1])
        return [ValueRow("perplexity", self._value()), ValueRow("tokens", tokens)] if tokens else []

    def _value(self) -> float:
        nll, tokens = self.counts("sums").tolist()
        return math.exp(min(nll / tokens, 700.0)) if tokens else math.nan
