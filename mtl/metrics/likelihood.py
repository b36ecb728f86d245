"""How well a language model predicts text: perplexity, nats a token, bits a byte.

Everything follows from five sums, which add up over texts and ranks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mtl.metrics.rows import ratio

LIMIT = 700.0
"""Nats a token beyond which perplexity stays where it is: its number would be infinite."""


class Likelihood(NamedTuple):
    """Sums over predicted tokens."""

    nats: float
    """Negative log-likelihood of all of them."""
    tokens: int
    correct: int
    """How often the right token had the highest score."""
    text_nats: float
    """Negative log-likelihood of those that are text: all but end tokens."""
    bytes: int
    """UTF-8 bytes of that text."""


def likelihood_scores(sums: Likelihood) -> dict[str, float]:
    """Return ``accuracy``, ``perplexity``, ``loss`` and ``bits_per_byte``.

    The loss is in nats a token and perplexity is its exponential: both depend on the tokenizer.
    Bits per byte do not: ``nats / (bytes · ln 2)``, over the text itself, without its end token.
    """
    loss = ratio(sums.nats, sums.tokens)
    return {
        "accuracy": ratio(sums.correct, sums.tokens),
        "perplexity": math.exp(min(loss, LIMIT)),
        "loss": loss,
        "bits_per_byte": ratio(sums.text_nats, sums.bytes * math.log(2)),
    }
